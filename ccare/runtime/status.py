"""What became of each day, from its deliveries to its exports: read from the manifest without a JVM."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import duckdb

from ccare.growth.snapshot import connect
from ccare.runtime import manifest
from ccare.runtime.controls import MISSING_ALLOWED
from ccare.runtime.expiry import exported_run
from ccare.runtime.intake import delivery_date
from ccare.runtime.late import taken_rows
from ccare.runtime.lease import RunRecord, read_record
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings
from ccare.tables.streams import STREAMS

_FILES = """
select taken_on as day, count(*) as delivered, sum(rows_read) as read, sum(rows_accepted) as ingested,
       sum(rows_duplicate) as duplicate, sum(rows_rejected) as rejected
from raw_files group by taken_on
"""
_TAKEN = """
taken_on as day, count(*) filter (business_date < taken_on) as late,
count(*) filter (origin = 'simulated') as simulated
"""
_SCORED = "select as_of_date as day, count(total_score) as scored from score_merchants group by as_of_date"
_POSTED = "select booked_date as day, count(*) as posted from ledger_transfers group by booked_date"
_RELEASED = (
    "select business_date as day, list(table_name || '.' || rule) as released from run_releases group by 1"
)
Facts = dict[date, dict[str, Any]]


def lake_status(settings: Settings, day: date | None = None) -> dict[str, Any]:
    """Every day with what was delivered, ingested, rejected, scored, posted, published and exported.

    ``late`` counts rows of earlier days that a close took; all the history that a first close takes is not late.
    ``missing_allowed`` names required streams that a close went on without. ``blocked`` names the rules that stand in
    the open run's way; ``open`` tells where that run is.
    """
    rows = manifest.published(settings.lake)
    facts: Facts = {}
    if rows:
        with connect(settings.lake, rows[-1]) as con:
            for query in (_FILES, _SCORED, _POSTED, _RELEASED):
                _collect(con.sql(query), facts)
            _collect(taken_rows(con).aggregate(_TAKEN, "taken_on"), facts)
        first = min(row.business_date for row in rows)
        facts.setdefault(first, {})["late"] = 0
    _tell_runs(settings, rows, facts)
    record = read_record(settings.lake) if settings.lake.is_dir() else None
    if record:
        _tell_open(record, facts.setdefault(record.day, {}))
    _tell_waiting(settings, rows, facts)
    shown = [{"day": d, **facts[d]} for d in sorted(facts) if day is None or d == day]
    return {"lake": str(settings.lake), "runs": len(rows), "days": shown}


def _collect(found: duckdb.DuckDBPyRelation, facts: Facts) -> None:
    for row in found.fetchall():
        facts.setdefault(row[0], {}).update(zip(found.columns[1:], row[1:], strict=True))


def _tell_runs(settings: Settings, rows: list[Published], facts: Facts) -> None:
    exported = exported_run(settings.exports) or 0
    for row in rows:
        told = facts.setdefault(row.business_date, {})
        told.update(published=row.published_at, revision=row.revision, run_id=row.run_id, seq=row.seq)
        told["exported"] = row.seq <= exported
        let_go = [n.removesuffix(MISSING_ALLOWED) for n in row.control_totals if n.endswith(MISSING_ALLOWED)]
        if let_go:
            told["missing_allowed"] = sorted(let_go)


def _tell_open(record: RunRecord, told: dict[str, Any]) -> None:
    done = record.steps_done[-1] if record.steps_done else "nothing"
    told["open"] = f"{record.kind} open, done to {done}"
    if record.blocked:
        told["blocked"] = list(record.blocked)


def _tell_waiting(settings: Settings, rows: list[Published], facts: Facts) -> None:
    """Files that wait for days after the last closed one, and the required streams that have not come."""
    closed = max((row.business_date for row in rows), default=None)
    if closed is None:
        return
    waiting: dict[date, int] = {}
    for stream in STREAMS:
        for folder in (settings.landing / stream).glob("*"):
            delivered = delivery_date(folder.name)
            # The business day that it belongs to is the day before.
            day = delivered and delivered - timedelta(days=1)
            if day is not None and day > closed:
                waiting[day] = waiting.get(day, 0) + sum(path.is_file() for path in folder.iterdir())
    required = [stream.name for stream in STREAMS.values() if stream.required_daily]
    for day, files in waiting.items():
        told = facts.setdefault(day, {})
        told.setdefault("delivered", files)
        dated = (day + timedelta(days=1)).isoformat()
        told["missing"] = [name for name in required if not (settings.landing / name / dated).is_dir()]


def stage(told: Mapping[str, Any]) -> str:
    """A day in one word, and what stands in its way."""
    if told.get("blocked"):
        return f"blocked by {', '.join(told['blocked'])}"
    if told.get("open"):
        return str(told["open"])
    if told.get("missing"):
        return f"waits for {', '.join(told['missing'])}"
    if not told.get("published"):
        return "delivered, not closed"
    return "exported" if told.get("exported") else "published, not exported"
