"""report.xlsx: a merchant's scores, drivers and statement as sheets, with what they rest on and two charts."""

from datetime import datetime, time
from io import BytesIO
from typing import Any

import pyarrow as pa
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from ccare.exports.card_data import CardData
from ccare.exports.files import neutral
from ccare.metrics.definitions import DIMENSIONS
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

_SHEETS = {"scores.csv": "Scores", "drivers.csv": "Drivers", "statement.csv": "Statement"}
_WIDTH = 26
_NUMBERS = frozenset({"value", "numerator", "denominator", "n"})


def workbook(settings: Settings, row: Published, data: CardData, tables: dict[str, pa.Table]) -> bytes:
    """The workbook's bytes; the same published version gives the same bytes.

    ``tables``: the rows of the merchant's CSV files. Texts are cells of text, never formulas.
    """
    buffer = BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    book = xlsxwriter.Workbook(buffer, options)
    # A clock in the file would give other bytes for the same version.
    published = row.published_at or datetime.combine(row.business_date, time())
    book.set_properties(
        {"title": f"C-CARE {data.merchant_id} {data.as_of_date}", "created": published.replace(tzinfo=None)}
    )
    formats = {
        "head": book.add_format(
            {"bold": True, "bg_color": "#0b5394", "font_color": "#ffffff", "text_wrap": True}
        ),
        "date": book.add_format({"num_format": "yyyy-mm-dd"}),
        "real": book.add_format({"num_format": "0.0000"}),
        "score": book.add_format({"num_format": "0.0"}),
        "whole": book.add_format({"num_format": "#,##0"}),
        "title": book.add_format({"bold": True, "font_size": 16}),
        "warn": book.add_format({"bold": True, "font_color": "#5b2a86"}),
    }
    cover = book.add_worksheet("About")
    sheets = {name: _sheet(book, title, tables[name], formats) for name, title in _SHEETS.items()}
    _cover(cover, settings, row, data, formats)
    if tables["scores.csv"].num_rows:
        _chart(book, cover, tables["scores.csv"])
    if tables["drivers.csv"].num_rows:
        _places(book, sheets["drivers.csv"], tables["drivers.csv"])
    book.close()
    return buffer.getvalue()


def _sheet(book: Workbook, title: str, rows: pa.Table, formats: dict[str, Format]) -> Worksheet:
    page = book.add_worksheet(title)
    page.freeze_panes(1, 1)
    for place, name in enumerate(rows.column_names):
        page.write_string(0, place, name, formats["head"])
        column = rows[name]
        cell = _format(name, column.type, formats)
        values = column.to_pylist()
        for number, value in enumerate(values, start=1):
            _write(page, number, place, name, value, cell)
        longest = max((len(str(v)) for v in values[:50] if v is not None), default=0)
        page.set_column(place, place, min(_WIDTH, max(len(name), longest) + 2))
    if rows.num_rows:
        page.autofilter(0, 0, rows.num_rows, rows.num_columns - 1)
    page.set_landscape()
    page.set_paper(9)
    page.fit_to_pages(1, 0)
    page.repeat_rows(0)
    return page


def _write(page: Worksheet, at: int, place: int, name: str, value: Any, cell: Format | None) -> None:
    if value is None:
        return
    if isinstance(value, str):
        number = _number(value) if name in _NUMBERS else None
        if number is None:
            page.write_string(at, place, value if name in _NUMBERS else neutral(value))
        else:
            page.write_number(at, place, number)
    elif isinstance(value, bool | int | float):
        page.write_number(at, place, value, cell)
    else:
        page.write_datetime(at, place, value, cell)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _format(name: str, kind: pa.DataType, formats: dict[str, Format]) -> Format | None:
    if pa.types.is_date(kind):
        return formats["date"]
    if pa.types.is_integer(kind):
        return formats["whole"]
    if pa.types.is_floating(kind):
        return formats["score" if "_score" in name else "real"]
    return None


def _cover(
    page: Worksheet, settings: Settings, row: Published, data: CardData, formats: dict[str, Format]
) -> None:
    page.set_column(0, 0, 30)
    page.set_column(1, 1, 44)
    page.write_string(0, 0, neutral(data.name), formats["title"])
    if data.simulated_events_56d:
        page.write_string(1, 0, "Part of these figures is simulated 含模拟数据", formats["warn"])
    lines = {
        "Merchant 商家": data.merchant_id,
        "As of 截至": str(data.as_of_date),
        "Total score 总分": data.scores["total_score"],
        **{f"{d.capitalize()} score": data.scores[f"{d}_score"] for d in DIMENSIONS},
        "Points usable 可用点数": data.points.active,
        "Points pending 待生效": data.points.pending,
        "Points owed 欠点": data.points.debt,
        "Currency 币种": f"{settings.currency}, amounts in its minor unit",
        "Business time zone": settings.timezone,
        "Policy": row.policy_version,
        "Published as": f"{row.seq} ({row.hash[:12]})",
        "Small numbers": "<10 users, bounds a..b, or withheld: nobody can be singled out",
    }
    for number, (name, value) in enumerate(lines.items(), start=3):
        page.write_string(number, 0, name)
        if isinstance(value, int | float):
            page.write_number(number, 1, value)
        else:
            page.write_string(number, 1, "–" if value is None else neutral(value))


def _chart(book: Workbook, page: Worksheet, scores: pa.Table) -> None:
    """Total and dimensions over the as-of days (rows stand newest first, so the axis is turned round)."""
    chart = book.add_chart({"type": "line"})
    names = scores.column_names
    for name in ("total", *DIMENSIONS):
        place = names.index(f"{name}_score")
        chart.add_series(
            {
                "name": name.capitalize(),
                "categories": [
                    "Scores",
                    1,
                    names.index("as_of_date"),
                    scores.num_rows,
                    names.index("as_of_date"),
                ],
                "values": ["Scores", 1, place, scores.num_rows, place],
                "line": {"width": 3 if name == "total" else 1.25},
                "marker": {"type": "circle", "size": 4},
            }
        )
    chart.set_title({"name": "Scores 评分"})
    chart.set_y_axis({"min": 0, "max": 100})
    chart.set_x_axis({"reverse": True, "date_axis": False, "num_format": "mm-dd"})
    chart.set_size({"width": 620, "height": 320})
    page.insert_chart("D2", chart, {"description": "Total and dimension scores of the last as-of days"})


def _places(book: Workbook, page: Worksheet, drivers: pa.Table) -> None:
    """Place of each driver among its peers."""
    chart = book.add_chart({"type": "bar"})
    names = drivers.column_names
    metric, place = names.index("metric"), names.index("percentile")
    chart.add_series(
        {
            "name": "Place among peers 位次",
            "categories": ["Drivers", 1, metric, drivers.num_rows, metric],
            "values": ["Drivers", 1, place, drivers.num_rows, place],
            "fill": {"color": "#0b5394"},
        }
    )
    chart.set_x_axis({"min": 0, "max": 100})
    chart.set_y_axis({"reverse": True})
    chart.set_legend({"none": True})
    chart.set_size({"width": 620, "height": 28 * drivers.num_rows + 80})
    page.insert_chart(
        drivers.num_rows + 2, 0, chart, {"description": "Place of each metric among peers, 0 to 100"}
    )
