"""Charts of programmes, slots and data: Vega-Lite without their rows, which the page puts in by its filters."""

from ccare.exports.words import Words
from ccare.growth.desk_marks import (
    AT_THE_END,
    THOUSANDS,
    WASH,
    Spec,
    beside,
    cell,
    channel,
    colour,
    number,
    share,
    tip,
    words_of,
)
from ccare.growth.desk_values import LOT_PART, SOURCE, STEP
from ccare.growth.desk_words import COLUMN

FUNNELS: Spec = {
    "transform": [
        {"joinaggregate": [{"op": "max", "field": "users", "as": "first"}], "groupby": ["slot"]},
        {"filter": "datum.first > 0"},
        {"calculate": "datum.users / datum.first", "as": "share"},
    ],
    "encoding": {
        "x": channel("step", "nominal", sort=list(STEP.values()), axis={"labelAngle": 0, "orient": "top"}),
        "y": channel("slot", "nominal", sort={"field": "first", "order": "descending"}),
    },
    "layer": [
        {
            "mark": {"type": "rect", "stroke": "white"},
            "encoding": {
                "color": number("share", COLUMN["share"], scale=WASH, legend=None),
                "tooltip": [*tip("slot", "step", "users"), share("share")],
            },
        },
        cell("users", ",", "datum.share > 0.7"),
    ],
}
_WIDE = {"labelLimit": 220}
_SOURCES = {"domain": list(SOURCE.values()), "range": ["#7a7f87", "#0b5394", "#b45f06"]}
_SOURCE = {"field": "source", "type": "nominal", "title": COLUMN["source"], "scale": _SOURCES}
TRAFFIC: Spec = {
    "mark": {"type": "bar"},
    "encoding": {
        "y": channel("slot", "nominal", sort="-x"),
        "x": number(
            "impressions",
            Words("impressions in 28 days", "近 28 天曝光次数"),
            axis={"format": Words("~s", ",d"), "tickCount": 5},
        ),
        "color": _SOURCE,
        "tooltip": tip("slot", "source", "impressions", "clicks"),
    },
}
POINTS: Spec = {
    "transform": [
        {"fold": list(LOT_PART), "as": ["lot_part", "amount"]},
        {"calculate": words_of("lot_part", LOT_PART), "as": "part"},
        {
            "calculate": "datum.programme + ' · ' + datum.asset + ' · ' + slice(datum.month, 0, 7)",
            "as": "pot",
        },
    ],
    "mark": {"type": "bar"},
    "encoding": {
        "y": channel(
            "pot", "nominal", _WIDE, COLUMN["programme"], sort={"field": "month", "order": "descending"}
        ),
        "x": number("amount", Words("units granted", "发放数量"), axis=THOUSANDS),
        "color": colour("part", LOT_PART.values(), ["#0b5394", "#2f7d4f", "#9aa5b1", "#b45f06"]),
        "tooltip": tip("programme", "asset", "month", "part", "amount", "granted"),
    },
}
BY_SLOT = {
    "y": channel("slot", "nominal", sort=None),
    "yOffset": beside("source", sort=_SOURCES["domain"]),
    "color": _SOURCE,
}
_LIFTED = {"title": Words("trades more per 1,000 impressions", "每千次曝光增加的成交笔数")}
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
                "x": number("low", COLUMN["low"], axis=_LIFTED),
                "x2": beside("high"),
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 70},
            "encoding": {
                **BY_SLOT,
                "x": number("lift_per_1000", COLUMN["lift_per_1000"], axis=_LIFTED),
                "tooltip": tip("slot", "source", "lift_per_1000", "low", "high", "points", "impressions"),
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
        "y": channel("pot", "nominal", _WIDE, COLUMN["pool"]),
        "x": number("left", COLUMN["left"], axis={"format": "%"}, scale={"domain": [0, 1]}),
        "tooltip": tip(
            "pool", "asset", "funded", "granted", "returned", "available", "receivable", "days_left"
        ),
    },
}
REJECTED: Spec = {
    "encoding": {
        "y": channel("reason", "nominal", _WIDE, sort="-x"),
        "x": number("rows", Words("rows refused in 28 days", "近 28 天拒收行数"), axis=THOUSANDS),
    },
    "layer": [
        {
            "mark": {"type": "bar"},
            "encoding": {
                "color": {
                    "field": "stream",
                    "type": "nominal",
                    "title": COLUMN["stream"],
                    "legend": {"title": None},
                },
                "tooltip": tip("stream", "reason", "rows", "first_delivery", "last_delivery"),
            },
        },
        AT_THE_END
        | {
            "encoding": {
                "x": {"aggregate": "sum", "field": "rows"},
                "text": {"aggregate": "sum", "field": "rows", "title": COLUMN["rows"]},
            }
        },
    ],
}
