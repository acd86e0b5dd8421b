"""Answers drawn: a Vega-Lite chart of a query's rows, rendered to SVG without a browser or a network."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from ccare.errors import UsageError
from ccare.exports.files import write_aside
from ccare.growth.questions import Plot, Question
from ccare.runtime.settings import Settings

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
PALETTE = ["#0b5394", "#b45f06", "#2f7d4f", "#8e4b9b", "#a1123a", "#5f6b76", "#0f8b8d", "#c58a00"]
"""Told apart by people who do not see every colour, and 3:1 or more against white."""
CONFIG: dict[str, Any] = {
    "background": "white",
    "font": "system-ui, Segoe UI, Roboto, PingFang SC, Microsoft YaHei, Noto Sans CJK SC, sans-serif",
    "axis": {"labelColor": "#4d5763", "titleColor": "#1a1f26", "gridColor": "#e3e7eb", "labelLimit": 160},
    "legend": {"labelColor": "#1a1f26", "titleColor": "#1a1f26", "symbolStrokeWidth": 2},
    "title": {"color": "#1a1f26", "subtitleColor": "#4d5763", "anchor": "start", "fontSize": 14},
    "range": {
        "category": PALETTE,
        "heatmap": ["#f4f6f8", "#9cc3e6", "#0b5394"],
        "ramp": ["#f4f6f8", "#0b5394"],
    },
    "view": {"stroke": None},
}
_MOST_ROWS = 5000


def plot_answer(
    settings: Settings, asked: Question | None, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Path:
    """Write ``<exports>/plots/<name>.svg`` (query.svg for a query of one's own) and return its path.

    A question is drawn as its header says; another answer by its first column and its numbers. UsageError where
    there is nothing to draw.
    """
    if not rows:
        raise UsageError("There is no row to draw.", remedy="Ask with other parameters.")
    if len(rows) > _MOST_ROWS:
        raise UsageError(
            f"{len(rows)} rows are too many to draw.", remedy=f"At most {_MOST_ROWS}: ask for fewer."
        )
    plot = asked.plot if asked and asked.plot else guessed(columns, rows)
    title = asked.question if asked else "Answer"
    path = settings.exports / "plots" / f"{asked.name if asked else 'query'}.svg"
    return write_aside(path, svg(chart(plot, columns, rows, title)).encode())


def svg(spec: Mapping[str, Any]) -> str:
    """The chart as SVG."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(dict(spec))
    return drawn


def guessed(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Plot:
    """Numbers over the first column: lines over days or numbers, else bars. UsageError without a number."""
    first, *others = columns
    numbers = tuple(
        name
        for at, name in enumerate(others, 1)
        if any(_is_number(row[at]) for row in rows)
        and all(row[at] is None or _is_number(row[at]) for row in rows)
    )
    if not numbers:
        raise UsageError(
            "There is no number to draw.", remedy="Select a day or a name first, then one number or more."
        )
    ordered = all(isinstance(row[0], date | int | float) for row in rows)
    return Plot("line" if ordered and len(rows) > 1 else "bar", first, numbers)


def chart(plot: Plot, columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str) -> dict[str, Any]:
    """A Vega-Lite specification with the rows inside."""
    values = [{name: plain(value) for name, value in zip(columns, row, strict=True)} for row in rows]
    spec = {
        "$schema": SCHEMA,
        "title": {"text": _wrapped(title)},
        "config": CONFIG,
        "data": {"values": values},
        "width": 560,
        "height": 300,
    }
    x = _x(plot, rows[0][columns.index(plot.x)])
    return spec | (_heat(plot, x) if plot.kind == "heat" else _marks(plot, x))


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date | datetime) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _x(plot: Plot, sample: Any) -> dict[str, Any]:
    kind = "temporal" if isinstance(sample, date) and plot.kind == "line" else "ordinal"
    if _is_number(sample) and plot.kind == "line":
        kind = "quantitative"
    x: dict[str, Any] = {"field": plot.x, "type": kind, "title": _named(plot.x)}
    if kind == "ordinal":
        x["sort"] = None
        x["axis"] = {"labelAngle": 0 if plot.kind == "heat" else -40}
    elif kind == "temporal":
        x["axis"] = {"format": "%d %b %Y", "labelOverlap": True, "labelAngle": 0, "tickCount": 6}
    return x


def _heat(plot: Plot, x: dict[str, Any]) -> dict[str, Any]:
    value, y = plot.by or "", plot.y[0]
    return {
        "mark": {"type": "rect", "stroke": "white"},
        "encoding": {
            "x": x,
            "y": {"field": y, "type": "ordinal", "sort": None, "title": _named(y)},
            "color": {"field": value, "type": "quantitative", "title": _named(value)},
        },
    }


def _marks(plot: Plot, x: dict[str, Any]) -> dict[str, Any]:
    mark: dict[str, Any] = (
        {"type": "line", "point": True, "strokeWidth": 2} if plot.kind == "line" else {"type": "bar"}
    )
    encoding: dict[str, Any] = {"x": x}
    spec: dict[str, Any] = {"mark": mark, "encoding": encoding}
    if len(plot.y) > 1:
        spec["transform"] = [{"fold": list(plot.y), "as": ["measure", "value"]}]
        encoding["y"] = {"field": "value", "type": "quantitative", "title": None}
        apart = "measure"
    else:
        encoding["y"] = {"field": plot.y[0], "type": "quantitative", "title": _named(plot.y[0])}
        apart = plot.by or ""
    if apart:
        encoding["color"] = {"field": apart, "type": "nominal", "title": None, "sort": None}
        if plot.kind == "bar":
            encoding["xOffset"] = {"field": apart, "sort": None}
    return spec


def _named(column: str) -> str:
    return column.replace("_", " ")


def _wrapped(text: str, width: int = 84) -> list[str]:
    lines: list[str] = [""]
    for word in text.split():
        lines[-1:] = (
            [f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < width else [lines[-1], word]
        )
    return lines
