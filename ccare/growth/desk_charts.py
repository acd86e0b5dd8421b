"""Charts of the growth desk: Vega-Lite without their rows, which the page puts in by its filters."""

from dataclasses import dataclass, field
from typing import Any

from ccare.growth.plots import CONFIG, SCHEMA

Spec = dict[str, Any]
_STAGES = ["reached", "visited", "paid", "repeat", "loyal", "at_risk", "dormant"]
_STEPS = ["impression", "click", "active", "order", "pay"]


@dataclass(frozen=True)
class Figure:
    """One chart: ``frame`` of DeskData it draws, whether filters narrow it, and the question that goes deeper."""

    id: str
    title: str
    note: str
    frame: str
    spec: Spec = field(hash=False)
    filtered: bool = True
    question: str = ""


def _x(name: str, kind: str, **more: Any) -> Spec:
    return {"field": name, "type": kind, "title": None, **more}


def _n(name: str, title: str | None, **more: Any) -> Spec:
    return {"field": name, "type": "quantitative", "title": title, **more}


def _tip(*names: str) -> list[Spec]:
    return [{"field": name, "title": name.replace("_", " ")} for name in names]


_WEEKS = {"format": "%d %b %Y", "labelAngle": 0, "labelOverlap": True, "tickCount": 6}

_GROWTH: Spec = {
    "transform": [
        {"calculate": "-datum.churned", "as": "lost"},
        {"fold": ["new", "resurrected", "retained", "lost"], "as": ["kind", "users"]},
        {"calculate": "datum.kind == 'lost' ? 'churned' : datum.kind", "as": "kind"},
    ],
    "mark": {"type": "bar", "width": {"band": 0.8}},
    "encoding": {
        "x": _x("day", "temporal", timeUnit="yearmonthdate", bandPosition=0.5, axis=_WEEKS),
        "y": _n("users", "users of 28 days", stack=True),
        "color": {
            "field": "kind",
            "type": "nominal",
            "title": None,
            "scale": {
                "domain": ["retained", "resurrected", "new", "churned"],
                "range": ["#0b5394", "#6fa8dc", "#2f7d4f", "#b45f06"],
            },
        },
        "order": {"field": "kind", "sort": "descending"},
        "tooltip": _tip("day", "kind", "users", "new", "retained", "resurrected", "churned"),
    },
}
_DISTRIBUTION: Spec = {
    "transform": [
        {"calculate": "datum.place * 10 + '–' + (datum.place * 10 + 10)", "as": "band"},
        {"calculate": "datum.moment == 'now' ? 'last day' : 'a week before'", "as": "moment"},
    ],
    "mark": {"type": "bar"},
    "encoding": {
        "x": _x("band", "ordinal", sort={"field": "place"}, title="total score", axis={"labelAngle": 0}),
        "xOffset": {"field": "moment", "sort": ["a week before", "last day"]},
        "y": _n("merchants", "merchants"),
        "color": {
            "field": "moment",
            "type": "nominal",
            "title": None,
            "scale": {"domain": ["a week before", "last day"], "range": ["#9aa5b1", "#0b5394"]},
        },
        "tooltip": _tip("band", "moment", "merchants"),
    },
}
_DRIFT: Spec = {
    "encoding": {"x": _x("day", "temporal", timeUnit="yearmonthdate", axis=_WEEKS)},
    "layer": [
        {
            "mark": {"type": "area", "opacity": 0.25, "color": "#0b5394"},
            "encoding": {
                "y": _n("p10", "total score", scale={"domain": [0, 100]}),
                "y2": {"field": "p90"},
            },
        },
        {
            "mark": {"type": "line", "point": True, "color": "#0b5394"},
            "encoding": {"y": _n("median", None), "tooltip": _tip("day", "median", "p10", "p90", "scored")},
        },
    ],
}
_STAGE_BARS: Spec = {
    "mark": {"type": "bar"},
    "encoding": {
        "y": _x("stage", "nominal", sort=_STAGES, axis={"labelExpr": "replace(datum.label, '_', ' ')"}),
        "x": _n("users", "users"),
        "color": {
            "field": "stage",
            "type": "nominal",
            "legend": None,
            "scale": {
                "domain": _STAGES,
                "range": ["#c9d1d9", "#9cc3e6", "#6fa8dc", "#3d7ebf", "#0b5394", "#b45f06", "#7a7f87"],
            },
        },
        "tooltip": _tip("stage", "users"),
    },
}
_COHORTS: Spec = {
    "transform": [{"calculate": "datum.users / datum.cohort_users", "as": "retention"}],
    "mark": {"type": "rect", "stroke": "white"},
    "encoding": {
        "x": _x("age", "ordinal", title="weeks after the first", axis={"labelAngle": 0}),
        "y": _x("cohort_week", "ordinal", title="cohort's first week"),
        "color": _n(
            "retention", "came back", scale={"domain": [0, 1], "scheme": "blues"}, legend={"format": "%"}
        ),
        "tooltip": [
            *_tip("cohort_week", "age", "cohort_users", "users"),
            {"field": "retention", "format": ".1%"},
        ],
    },
}
_FUNNELS: Spec = {
    "mark": {"type": "bar"},
    "encoding": {
        "y": _x("slot", "nominal", sort=None, axis={"labelExpr": "replace(datum.label, '_', ' ')"}),
        "yOffset": {"field": "step", "sort": _STEPS},
        "x": _n("users", "users in 7 days", scale={"type": "symlog"}, axis={"tickCount": 5, "format": "~s"}),
        "color": {
            "field": "step",
            "type": "nominal",
            "title": None,
            "scale": {"domain": _STEPS, "range": ["#c9d1d9", "#9cc3e6", "#6fa8dc", "#3d7ebf", "#0b5394"]},
        },
        "tooltip": _tip("slot", "step", "users"),
    },
}
_TRAFFIC: Spec = {
    "mark": {"type": "bar"},
    "encoding": {
        "y": _x("slot", "nominal", sort="-x", axis={"labelExpr": "replace(datum.label, '_', ' ')"}),
        "x": _n("impressions", "impressions in 28 days", axis={"format": "~s"}),
        "color": {
            "field": "source",
            "type": "nominal",
            "title": "paid by",
            "scale": {"domain": ["free", "points", "paid"], "range": ["#9aa5b1", "#0b5394", "#b45f06"]},
        },
        "tooltip": _tip("slot", "source", "impressions", "clicks"),
    },
}
_POINTS: Spec = {
    "transform": [
        {"fold": ["outstanding", "redeemed", "expired", "taken"], "as": ["part", "amount"]},
        {"calculate": "datum.programme + ' · ' + datum.asset", "as": "pot"},
    ],
    "mark": {"type": "bar"},
    "encoding": {
        "x": _x("month", "ordinal", timeUnit="yearmonth", axis={"format": "%b %Y", "labelAngle": 0}),
        "y": _n("amount", "units granted"),
        "color": {
            "field": "part",
            "type": "nominal",
            "title": None,
            "scale": {
                "domain": ["outstanding", "redeemed", "expired", "taken"],
                "range": ["#0b5394", "#2f7d4f", "#9aa5b1", "#b45f06"],
            },
        },
        "tooltip": _tip("pot", "month", "part", "amount", "granted"),
    },
}
_LIFT: Spec = {
    "encoding": {"y": _x("slot", "nominal", sort=None, axis={"labelExpr": "replace(datum.label, '_', ' ')"})},
    "layer": [
        {"mark": {"type": "rule", "strokeDash": [4, 3], "color": "#4d5763"}, "encoding": {"x": {"datum": 0}}},
        {
            "mark": {"type": "rule", "strokeWidth": 2, "color": "#0b5394"},
            "encoding": {"x": _n("low", "trades more per 1,000 impressions"), "x2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 70, "color": "#0b5394"},
            "encoding": {
                "x": _n("lift_per_1000", None),
                "tooltip": _tip("slot", "lift_per_1000", "low", "high", "points", "impressions"),
            },
        },
    ],
}
_POOLS: Spec = {
    "transform": [
        {"calculate": "datum.pool + ' · ' + datum.asset", "as": "pot"},
        {"calculate": "datum.funded > 0 ? datum.available / datum.funded : null", "as": "left"},
    ],
    "mark": {"type": "bar", "color": "#0b5394"},
    "encoding": {
        "y": _x("pot", "nominal"),
        "x": _n("left", "left of what was funded", axis={"format": "%"}, scale={"domain": [0, 1]}),
        "tooltip": _tip("pot", "funded", "granted", "returned", "available", "receivable", "days_left"),
    },
}
_REJECTED: Spec = {
    "mark": {"type": "bar"},
    "encoding": {
        "y": _x("reason", "nominal", sort="-x", axis={"labelExpr": "replace(datum.label, /_/g, ' ')"}),
        "x": _n("rows", "rows refused in 28 days", axis={"format": "~s"}),
        "color": {"field": "stream", "type": "nominal", "title": None},
        "tooltip": _tip("stream", "reason", "rows", "first_delivery", "last_delivery"),
    },
}

FIGURES: tuple[Figure, ...] = (
    Figure(
        "growth",
        "Where active users come from, and how many are lost",
        "Distinct users of 28 days, week by week; a user of two merchants counts once. Active = retained + "
        "resurrected + new; churned were active in the 28 days before and are not now.",
        "growth",
        _GROWTH,
        question="growth_accounting",
    ),
    Figure(
        "cohorts",
        "Who comes back, by the week users were first active in",
        "Users are told merchant by merchant. A week is told once its Sunday is closed.",
        "cohorts",
        _COHORTS,
        question="cohort_retention",
    ),
    Figure(
        "stages",
        "Users by the stage of their life with a merchant",
        "On the last closed day, merchant by merchant.",
        "stages",
        _STAGE_BARS,
        question="lifecycle_flow",
    ),
    Figure(
        "distribution",
        "How total scores are spread",
        "Merchants with a total score, in bands of ten points.",
        "scores",
        _DISTRIBUTION,
        question="score_distribution",
    ),
    Figure(
        "drift",
        "Whether scores drift as a whole",
        "Median of total scores; the band holds the middle 80 % of merchants.",
        "drift",
        _DRIFT,
        question="score_drift",
    ),
    Figure(
        "points",
        "What programmes grant, and what became of it",
        "By the month that was earned for. Taken: given back after refunds.",
        "points",
        _POINTS,
        question="programme_cost",
    ),
    Figure(
        "lift",
        "What traffic for points brings",
        "Trades per 1,000 impressions in treated hours, less those in hours held back, with 90 % bounds, over 28 "
        "days. The whole platform.",
        "lift",
        _LIFT,
        filtered=False,
        question="slot_lift",
    ),
    Figure(
        "pools",
        "What is left in the pools",
        "The whole platform.",
        "pools",
        _POOLS,
        filtered=False,
        question="pools",
    ),
    Figure(
        "funnels",
        "From being seen to being paid, slot by slot",
        "Users who came to a step or beyond it in the last 7 days, merchant by merchant. The axis is logarithmic.",
        "funnels",
        _FUNNELS,
        question="slot_funnel",
    ),
    Figure(
        "traffic",
        "Who pays for public traffic",
        "Impressions served; hours held back are left out.",
        "traffic",
        _TRAFFIC,
        question="slot_traffic",
    ),
    Figure(
        "rejected",
        "Why rows are refused",
        "A row with two reasons counts under each. The whole platform.",
        "rejected",
        _REJECTED,
        filtered=False,
        question="rejected_rows",
    ),
)


def specification(figure: Figure) -> Spec:
    """The chart as it is embedded: as wide as its place, its rows to be put in."""
    tall = {"growth": 300, "funnels": {"step": 9}}.get(
        figure.id, {"step": 24} if "y" in _band(figure) else 260
    )
    return {
        "$schema": SCHEMA,
        "description": f"{figure.title}. {figure.note}",
        "config": CONFIG,
        "width": "container",
        "height": tall,
        "autosize": {"type": "fit-x", "contains": "padding"},
        **figure.spec,
    }


def _band(figure: Figure) -> str:
    """Which axis has bands: y where its encoding is discrete."""
    y = figure.spec["encoding"].get("y", {})
    return "y" if y.get("type") in ("nominal", "ordinal") else ""
