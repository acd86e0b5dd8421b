"""Figures of the growth desk: which chart draws what, what it says beside, and the question that goes deeper."""

from dataclasses import dataclass, field

from ccare.growth.desk_charts import (
    COHORTS,
    DISTRIBUTION,
    DRIFT,
    FUNNELS,
    GROWTH,
    LIFT,
    POINTS,
    POOLS,
    REJECTED,
    STAGE_BARS,
    TRAFFIC,
    Spec,
)
from ccare.growth.plots import CONFIG, SCHEMA


@dataclass(frozen=True)
class Figure:
    """One chart: ``frame`` of DeskData it draws, whether filters narrow it, and the question that goes deeper.

    ``bands``: columns whose different values are the bars one below the other; the chart is as tall as it has such.
    ``needs``: a column without which (null or 0) a row is not drawn, only listed.
    """

    id: str
    title: str
    note: str
    frame: str
    spec: Spec = field(hash=False)
    filtered: bool = True
    question: str = ""
    bands: tuple[str, ...] = ()
    empty: str = "Nothing to show here yet."
    needs: str = ""


FIGURES: tuple[Figure, ...] = (
    Figure(
        "growth",
        "Where active users come from, and how many are lost",
        "Distinct users of 28 days, week by week; a user of two merchants counts once. Active = retained + "
        "resurrected + new; churned were active in the 28 days before and are not now.",
        "growth",
        GROWTH,
        question="growth_accounting",
    ),
    Figure(
        "cohorts",
        "Who comes back, by the week users were first active in",
        "Users are told merchant by merchant. A week is told once its Sunday is closed.",
        "cohorts",
        COHORTS,
        question="cohort_retention",
        needs="age",
        bands=("cohort_week",),
    ),
    Figure(
        "stages",
        "Users by the stage of their life with a merchant",
        "On the last closed day, merchant by merchant.",
        "stages",
        STAGE_BARS,
        question="lifecycle_flow",
        bands=("stage",),
    ),
    Figure(
        "distribution",
        "How total scores are spread",
        "Merchants with a total score, in bands of ten points.",
        "scores",
        DISTRIBUTION,
        question="score_distribution",
    ),
    Figure(
        "drift",
        "Whether scores drift as a whole",
        "Median of total scores; the band holds the middle 80 % of merchants.",
        "drift",
        DRIFT,
        question="score_drift",
        needs="median",
    ),
    Figure(
        "points",
        "What programmes grant, and what became of it",
        "By the month that was earned for. Taken: given back after refunds.",
        "points",
        POINTS,
        question="programme_cost",
        bands=("programme", "asset", "month"),
    ),
    Figure(
        "lift",
        "What traffic brings against hours held back",
        "Trades per 1,000 impressions in treated hours, less those in holdout hours, with 90 % bounds, over 28 "
        "days. Without bounds where either has fewer than two merchant-days. The whole platform.",
        "lift",
        LIFT,
        filtered=False,
        question="slot_lift",
        bands=("slot", "source"),
        empty="No hour was held back in the last 28 days, so there is nothing to compare with.",
    ),
    Figure(
        "pools",
        "What is left in the pools",
        "The whole platform.",
        "pools",
        POOLS,
        filtered=False,
        question="pools",
        bands=("pool", "asset"),
    ),
    Figure(
        "funnels",
        "From being seen to being paid, slot by slot",
        "Users who came to a step or beyond it in the last 7 days, merchant by merchant; the darker, the more of the "
        "slot's first step.",
        "funnels",
        FUNNELS,
        question="slot_funnel",
        bands=("slot",),
    ),
    Figure(
        "traffic",
        "Who pays for public traffic",
        "Impressions served; hours held back are left out.",
        "traffic",
        TRAFFIC,
        question="slot_traffic",
        bands=("slot",),
    ),
    Figure(
        "rejected",
        "Why rows are refused",
        "A row with two reasons counts under each. The whole platform.",
        "rejected",
        REJECTED,
        filtered=False,
        question="rejected_rows",
        bands=("reason",),
    ),
)


def specification(figure: Figure) -> Spec:
    """The chart as it is embedded: as wide as its place, its rows (and its height, with bands) to be put in."""
    return {
        "$schema": SCHEMA,
        "description": f"{figure.title}. {figure.note}",
        "config": CONFIG | {"legend": CONFIG["legend"] | {"orient": "top"}},
        "width": "container",
        "height": 280,
        "autosize": {"type": "fit-x", "contains": "padding"},
        **figure.spec,
    }
