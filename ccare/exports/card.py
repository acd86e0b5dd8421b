"""One merchant's score card: a self-contained page in English and Chinese, for a phone, a desk or paper."""

from typing import Any

import duckdb
import pyarrow as pa

from ccare.exports import card_view, month_view, pages, words
from ccare.exports.advice import actions
from ccare.exports.card_data import CardData, read_card
from ccare.exports.charts import flows
from ccare.exports.drivers import Drivers
from ccare.exports.suppression import MIN_PEERS
from ccare.exports.words import Language, Words, first_language, same
from ccare.exports.workbook import workbook
from ccare.ledger.policy import load_ledger
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings
from ccare.scoring.policy import load_scoring


def merchant_files(
    settings: Settings,
    row: Published,
    merchant_id: str,
    *,
    con: duckdb.DuckDBPyConnection,
    language: Language | None = None,
    drivers: Drivers,
    tables: dict[str, pa.Table],
) -> dict[str, bytes]:
    """``card.html`` and ``report.xlsx`` of a merchant, from what its CSV files are written from (``tables``).

    Raises IntegrityBroken where its drivers or transfers do not add up.
    """
    data = read_card(con, merchant_id, drivers, tables["statement.csv"])
    return {
        "card.html": render_card(settings, row, data, language).encode(),
        "report.xlsx": workbook(settings, row, data, tables),
    }


def render_card(settings: Settings, row: Published, data: CardData, language: Language | None = None) -> str:
    """The page. ``language`` is the one shown first (Chinese in a lake of CNY, else English); the page switches."""
    return pages.render("card.html.j2", **_context(settings, row, data, language))


def _context(settings: Settings, row: Published, data: CardData, language: Language | None) -> dict[str, Any]:
    total, dimensions = card_view.scores(data, settings.currency)
    status, peers = data.scores["score_status"], data.scores["peers"]
    found = actions(data, load_scoring(settings.conf).for_day(data.as_of_date))
    month = month_view.month(data)
    slots, traffic = month_view.slots(data)
    return {
        "data": data,
        "row": row,
        "currency": settings.currency,
        "timezone": settings.timezone,
        "language": language or first_language(settings.currency),
        "since": data.since,
        "total": total,
        "dimensions": dimensions,
        "all_scores": (total, *dimensions),
        "status": words.SCORE_STATUS.get(status, same(status)),
        "peers": None if peers is None else f"<{MIN_PEERS}" if peers < MIN_PEERS else f"{peers:,}",
        "benchmark": words.BENCHMARK.get(data.scores["benchmark_status"] or "", same("–")),
        "trend_rows": card_view.trend_rows(data),
        "actions": card_view.action_views(data, found, settings.currency),
        "month": month,
        "month_chart": flows(month.by_day, "caption-month"),
        "facts": card_view.fact_rows(data, settings.currency),
        "slots": slots,
        "traffic": traffic,
        "not_granted": month_view.not_granted(data, settings.currency),
        "requests": month_view.requests(data),
        "movements": card_view.movements(data.points),
        "signed": card_view.signed,
        "simulated": card_view.simulated_share(data),
        "notes": policy_notes(settings, row),
    }


def policy_notes(settings: Settings, row: Published) -> tuple[Words, ...]:
    """What the ledger policy asks every page with points to say; nothing where another one closed the day."""
    policy = load_ledger(settings.conf).for_day(row.business_date)
    if not row.policy_version.endswith(f"/{policy.version}"):
        return ()
    return tuple(Words(note.en, note.zh) for note in policy.notes)
