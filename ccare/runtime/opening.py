"""What is looked at before a run writes: whether every published table still is what was published."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ccare.errors import IntegrityBroken
from ccare.runtime import deltalog, manifest
from ccare.runtime.controls import control_totals
from ccare.runtime.lease import read_record
from ccare.runtime.manifest import MANIFEST, Published
from ccare.runtime.trail import foreign_commit
from ccare.tables import table


def require_sound(lake: Path, last: Published) -> None:
    """IntegrityBroken names the first table that is not what was published, and what became of it.

    Commit bytes are compared, what stands beyond them is asked for its author, and every data file is looked at. Only
    files that were written to after their log are opened: of those rows and control totals are counted again.
    """
    manifest.check_tables(lake, last)
    record = read_record(lake)
    mine = record.run_id if record is not None and record.run_id != last.run_id else None
    versions = {**last.table_versions, MANIFEST: manifest.read_head(lake)["version"]}
    for name, version in sorted(versions.items()):
        fault = _fault(lake, name, version, mine, last)
        if fault:
            raise IntegrityBroken(
                f"Table {name} is not what was published: {fault}.",
                remedy="Nothing was written. docs/how-to/recover.md says what to do, step by step.",
            )


def _fault(lake: Path, name: str, version: int, open_run: str | None, last: Published) -> str:
    only = name in last.table_versions and table(name).append_only
    # What a run that was cut off left of other tables is taken back; an append-only one takes nothing back.
    fault = foreign_commit(lake, name, version, (open_run or "") if only else None)
    if fault:
        return fault
    stored = deltalog.stored_files(lake, name, version)
    if stored.lost:
        return f"it has lost {len(stored.lost)} data file(s), such as {stored.lost[0]}"
    return _edited(lake, name, version, stored.late, last) if stored.late else ""


def _edited(lake: Path, name: str, version: int, late: dict[str, int | None], last: Published) -> str:
    for path, rows in late.items():
        try:
            found = pq.read_metadata(path).num_rows
        except (OSError, pa.ArrowInvalid):
            return f"its data file {Path(path).name} cannot be read"
        if rows is not None and found != rows:
            return f"its data file {Path(path).name} holds {found} rows, not {rows}"
    for measure, total in control_totals(lake, {name: version}).items():
        if total != last.control_totals.get(measure, total):
            return (
                f"{measure} is {total}, {last.control_totals[measure]} was published: a data file was edited"
            )
    return ""
