"""Charts of the growth desk: Vega-Lite without their rows, which the page puts in by its filters."""

from typing import Any

Spec = dict[str, Any]
_STAGES = ["reached", "visited", "paid", "repeat", "loyal", "at_risk", "dormant"]
_STEPS = ["impression", "click", "active", "order", "pay"]


def _x(name: str, kind: str, **more: Any) -> Spec:
    return {"field": name, "type": kind, "title": None, **more}


def _n(name: str, title: str | None, **more: Any) -> Spec:
    return {"field": name, "type": "quantitative", "title": title, **more}


def _tip(*names: str) -> list[Spec]:
    return [{"field": name, "title": name.replace("_", " ")} for name in names]


_LABELS = {"labelExpr": "replace(datum.label, /_/g, ' ')"}
_WEEKS = {"format": "%d %b %Y", "labelAngle": 0, "labelOverlap": True, "tickCount": 6}

_THOUSANDS = {"format": ",d", "tickCount": 5}
_WASH = {"range": ["#eef3f8", "#0b5394"]}
_AT_THE_END = {"mark": {"type": "text", "align": "left", "dx": 4, "color": "#1a1f26"}}


def _cell(name: str, form: str, dark: str) -> Spec:
    """A number in its cell, white where the cell is ``dark``."""
    return {
        "mark": {"type": "text", "fontSize": 11},
        "encoding": {
            "text": {"field": name, "type": "quantitative", "format": form},
            "color": {"condition": {"test": dark, "value": "white"}, "value": "#1a1f26"},
        },
    }


GROWTH: Spec = {
    "transform": [
        {"calculate": "-datum.churned", "as": "lost"},
        {"fold": ["new", "resurrected", "retained", "lost"], "as": ["kind", "users"]},
        {"calculate": "datum.kind == 'lost' ? 'churned' : datum.kind", "as": "kind"},
    ],
    "mark": {"type": "bar"},
    "encoding": {
        "x": _x(
            "day",
            "ordinal",
            axis={
                "labelExpr": "timeFormat(toDate(datum.label), '%d %b %y')",
                "labelAngle": 0,
                "labelOverlap": True,
            },
        ),
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
DISTRIBUTION: Spec = {
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
DRIFT: Spec = {
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
STAGE_BARS: Spec = {
    "encoding": {
        "y": _x("stage", "nominal", sort=_STAGES, axis=_LABELS),
        "x": _n("users", "users", axis=_THOUSANDS),
    },
    "layer": [
        {
            "mark": {"type": "bar"},
            "encoding": {
                "color": {
                    "field": "stage",
                    "type": "nominal",
                    "legend": None,
                    "scale": {
                        "domain": _STAGES,
                        "range": [
                            "#c9d1d9",
                            "#9cc3e6",
                            "#6fa8dc",
                            "#3d7ebf",
                            "#0b5394",
                            "#b45f06",
                            "#7a7f87",
                        ],
                    },
                },
                "tooltip": _tip("stage", "users"),
            },
        },
        _AT_THE_END | {"encoding": {"text": {"field": "users", "format": ","}}},
    ],
}
COHORTS: Spec = {
    "transform": [
        {"calculate": "datum.users / datum.cohort_users", "as": "retention"},
        {"joinaggregate": [{"op": "max", "field": "retention", "as": "most"}]},
    ],
    "encoding": {
        "x": _x("age", "ordinal", title="weeks after the first", axis={"labelAngle": 0}),
        "y": _x("cohort_week", "ordinal"),
    },
    "layer": [
        {
            "mark": {"type": "rect", "stroke": "white"},
            "encoding": {
                "color": _n("retention", "came back", scale=_WASH, legend=None),
                "tooltip": [
                    *_tip("cohort_week", "age", "cohort_users", "users"),
                    {"field": "retention", "format": ".1%"},
                ],
            },
        },
        _cell("retention", ".0%", "datum.retention > 0.45 * datum.most"),
    ],
}
FUNNELS: Spec = {
    "transform": [
        {"joinaggregate": [{"op": "max", "field": "users", "as": "first"}], "groupby": ["slot"]},
        {"filter": "datum.first > 0"},
        {"calculate": "datum.users / datum.first", "as": "share"},
    ],
    "encoding": {
        "x": _x("step", "nominal", sort=_STEPS, axis={"labelAngle": 0, "orient": "top"}),
        "y": _x("slot", "nominal", sort={"field": "first", "order": "descending"}, axis=_LABELS),
    },
    "layer": [
        {
            "mark": {"type": "rect", "stroke": "white"},
            "encoding": {
                "color": _n("share", "share of the first step", scale=_WASH, legend=None),
                "tooltip": [*_tip("slot", "step", "users"), {"field": "share", "format": ".1%"}],
            },
        },
        _cell("users", ",", "datum.share > 0.45"),
    ],
}
_SOURCES = {"domain": ["free", "points", "paid"], "range": ["#7a7f87", "#0b5394", "#b45f06"]}
_SOURCE = {"field": "source", "type": "nominal", "title": "paid by", "scale": _SOURCES}
TRAFFIC: Spec = {
    "mark": {"type": "bar"},
    "encoding": {
        "y": _x("slot", "nominal", sort="-x", axis=_LABELS),
        "x": _n("impressions", "impressions in 28 days", axis={"format": "~s"}),
        "color": _SOURCE,
        "tooltip": _tip("slot", "source", "impressions", "clicks"),
    },
}
POINTS: Spec = {
    "transform": [
        {"fold": ["outstanding", "redeemed", "expired", "taken"], "as": ["part", "amount"]},
        {
            "calculate": "datum.programme + ' · ' + datum.asset + ' · ' + slice(datum.month, 0, 7)",
            "as": "pot",
        },
    ],
    "mark": {"type": "bar"},
    "encoding": {
        "y": _x("pot", "nominal", sort={"field": "month", "order": "descending"}, axis={"labelLimit": 220}),
        "x": _n("amount", "units granted", axis=_THOUSANDS),
        "color": {
            "field": "part",
            "type": "nominal",
            "title": None,
            "scale": {
                "domain": ["outstanding", "redeemed", "expired", "taken"],
                "range": ["#0b5394", "#2f7d4f", "#9aa5b1", "#b45f06"],
            },
        },
        "tooltip": _tip("programme", "asset", "month", "part", "amount", "granted"),
    },
}
BY_SLOT = {
    "y": _x("slot", "nominal", sort=None, axis=_LABELS),
    "yOffset": {"field": "source", "sort": _SOURCES["domain"]},
    "color": _SOURCE,
}
_LIFTED = "trades more per 1,000 impressions"
LIFT: Spec = {
    "layer": [
        {
            "mark": {"type": "rule", "strokeDash": [4, 3], "color": "#4d5763", "aria": False},
            "encoding": {"x": {"datum": 0}},
        },
        {
            "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {
                **BY_SLOT,
                "x": _n("low", _LIFTED),
                "x2": {"field": "high"},
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 70},
            "encoding": {
                **BY_SLOT,
                "x": _n("lift_per_1000", _LIFTED),
                "tooltip": _tip("slot", "source", "lift_per_1000", "low", "high", "points", "impressions"),
            },
        },
    ],
}
POOLS: Spec = {
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
_SUM = {"aggregate": "sum", "field": "rows", "type": "quantitative"}
REJECTED: Spec = {
    "encoding": {
        "y": _x("reason", "nominal", sort="-x", axis=_LABELS | {"labelLimit": 220}),
        "x": _n("rows", "rows refused in 28 days", axis=_THOUSANDS),
    },
    "layer": [
        {
            "mark": {"type": "bar"},
            "encoding": {
                "color": {"field": "stream", "type": "nominal", "title": None},
                "tooltip": _tip("stream", "reason", "rows", "first_delivery", "last_delivery"),
            },
        },
        _AT_THE_END
        | {
            "encoding": {
                "x": {"aggregate": "sum", "field": "rows"},
                "text": {"aggregate": "sum", "field": "rows"},
            }
        },
    ],
}
