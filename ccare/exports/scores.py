"""Scores of all merchants on the last published as-of day, for people (CSV) and for systems (Parquet)."""

from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ccare.errors import InputMissing
from ccare.exports.files import csv_bytes, publish_files
from ccare.growth.snapshot import connect
from ccare.metrics.definitions import DIMENSIONS
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings
from ccare.tables import table
from ccare.tables.model import Column

SCHEMA = "ccare.scores/1"
"""Raised when a column is renamed, dropped or changes its meaning; new columns keep it."""

_SCORES = table("score_merchants")
MEASURES = tuple(
    _SCORES.column(f"{name}_score{bound}")
    for name in (*DIMENSIONS, "total")
    for bound in ("", "_low", "_high")
)
_MERCHANTS = table("core_merchants")
COLUMNS: tuple[Column, ...] = (
    _SCORES.column("merchant_id"),
    _SCORES.column("as_of_date"),
    _MERCHANTS.column("name"),
    _MERCHANTS.column("industry"),
    *MEASURES,
    *(_SCORES.column(f"{name}_coverage") for name in DIMENSIONS),
    *(_SCORES.column(name) for name in ("score_status", "peer_group", "peers", "benchmark_status")),
    Column("points_pending", "bigint", "Points earned that do not count yet.", unit="points"),
    Column("points_active", "bigint", "Points that can be used.", unit="points"),
    Column("points_debt", "bigint", "Points owed after a fall; 0 without any.", unit="points"),
    Column("currency", "string", "Currency of the lake; amounts count its minor unit."),
    Column("events_56d", "bigint", "Events in the 56 days that the scores look back.", unit="events"),
    Column("simulated_events_56d", "bigint", "Of these, events with origin simulated.", unit="events"),
    Column("simulated_event_share", "double", "Simulated events / events, six decimals.", unit="share"),
    Column("origin", "string", "What the scores rest on: real, simulated, mixed, or none without events."),
    _SCORES.column("policy_version"),
    _SCORES.column("run_id"),
)
"""Columns of both files, in order."""

_SQL = """
with events as (
    select merchant_id, coalesce(sum(events), 0)::bigint as events_56d,
           coalesce(sum(simulated_events), 0)::bigint as simulated_events_56d
    from state_merchant_days where business_date between $day::date - 55 and $day::date group by merchant_id
), points as (
    select split_part(account, ':', 2) as merchant_id,
           coalesce(sum(balance) filter (account like '%:pending'), 0)::bigint as points_pending,
           coalesce(sum(balance) filter (account like '%:active'), 0)::bigint as points_active,
           coalesce(-sum(balance) filter (account like '%:debt'), 0)::bigint as points_debt
    from ledger_balances where asset = 'POINT' and account like 'merchant:%' group by 1
)
select s.*, m.name, m.industry, $currency as currency,
       coalesce(points_pending, 0) as points_pending, coalesce(points_active, 0) as points_active,
       coalesce(points_debt, 0) as points_debt, coalesce(events_56d, 0) as events_56d,
       coalesce(simulated_events_56d, 0) as simulated_events_56d,
       case when events_56d > 0 then round(simulated_events_56d / events_56d, 6) end as simulated_event_share,
       case when coalesce(events_56d, 0) = 0 then 'none' when simulated_events_56d = 0 then 'real'
            when simulated_events_56d = events_56d then 'simulated' else 'mixed' end as origin
from score_merchants s left join events using (merchant_id) left join points using (merchant_id)
left join core_merchants m on m.merchant_id = s.merchant_id and m.valid_from <= s.as_of_date
    and coalesce(m.valid_to, date '9999-12-31') >= s.as_of_date
where s.as_of_date = $day::date order by s.merchant_id
"""
_ARROW = {"string": pa.string(), "date": pa.date32(), "double": pa.float64(), "bigint": pa.int64()}


@dataclass(frozen=True)
class ExportSummary:
    """What was written. ``files``: name -> sha256; ``simulated_merchants`` rest on some simulated event."""

    as_of_date: date
    folder: Path
    files: dict[str, str]
    merchants: int
    scored: int
    simulated_merchants: int


def last_day(settings: Settings, row: Published) -> date:
    """The last as-of day that ``row`` publishes scores for; InputMissing without any."""
    with connect(settings.lake, row) as con:
        found = con.execute("select max(as_of_date) from score_merchants").fetchone()
    if not found or found[0] is None:
        raise no_scores(settings)
    day: date = found[0]
    return day


def no_scores(settings: Settings) -> InputMissing:
    """No day is scored yet."""
    return InputMissing(
        f"The lake {settings.lake} has no published scores.", remedy="Close a day first: ccare run --day D."
    )


def export_scores(settings: Settings, row: Published) -> ExportSummary:
    """Write ``<exports>/<day>/scores.csv``, ``scores.parquet`` and, last, ``manifest.json``.

    One row for each merchant scored on the last published as-of day, in order of merchant_id; the same
    published run gives the same bytes. Raises InputMissing where nothing is scored yet.
    """
    day = last_day(settings, row)
    rows = _rows(settings, row, day)
    folder = settings.exports / day.isoformat()
    simulated = sum(value > 0 for value in rows["simulated_events_56d"].to_pylist())
    files = {"scores.csv": csv_bytes(rows), "scores.parquet": _parquet(rows)}
    digests = publish_files(folder, files, _about(settings, row, day, rows, simulated))
    scored = rows.num_rows - rows["total_score"].null_count
    return ExportSummary(day, folder, digests, rows.num_rows, scored, simulated)


def _rows(settings: Settings, row: Published, day: date) -> pa.Table:
    with connect(settings.lake, row) as con:
        found = con.execute(_SQL, {"day": day, "currency": settings.currency}).to_arrow_table()
    schema = pa.schema(
        [
            pa.field(c.name, _ARROW[c.type], metadata={"description": c.description, "unit": c.unit})
            for c in COLUMNS
        ],
        metadata={
            "schema": SCHEMA,
            "as_of_date": str(day),
            "lake_hash": row.hash,
            "currency": settings.currency,
        },
    )
    return found.select(schema.names).cast(schema)


def _parquet(rows: pa.Table) -> bytes:
    buffer = BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getvalue()


def _about(
    settings: Settings, row: Published, day: date, rows: pa.Table, simulated: int
) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "as_of_date": str(day),
        "merchants": rows.num_rows,
        "seq": row.seq,
        "run_id": row.run_id,
        "lake_hash": row.hash,
        "policy_version": row.policy_version,
        "currency": settings.currency,
        "amounts": "minor units of the currency",
        "business_timezone": settings.timezone,
        "simulated": f"{simulated} of {rows.num_rows} merchants rest on at least one simulated event; "
        "see the columns simulated_event_share and origin",
        "csv": "UTF-8 with BOM; text that begins with = + - @ or a control character has ' before it",
        "columns": [
            {"name": c.name, "type": c.type, "unit": c.unit, "description": c.description} for c in COLUMNS
        ],
    }
