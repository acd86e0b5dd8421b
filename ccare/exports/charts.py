"""Charts of a card as inline SVG: Altair's where there are axes to read, a hand-drawn line where there are none.

The small line beside each dimension is 0.5 kB by hand and takes the page's colours; a chart of Altair takes a
tenth of a second and 6 kB. Texts in charts are numbers and dates: the page around them speaks both languages.
"""

import re
from collections.abc import Sequence
from datetime import date
from itertools import groupby
from typing import Any

from markupsafe import Markup

WIDTH, HEIGHT = 150, 34
_PAD = 3
_LEAST_SPAN = 20.0
"""Points of score that the small line's height stands for at least: what hardly moves looks flat."""
_INK = {
    "line": "#0b5394",
    "band": "#c3d9ee",
    "grid": "#d5dae0",
    "text": "#4d5763",
    "in": "#0a6439",
    "out": "#a1123a",
}

Point = tuple[date, float | None, float | None, float | None]
"""Day, score, low, high."""


def trend(points: Sequence[Point], labelled_by: str) -> Markup:
    """Score and 80 % interval over the as-of days (oldest first), named by the element ``labelled_by``."""
    import altair as alt

    rows = [
        {
            "day": str(day),
            "score": score,
            "low": score if low is None else low,
            "high": score if high is None else high,
        }
        for day, score, low, high in points
    ]
    days = alt.X("day:T", title=None, scale=alt.Scale(type="utc"), axis=_days(points[0][0], points[-1][0]))
    scores = alt.Y(
        "score:Q", title=None, scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(values=[0, 25, 50, 75, 100])
    )
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=days)
    band = base.mark_area(color=_INK["band"]).encode(
        y=alt.Y("low:Q", scale=alt.Scale(domain=[0, 100])), y2="high:Q"
    )
    line = base.mark_line(
        color=_INK["line"], strokeWidth=2, point={"color": _INK["line"], "size": 22}
    ).encode(y=scores)
    bars = base.mark_rule(color=_INK["band"], strokeWidth=7).encode(y="low:Q", y2="high:Q")
    lone = sum(row["score"] is not None for row in rows) == 1
    return _svg(alt.layer(bars if lone else band, line), 430, 120, labelled_by)


def flows(days: Sequence[tuple[date, int, int]], labelled_by: str) -> Markup:
    """Units that came in (above the line) and went out (below) by day."""
    import altair as alt

    rows = [
        {"day": str(d), "units": n, "way": way}
        for d, i, o in days
        for n, way in ((i, "in"), (-o, "out"))
        if n
    ]
    rows = rows or [{"day": str(d), "units": 0, "way": "in"} for d, _, _ in days]
    x = alt.X(
        "day:T",
        title=None,
        scale=alt.Scale(type="utc", domain=_ends(days)),
        axis=_days(days[0][0], days[-1][0]),
    )
    colour = alt.Color(
        "way:N", legend=None, scale=alt.Scale(domain=["in", "out"], range=[_INK["in"], _INK["out"]])
    )
    y = alt.Y("units:Q", title=None, axis=alt.Axis(tickCount=4, tickMinStep=1, format="~s"))
    bars = alt.Chart(alt.InlineData(values=rows)).mark_bar(size=8).encode(x=x, y=y, color=colour)
    return _svg(bars, 430, 90, labelled_by)


def spark(points: Sequence[Point]) -> Markup:
    """The line alone, for the side of a number that tells it: decoration to a screen reader."""
    first, last = points[0][0], points[-1][0]
    known_scores = [p[1] for p in points if p[1] is not None] or [50.0]
    middle = (min(known_scores) + max(known_scores)) / 2
    reach = max(_LEAST_SPAN, max(known_scores) - min(known_scores)) / 2
    parts: list[Markup] = []
    for known, run in groupby(points, key=lambda p: p[1] is not None):
        if known:
            placed = [(_x(p[0], first, last), _y(((p[1] or 0.0) - middle) / reach)) for p in run]
            parts.append(Markup('<polyline points="{}"/>').format(" ".join(f"{x},{y}" for x, y in placed)))
            parts.append(Markup('<circle cx="{}" cy="{}" r="2.5"/>').format(*placed[-1]))
    return Markup(
        '<svg viewBox="0 0 {w} {h}" preserveAspectRatio="xMinYMid" aria-hidden="true" class="spark">{inner}</svg>'
    ).format(w=WIDTH, h=HEIGHT, inner=Markup("").join(parts))


def _x(day: date, first: date, last: date) -> float:
    span = (last - first).days
    share = (day - first).days / span if span else 0.5
    return round(_PAD + share * (WIDTH - 2 * _PAD), 1)


def _y(share: float) -> float:
    """-1 is the bottom, 1 the top."""
    return round(HEIGHT / 2 - share * (HEIGHT / 2 - _PAD), 1)


def _days(first: date, last: date) -> Any:
    import altair as alt

    days = max(1, (last - first).days)
    return alt.Axis(
        format="%m-%d",
        tickCount={"interval": "day", "step": -(-days // 5)},
        grid=False,
        labelOverlap="greedy",
    )


def _ends(days: Sequence[tuple[date, int, int]]) -> list[str]:
    return [str(days[0][0]), str(days[-1][0])]


def _svg(chart: Any, width: int, height: int, labelled_by: str) -> Markup:
    """The chart without what a page of its own would need; it scales with its column."""
    import vl_convert

    axis = {
        "labelColor": _INK["text"],
        "labelFontSize": 12,
        "gridColor": _INK["grid"],
        "domainColor": _INK["grid"],
    }
    spec = (
        chart.properties(width=width, height=height, background="transparent", padding=2)
        .configure(aria=False)
        .configure_view(stroke=None)
        .configure_axis(ticks=False, labelPadding=5, **axis)
        .to_dict()
    )
    svg = str(vl_convert.vegalite_to_svg(spec))
    svg = re.sub(r' (?:xmlns(?::xlink)?|role|aria-[a-z]+|font-family|pointer-events|class)="[^"]*"', "", svg)
    box = re.search(r'viewBox="([^"]+)"', svg)
    inner = svg[svg.index(">") + 1 :]
    return Markup('<svg viewBox="{}" role="img" aria-labelledby="{}" class="chart">').format(
        box[1] if box else "", labelled_by
    ) + Markup(inner)
