"""Figures of the growth desk: which chart draws what, what it says beside, and the question that goes deeper."""

from dataclasses import dataclass, field

from ccare.exports.words import Language, Words
from ccare.growth.desk_charts import FUNNELS, LIFT, POINTS, POOLS, REJECTED, TRAFFIC
from ccare.growth.desk_marks import Spec
from ccare.growth.desk_user_charts import COHORTS, DISTRIBUTION, DRIFT, GROWTH, STAGE_BARS
from ccare.growth.desk_words import in_language
from ccare.growth.plots import CONFIG, SCHEMA

_EMPTY = Words("Nothing to show here yet.", "暂无可显示的数据。")


@dataclass(frozen=True)
class Figure:
    """One chart: ``frame`` of DeskData it draws, whether filters narrow it, and the question that goes deeper.

    ``bands``: columns whose different values are the bars one below the other; the chart is as tall as it has such.
    ``needs``: a column without which (null or 0) a row is not drawn, only listed.
    """

    id: str
    title: Words
    note: Words
    frame: str
    spec: Spec = field(hash=False)
    filtered: bool = True
    question: str = ""
    bands: tuple[str, ...] = ()
    empty: Words = _EMPTY
    needs: str = ""


FIGURES: tuple[Figure, ...] = (
    Figure(
        "growth",
        Words("Where active users come from, and how many are lost", "活跃用户的来源与流失"),
        Words(
            "Distinct users of 28 days, week by week; a user of two merchants counts once. Active = retained + "
            "resurrected + new; churned were active in the 28 days before and are not now.",
            "28 天去重用户，逐周统计；在两家商家活跃的用户只计一次。活跃 = 留存 + 回流 + 新增；"
            "流失指前 28 天活跃、近 28 天未活跃的用户。",
        ),
        "growth",
        GROWTH,
        question="growth_accounting",
    ),
    Figure(
        "cohorts",
        Words("Who comes back, by the week users were first active in", "按首次活跃周看用户留存"),
        Words(
            "Users are told merchant by merchant. A week is told once its Sunday is closed.",
            "按商家分别计用户。某一周在其周日关账后统计。",
        ),
        "cohorts",
        COHORTS,
        question="cohort_retention",
        needs="age",
        bands=("cohort_week",),
    ),
    Figure(
        "stages",
        Words("Users by the stage of their life with a merchant", "用户生命周期分布"),
        Words(
            "On the last closed day, merchant by merchant.",
            "截至最近关账的营业日，按商家分别计。",
        ),
        "stages",
        STAGE_BARS,
        question="lifecycle_flow",
        bands=("stage",),
    ),
    Figure(
        "distribution",
        Words("How total scores are spread", "总分分布"),
        Words(
            "Merchants with a total score, in bands of ten points.",
            "有总分的商家，每十分一段。",
        ),
        "scores",
        DISTRIBUTION,
        question="score_distribution",
    ),
    Figure(
        "drift",
        Words("Whether scores drift as a whole", "总分整体走势"),
        Words(
            "Median of total scores; the band holds the middle 80 % of merchants.",
            "总分中位数；色带为居中 80% 的商家。",
        ),
        "drift",
        DRIFT,
        question="score_drift",
        needs="median",
    ),
    Figure(
        "points",
        Words("What programmes grant, and what became of it", "各计划的发放与去向"),
        Words(
            "By the month that was earned for. Taken: given back after refunds.",
            "按所属月份统计。已收回：退款后收回的部分。",
        ),
        "points",
        POINTS,
        question="programme_cost",
        bands=("programme", "asset", "month"),
    ),
    Figure(
        "lift",
        Words("What traffic brings against hours held back", "投放时段与留白时段的成交对比"),
        Words(
            "Trades per 1,000 impressions in treated hours, less those in holdout hours, with 90 % bounds, over 28 "
            "days. Without bounds where either has fewer than two merchant-days. The whole platform.",
            "近 28 天投放时段的每千次曝光成交笔数减去留白时段的同一指标，附 90% 区间；"
            "任一组不足两个商家日时不给区间。全平台口径。",
        ),
        "lift",
        LIFT,
        filtered=False,
        question="slot_lift",
        bands=("slot", "source"),
        empty=Words(
            "No hour was held back in the last 28 days, so there is nothing to compare with.",
            "近 28 天没有留白时段，无从对比。",
        ),
    ),
    Figure(
        "pools",
        Words("What is left in the pools", "资金池余量"),
        Words(
            "The whole platform.",
            "全平台口径。",
        ),
        "pools",
        POOLS,
        filtered=False,
        question="pools",
        bands=("pool", "asset"),
    ),
    Figure(
        "funnels",
        Words("From being seen to being paid, slot by slot", "各流量位从曝光到支付的转化"),
        Words(
            "Users who came to a step or beyond it in the last 7 days, merchant by merchant; the darker, the more of "
            "the slot's first step.",
            "近 7 天到达该步骤或之后步骤的用户，按商家分别计；颜色越深，占该流量位首步的比例越高。",
        ),
        "funnels",
        FUNNELS,
        question="slot_funnel",
        bands=("slot",),
    ),
    Figure(
        "traffic",
        Words("Who pays for public traffic", "公域流量由谁付费"),
        Words(
            "Impressions served; hours held back are left out.",
            "已投放的曝光，不含留白时段。",
        ),
        "traffic",
        TRAFFIC,
        question="slot_traffic",
        bands=("slot",),
    ),
    Figure(
        "rejected",
        Words("Why rows are refused", "数据行拒收原因"),
        Words(
            "A row with two reasons counts under each. The whole platform.",
            "一行有两个原因时各计一次。全平台口径。",
        ),
        "rejected",
        REJECTED,
        filtered=False,
        question="rejected_rows",
        bands=("reason",),
    ),
)


def specification(figure: Figure, language: Language) -> Spec:
    """The chart as it is embedded: as wide as its place, its rows (and its height, with bands) to be put in."""
    described = Words(f"{figure.title.en}. {figure.note.en}", f"{figure.title.zh}。{figure.note.zh}")
    # Vega tells of axes and legends in English only; in Chinese its marks, which name their columns, are read alone.
    aloud = {"aria": language == "en"}
    legend = CONFIG["legend"] | aloud | {"orient": "top"}
    config = CONFIG | {"axis": CONFIG["axis"] | aloud | {"labelSeparation": 6}, "legend": legend}
    spec: Spec = in_language(
        {
            "$schema": SCHEMA,
            "description": described,
            "config": config,
            "padding": {"left": 5, "top": 5, "right": 12, "bottom": 5},
            "width": "container",
            "height": 280,
            "autosize": {"type": "fit-x", "contains": "padding"},
            **figure.spec,
        },
        language,
    )
    return spec
