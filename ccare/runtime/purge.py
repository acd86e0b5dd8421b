"""Files that no published version needs: removed when their retention is over, or at once."""

from pathlib import Path

from ccare.runtime import deltalog
from ccare.runtime.manifest import Published
from ccare.tables import Table, stored_tables

RETENTION_HOURS = 35 * 24


def holds_users(table: Table) -> bool:
    """Whether rows of the table carry a user's token."""
    return "user_key" in table.column_names


def purge(lake: Path, row: Published, *, now: bool) -> dict[str, int]:
    """Remove superseded data files of every table that holds users; returns files removed by table.

    Without ``now`` only those superseded longer ago than the retention. Call it under the lease, with no run open:
    the log stays as it is, so the published versions and their digests do too.
    """
    removed: dict[str, int] = {}
    for table in stored_tables():
        version = row.table_versions.get(table.name)
        if version is None or not holds_users(table):
            continue
        needed = {Path(path).resolve() for path in deltalog.data_files(lake, table.name, version)}
        old = _all_files(lake, table.name) if now else _expired(lake, table.name)
        for path in sorted(old - needed):
            path.unlink(missing_ok=True)
            path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
            removed[table.name] = removed.get(table.name, 0) + 1
    return removed


def _all_files(lake: Path, name: str) -> set[Path]:
    folder = lake / name
    log = folder / "_delta_log"
    return {p.resolve() for p in folder.rglob("*.parquet") if log not in p.parents}


def _expired(lake: Path, name: str) -> set[Path]:
    # A dry run writes nothing: a vacuum's own commits would leave the version that the manifest names.
    told = deltalog.open_table(lake, name).vacuum(retention_hours=RETENTION_HOURS, dry_run=True)
    return {(lake / name / path).resolve() for path in told}
