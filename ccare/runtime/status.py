"""What is published day by day, read from the manifest without a JVM."""

from datetime import date
from typing import Any

from ccare.growth.snapshot import connect
from ccare.runtime import manifest
from ccare.runtime.lease import read_record
from ccare.runtime.settings import Settings

_FILES = """
select taken_on as day, count(*) as delivered, sum(rows_read) as read, sum(rows_accepted) as accepted,
       sum(rows_duplicate) as duplicate, sum(rows_rejected) as rejected
from raw_files group by taken_on
"""
_SCORED = "select as_of_date as day, count(total_score) as scored from score_merchants group by as_of_date"
_POSTED = "select booked_date as day, count(*) as posted from ledger_transfers group by booked_date"


def lake_status(settings: Settings, day: date | None = None) -> dict[str, Any]:
    """Days with what was delivered, taken, scored, posted and published; the open run where there is one."""
    rows = manifest.published(settings.lake)
    record = read_record(settings.lake) if settings.lake.is_dir() else None
    facts: dict[date, dict[str, Any]] = {}
    if rows:
        con = connect(settings.lake, rows[-1])
        for query in (_FILES, _SCORED, _POSTED):
            result = con.execute(query)
            names = [d[0] for d in result.description or ()]
            for found in result.fetchall():
                facts.setdefault(found[0], {}).update(zip(names[1:], found[1:], strict=True))
    for row in rows:
        facts.setdefault(row.business_date, {}).update(
            published=row.published_at, revision=row.revision, run_id=row.run_id
        )
    if record:
        done = record.steps_done[-1] if record.steps_done else "nothing"
        facts.setdefault(record.day, {})["open"] = f"{record.kind} open, done to {done}"
    shown = [{"day": d, **facts[d]} for d in sorted(facts) if day is None or d == day]
    return {"lake": str(settings.lake), "runs": len(rows), "days": shown}
