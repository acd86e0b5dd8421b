"""A score over the as-of days as inline SVG: line, 80 % band, gaps where it is not known.

Drawn by hand rather than by a chart library: a chart of 2 kB is enough, takes the page's own colours and
fonts in print and on screen, and gives the same bytes on every machine.
"""

from collections.abc import Sequence
from datetime import date
from itertools import groupby

from markupsafe import Markup

WIDTH, HEIGHT = 320, 132
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 12, 10, 22

Point = tuple[date, float | None, float | None, float | None]
"""Day, score, low, high."""


def trend(points: Sequence[Point], labelled_by: str) -> Markup:
    """The chart of ``points`` (oldest first, scores 0 to 100), named by the element ``labelled_by``."""
    first, last = points[0][0], points[-1][0]
    parts = [_grid(), _dates(first, last)]
    for known, run in groupby(points, key=lambda p: p[1] is not None):
        if known:
            parts += _run([_placed(p, first, last) for p in run])
    inner = Markup("").join(parts)
    return Markup(
        '<svg viewBox="0 0 {w} {h}" role="img" aria-labelledby="{label}" class="trend">{inner}</svg>'
    ).format(w=WIDTH, h=HEIGHT, label=labelled_by, inner=inner)


def _x(day: date, first: date, last: date) -> float:
    span = (last - first).days
    share = (day - first).days / span if span else 0.5
    return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)


def _y(score: float) -> float:
    return round(_TOP + (100 - score) / 100 * (HEIGHT - _TOP - _BOTTOM), 1)


def _placed(point: Point, first: date, last: date) -> tuple[float, float, float, float]:
    day, score, low, high = point
    assert score is not None
    bounds = (score if low is None else low, score if high is None else high)
    return _x(day, first, last), _y(score), _y(bounds[0]), _y(bounds[1])


def _grid() -> Markup:
    line = Markup('<line class="grid" x1="{x1}" x2="{x2}" y1="{y}" y2="{y}"/>')
    label = Markup('<text class="axis" x="{x}" y="{y}" text-anchor="end">{score}</text>')
    return Markup("").join(
        line.format(x1=_LEFT, x2=WIDTH - _RIGHT, y=_y(score))
        + label.format(x=_LEFT - 5, y=_y(score) + 4, score=score)
        for score in (0, 50, 100)
    )


def _dates(first: date, last: date) -> Markup:
    text = Markup('<text class="axis" x="{x}" y="{y}" text-anchor="{anchor}">{day}</text>')
    if first == last:
        return text.format(x=_x(first, first, last), y=HEIGHT - 5, anchor="middle", day=first)
    return text.format(x=_LEFT, y=HEIGHT - 5, anchor="start", day=first) + text.format(
        x=WIDTH - _RIGHT, y=HEIGHT - 5, anchor="end", day=last
    )


def _run(placed: list[tuple[float, float, float, float]]) -> list[Markup]:
    """Band, line and points of days without a gap."""
    upper = [f"{x},{high}" for x, _, _, high in placed]
    lower = [f"{x},{low}" for x, _, low, _ in reversed(placed)]
    line = " ".join(f"{x},{y}" for x, y, _, _ in placed)
    parts = [
        Markup('<polygon class="band" points="{}"/>').format(" ".join(upper + lower)),
        Markup('<polyline class="line" points="{}"/>').format(line),
    ]
    if len(placed) == 1:
        x, _, low, high = placed[0]
        parts.append(Markup('<line class="bar" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(x, low, high))
    radius = 3 if len(placed) <= 14 else 0
    marked = placed if radius else placed[-1:]
    parts += [Markup('<circle class="point" cx="{}" cy="{}" r="3"/>').format(x, y) for x, y, _, _ in marked]
    return parts
