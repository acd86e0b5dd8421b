"""Charts of users and scores: Vega-Lite without their rows, which the page puts in by its filters."""

from ccare.exports.words import Words
from ccare.growth.desk_marks import (
    AT_THE_END,
    THOUSANDS,
    WASH,
    WEEKS,
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
from ccare.growth.desk_values import GROWTH_KIND, MOMENT, STAGE
from ccare.growth.desk_words import COLUMN

GROWTH: Spec = {
    "transform": [
        {"calculate": "-datum.churned", "as": "lost"},
        {"fold": ["new", "resurrected", "retained", "lost"], "as": ["part", "users"]},
        {"calculate": words_of("part", GROWTH_KIND | {"lost": GROWTH_KIND["churned"]}), "as": "kind"},
    ],
    "mark": {"type": "bar"},
    "encoding": {
        "x": channel(
            "day",
            "ordinal",
            axis={
                "labelExpr": Words("timeFormat(toDate(datum.label), '%d %b %y')", "datum.label"),
                "labelAngle": 0,
                "labelOverlap": True,
            },
        ),
        "y": number("users", Words("users of 28 days", "28 天用户数"), stack=True),
        "color": colour("kind", GROWTH_KIND.values(), ["#0b5394", "#6fa8dc", "#2f7d4f", "#b45f06"]),
        "order": {"field": "part", "sort": "descending", "title": COLUMN["kind"]},
        "tooltip": tip("day", "kind", "users", "new", "retained", "resurrected", "churned"),
    },
}
DISTRIBUTION: Spec = {
    "mark": {"type": "bar"},
    "encoding": {
        "x": channel("place", "ordinal", {"title": COLUMN["place"], "labelAngle": 0}),
        "xOffset": beside("moment", sort=list(MOMENT.values())),
        "y": number("merchants", COLUMN["merchants"], axis=THOUSANDS),
        "color": colour("moment", MOMENT.values(), ["#9aa5b1", "#0b5394"]),
        "tooltip": tip("place", "moment", "merchants"),
    },
}
_TOTAL = {"title": Words("total score", "总分")}
DRIFT: Spec = {
    "encoding": {"x": channel("day", "temporal", WEEKS, timeUnit="yearmonthdate")},
    "layer": [
        {
            "mark": {"type": "area", "opacity": 0.25, "color": "#0b5394"},
            "encoding": {
                "y": number("p10", COLUMN["p10"], axis=_TOTAL, scale={"domain": [0, 100]}),
                "y2": beside("p90"),
            },
        },
        {
            "mark": {"type": "line", "point": True, "color": "#0b5394"},
            "encoding": {
                "y": number("median", COLUMN["median"], axis=_TOTAL),
                "tooltip": [
                    beside("day", type="temporal", format=WEEKS["format"]),
                    *tip("median", "p10", "p90", "scored"),
                ],
            },
        },
    ],
}
STAGE_BARS: Spec = {
    "encoding": {
        "y": channel("stage", "nominal", sort=list(STAGE.values())),
        "x": number("users", COLUMN["users"], axis=THOUSANDS),
    },
    "layer": [
        {
            "mark": {"type": "bar"},
            "encoding": {
                "color": {
                    "field": "stage",
                    "type": "nominal",
                    "title": COLUMN["stage"],
                    "legend": None,
                    "scale": {
                        "domain": list(STAGE.values()),
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
                "tooltip": tip("stage", "users"),
            },
        },
        AT_THE_END | {"encoding": {"text": number("users", COLUMN["users"], format=",")}},
    ],
}
COHORTS: Spec = {
    "transform": [
        {"calculate": "datum.users / datum.cohort_users", "as": "retention"},
        {"joinaggregate": [{"op": "max", "field": "retention", "as": "most"}]},
    ],
    "encoding": {
        "x": channel("age", "ordinal", {"title": COLUMN["age"], "labelAngle": 0}),
        "y": channel("cohort_week", "ordinal"),
    },
    "layer": [
        {
            "mark": {"type": "rect", "stroke": "white"},
            "encoding": {
                "color": number("retention", COLUMN["retention"], scale=WASH, legend=None),
                "tooltip": [*tip("cohort_week", "age", "cohort_users", "users"), share("retention")],
            },
        },
        cell("retention", ".0%", "datum.retention > 0.7 * datum.most"),
    ],
}
