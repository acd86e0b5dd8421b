"""One merchant's score card: a self-contained page in English and Chinese, for a phone, a desk or paper."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import duckdb

from ccare.exports import card_view, pages, words
from ccare.exports.card_data import CardData, read_card
from ccare.exports.files import checked_id, write_aside
from ccare.exports.words import same
from ccare.growth.snapshot import connect
from ccare.ledger.policy import load_ledger
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

Language = Literal["en", "zh"]


def export_card(
    settings: Settings,
    row: Published,
    merchant_id: str,
    *,
    language: Language | None = None,
    con: duckdb.DuckDBPyConnection | None = None,
) -> Path:
    """Write ``<exports>/merchants/<merchant_id>/<last as-of day>/card.html`` and return its path.

    ``language`` is the one shown first (Chinese in a lake of CNY, else English); the page switches. ``con``
    is a snapshot of ``row`` to read from when many cards are written.

    Raises UsageError where ``merchant_id`` is no id, InputMissing with near names where it is not scored on
    the last as-of day, IntegrityBroken where its drivers or transfers do not add up.
    """
    checked_id(merchant_id)
    with nullcontext(con) if con else connect(settings.lake, row) as open_con:
        data = read_card(open_con, merchant_id)
    folder = settings.exports / "merchants" / merchant_id / data.as_of_date.isoformat()
    page = pages.render("card.html.j2", **_context(settings, row, data, language))
    return write_aside(folder / "card.html", page.encode())


def _context(settings: Settings, row: Published, data: CardData, language: Language | None) -> dict[str, Any]:
    total, dimensions = card_view.scores(data, settings.currency)
    status = data.scores["score_status"]
    return {
        "data": data,
        "row": row,
        "currency": settings.currency,
        "timezone": settings.timezone,
        "language": language or ("zh" if settings.currency == "CNY" else "en"),
        "total": total,
        "dimensions": dimensions,
        "all_scores": (total, *dimensions),
        "status": words.SCORE_STATUS.get(status, same(status)),
        "benchmark": words.BENCHMARK.get(data.scores["benchmark_status"] or "", same("–")),
        "trend_rows": card_view.trend_rows(data),
        "movements": card_view.movements(data.points),
        "signed": card_view.signed,
        "simulated": card_view.simulated_share(data),
        "notes": policy_notes(settings, row),
    }


def policy_notes(settings: Settings, row: Published) -> tuple[str, ...]:
    """What the ledger policy asks every page with points to say; nothing where another one closed the day."""
    policy = load_ledger(settings.conf).for_day(row.business_date)
    return policy.notes if row.policy_version.endswith(f"/{policy.version}") else ()
