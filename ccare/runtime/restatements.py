"""Why a closed day was told again, published beside it."""

from pathlib import Path

from ccare.runtime import deltalog
from ccare.runtime.lease import RunRecord
from ccare.runtime.rowstore import write_rows
from ccare.tables import table


def store_restatement(lake: Path, record: RunRecord) -> None:
    """Publish the record's reason in run_restatements: once, however often the step is retried."""
    if not record.reason:
        return
    declared = table("run_restatements")
    newest = record.versions.get(declared.name, deltalog.latest_version(lake, declared.name))
    known = [] if newest is None else deltalog.rows(lake, declared.name, newest, ("run_id",))
    if any(row["run_id"] == record.run_id for row in known):
        return
    row = {
        "business_date": record.day,
        "revision": record.revision,
        "reason": record.reason,
        "restated_at": record.posted_at,
        "run_id": record.run_id,
    }
    record.versions[declared.name] = write_rows(lake, declared, [row], record.run_id)
