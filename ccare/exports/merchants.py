"""Every merchant's own folder out of one published version, many merchants at a time, in several processes."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ccare.errors import UsageError
from ccare.events.slots import load_slots
from ccare.exports import drivers as driver_rows
from ccare.exports import statement
from ccare.exports.card import merchant_files
from ccare.exports.card_data import known_merchant
from ccare.exports.figures import suppressed
from ccare.exports.files import checked_id
from ccare.exports.merchant_files import folder_of, manifest_before, sheet, write_folders
from ccare.exports.orders import read_orders
from ccare.exports.scores import MEASURES, last_day
from ccare.exports.statement import Span
from ccare.exports.suppression import MIN_PEERS
from ccare.exports.words import Language
from ccare.growth.snapshot import connect
from ccare.metrics.definitions import DIMENSIONS
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings
from ccare.tables import table
from ccare.tables.model import Column

SCHEMA = "ccare.merchant/1"
SCORES_SCHEMA = "ccare.merchant-scores/1"
SCORE_DAYS = 28
BATCH = 5000
"""Merchants worked on at once: a process of some 900 MB."""
_SCORES = table("score_merchants")
ORIGIN = Column("origin", "string", "What the merchant's figures rest on: real, or mixed (part simulated).")
SCORE_COLUMNS: tuple[Column, ...] = (
    *(_SCORES.column(name) for name in ("merchant_id", "as_of_date")),
    *(table("core_merchants").column(name) for name in ("name", "industry")),
    *MEASURES,
    *(_SCORES.column(f"{name}_coverage") for name in DIMENSIONS),
    *(_SCORES.column(name) for name in ("score_status", "peer_group")),
    Column("peers", "string", f"Active merchants in the peer group when it was frozen, or <{MIN_PEERS}."),
    *(_SCORES.column(name) for name in ("benchmark_status", "policy_version", "run_id")),
)
# Without coalesce, by valid_to is null or ..., DuckDB compares every row with every merchant.
_SCORES_SQL = f"""
select s.* exclude (peers), m.name, m.industry,
    case when s.peers < {MIN_PEERS} then '<{MIN_PEERS}' else s.peers::varchar end as peers
from score_merchants s
left join (from core_merchants where merchant_id between $first and $last) m on m.merchant_id = s.merchant_id
    and m.valid_from <= s.as_of_date and coalesce(m.valid_to, date '9999-12-31') >= s.as_of_date
where s.merchant_id between $first and $last and s.as_of_date between $day::date - {SCORE_DAYS - 1} and $day::date
order by s.merchant_id, s.as_of_date desc
"""
_SIMULATED = """
select merchant_id from state_merchant_days
where merchant_id between $first and $last and business_date between $day::date - 55 and $day::date
group by 1 having sum(simulated_events) > 0 order by 1
"""
_IDS = "select merchant_id from score_merchants where as_of_date = $day order by merchant_id"
_TOP = """
select merchant_id from score_merchants where as_of_date = $day
order by total_score desc nulls last, merchant_id limit $top
"""


@dataclass(frozen=True)
class MerchantsWritten:
    """What was written. ``folders``: those of named and top merchants, with card and workbook."""

    as_of_date: date
    merchants: int
    files: int
    folders: list[Path]


def export_merchants(
    settings: Settings,
    row: Published,
    *,
    named: Sequence[str] = (),
    top: int = 0,
    everyone: bool = False,
    language: Language | None = None,
    processes: int | None = None,
) -> MerchantsWritten:
    """Write ``<exports>/merchants/<merchant_id>/<day>/`` of the last as-of day that ``row`` publishes.

    ``named`` merchants, and the ``top`` by total score, get every file with card.html and report.xlsx; ``everyone``
    gives all merchants their CSV files, in ``processes`` processes (one a core). Raises UsageError where an id is
    none or nobody is asked for, InputMissing where a merchant is not scored, IntegrityBroken where figures do not
    add up or a file reads back otherwise.
    """
    for merchant in named:
        checked_id(merchant)
    if not (named or top or everyone):
        raise UsageError(
            "No merchant was asked for.", remedy="Name one, or ask for the top ones or for everyone."
        )
    day, files = last_day(settings, row), 0
    with connect(settings.lake, row) as con:
        for merchant in named:
            known_merchant(con, merchant, day)
        ids = [r[0] for r in con.execute(_IDS, {"day": day}).fetchall()]
        best = [r[0] for r in con.execute(_TOP, {"day": day, "top": top}).fetchall()] if top else []
    full = list(dict.fromkeys([*named, *best]))
    if everyone:
        files += _in_processes(settings, row, day, ids, processes or os.cpu_count() or 1)
    with connect(settings.lake, row) as con:
        for merchant in full:
            span = Span(merchant, merchant, day)
            extras = partial(merchant_files, settings, row, con=con, language=language)
            files += _write(settings, row, con, span, [merchant], extras)
    count = len(ids) if everyone else len(full)
    return MerchantsWritten(day, count, files, [folder_of(settings.exports, m, day) for m in full])


def _in_processes(settings: Settings, row: Published, day: date, ids: list[str], processes: int) -> int:
    batches = [ids[i : i + BATCH] for i in range(0, len(ids), BATCH)]
    work = partial(_write_batch, settings, row, day)
    if processes == 1 or len(batches) == 1:
        return sum(map(work, batches))
    # A forked DuckDB or Arrow would share locks with threads that do not exist in the child.
    with ProcessPoolExecutor(min(processes, len(batches)), mp_context=get_context("spawn")) as pool:
        return sum(pool.map(work, batches))


def _write_batch(settings: Settings, row: Published, day: date, ids: list[str]) -> int:
    pa.set_cpu_count(1)
    with connect(settings.lake, row) as con:
        con.execute("set threads = 1")
        con.execute("set enable_progress_bar = false")
        return _write(settings, row, con, Span(ids[0], ids[-1], day), ids, None)


def _write(
    settings: Settings,
    row: Published,
    con: duckdb.DuckDBPyConnection,
    span: Span,
    ids: list[str],
    extras: Callable[..., dict[str, bytes]] | None,
) -> int:
    folders = {m: folder_of(settings.exports, m, span.day) for m in ids}
    before = {m: manifest_before(folder) for m, folder in folders.items()}
    hidden_then = {m: b.get("suppressed", {}) for m, b in before.items()}
    public = load_slots(settings.conf, span.day).public
    orders = read_orders(con, span.bounds, hidden_then, public)
    told = driver_rows.read_drivers(con, span, hidden_then, orders)
    hidden = dict(zip(told.merchants, suppressed(told.safe), strict=True))
    simulated = {r[0] for r in con.execute(_SIMULATED, span.bounds).fetchall()}
    tables = {
        "scores.csv": _scores(con, span),
        "drivers.csv": driver_rows.driver_table(told, span.day),
        "statement.csv": statement.statement_rows(con, span, orders),
    }
    tables = {name: _with_origin(rows, simulated) for name, rows in tables.items()}
    numbers = {"drivers.csv": driver_rows.NUMBERS}
    sheets = [sheet(name, rows, numbers.get(name, ())) for name, rows in tables.items()]
    about = partial(_about, _about_all(settings, row, span), simulated, hidden)
    more = partial(extras, drivers=told, tables=tables) if extras else None
    return write_folders(folders, sheets, about, before, more)


def _scores(con: duckdb.DuckDBPyConnection, span: Span) -> pa.Table:
    found = con.execute(_SCORES_SQL, span.bounds).to_arrow_table()
    return found.select([c.name for c in SCORE_COLUMNS])


def _with_origin(rows: pa.Table, simulated: Iterable[str]) -> pa.Table:
    mixed = pc.is_in(rows["merchant_id"], pa.array(sorted(simulated), pa.string()))
    return rows.append_column(ORIGIN.name, pc.if_else(mixed, "mixed", "real"))


def _about_all(settings: Settings, row: Published, span: Span) -> dict[str, Any]:
    """What every manifest says beside the files; None where a merchant's own stands."""
    return {
        "schema": SCHEMA,
        "merchant_id": None,
        "as_of_date": str(span.day),
        "statement_from": str(span.start),
        "seq": row.seq,
        "run_id": row.run_id,
        "lake_hash": row.hash,
        "policy_version": row.policy_version,
        "currency": settings.currency,
        "amounts": "minor units of the currency",
        "business_timezone": settings.timezone,
        "origin": None,
        "schemas": {
            "scores.csv": SCORES_SCHEMA,
            "drivers.csv": driver_rows.SCHEMA,
            "statement.csv": statement.SCHEMA,
        },
    }


def _about(
    shared: Mapping[str, Any], simulated: set[str], hidden: Mapping[str, dict[str, str]], merchant: str
) -> dict[str, Any]:
    origin = "mixed: part of it is simulated" if merchant in simulated else "real"
    own = {"merchant_id": merchant, "origin": origin, "suppressed": hidden.get(merchant, {})}
    return {**shared, **own}
