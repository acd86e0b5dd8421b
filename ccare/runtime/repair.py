"""``ccare repair``: what of the published lake is lost, and the ledger's caches put in place of theirs.

Lost state is emptied, marked so that every run but a rebuild refuses it, and derived from core rows by one. Nothing
that is a record of its own (deliveries' rows, transfers, the manifest) can be made again; that is named, and a backup
is the only way. A table that is replaced is moved aside, never deleted.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from ccare import __version__
from ccare.errors import InputMissing, IntegrityBroken, UsageError
from ccare.growth.snapshot import view_sql
from ccare.ledger.derive import QUERIES, derived, derived_positions
from ccare.runtime import deltalog, manifest
from ccare.runtime.controls import REPAIRED, control_totals
from ccare.runtime.failpoint import reach
from ccare.runtime.lease import lease, read_record
from ccare.runtime.manifest import Published
from ccare.runtime.outdated import LOST
from ccare.runtime.rowstore import arrow_schema, ensure_table, set_layout, set_property, write_arrow
from ccare.runtime.settings import Settings
from ccare.tables import Table, stored_tables, table

POSITIONS = "ledger_positions"
DERIVED = (*QUERIES, POSITIONS)
STATE = tuple(each.name for each in stored_tables() if each.layer == "state")
KIND = "repair"


@dataclass
class Loss:
    """One table that is not what was published: what is wrong, and what mends it."""

    table: str
    what: str
    remedy: str


@dataclass
class Repaired:
    """What was found lost, which tables were made again (rows of each), and the run that published them."""

    losses: list[Loss] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    seq: int | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def emptied(self) -> list[str]:
        """Tables of state that a rebuild must fill again."""
        return [name for name in self.rows if name in STATE]

    @property
    def left(self) -> list[Loss]:
        """What only a backup, or another command, can bring back."""
        return [loss for loss in self.losses if loss.table not in self.rows]


def repair(settings: Settings, *, dry_run: bool) -> Repaired:
    """Look at every published table; derive lost caches of the ledger again and publish that as a run of its own.

    Lost tables of state are published empty, of the layout LOST: ``ccare state --rebuild`` has to follow.

    InputMissing where nothing is published, IntegrityBroken where the manifest itself does not hold, UsageError
    while a run is open.
    """
    with lease(settings.lake):
        manifest.heal_head(settings.lake)
        rows = manifest.published(settings.lake)
        if not rows:
            raise InputMissing(
                f"Nothing is published in {settings.lake}.", remedy="There is nothing to repair."
            )
        result = Repaired(losses(settings.lake, rows[-1]))
        lost = {loss.table for loss in result.losses}
        mendable = [] if "ledger_transfers" in lost else [name for name in DERIVED if name in lost]
        if not any(name.startswith("core_") for name in lost):
            mendable += [name for name in STATE if name in lost]
        if dry_run or not mendable:
            return result
        record = read_record(settings.lake)
        if record is not None and record.steps_done and record.run_id != rows[-1].run_id:
            raise UsageError(
                f"The run for {record.day} is open, so nothing can be repaired now.",
                remedy="Move the lake's _run.json away: that day starts again from what is published.",
            )
        _mend(settings, rows, mendable, result)
        return result


def losses(lake: Path, last: Published) -> list[Loss]:
    """Every published table whose commit or data files are not what was published."""
    found = []
    for name, version in sorted(last.table_versions.items()):
        what = _fault(lake, name, version, last.log_sha256[name])
        if what:
            found.append(Loss(name, what, _remedy(name)))
    return found


def _fault(lake: Path, name: str, version: int, digest: str) -> str:
    newest = deltalog.latest_version(lake, name)
    if newest is None:
        return "the table is gone"
    if newest < version:
        return f"its commits after {newest} are gone; {version} was published"
    try:
        if deltalog.commit_sha256(lake, name, version) != digest:
            return f"its commit {version} is not the one that was published"
        lost = deltalog.lost_files(lake, name, version)
    except IntegrityBroken as error:
        return error.message
    return f"{len(lost)} of its data files are gone or cut, such as {lost[0]}" if lost else ""


def _remedy(name: str) -> str:
    if name in DERIVED:
        return "ccare repair derives it from ledger_transfers"
    if name in STATE:
        return "ccare repair derives it from the core tables, where they are whole"
    return "put its folder back from a backup; without one, replay the landing files into a new lake"


def _mend(settings: Settings, rows: list[Published], names: list[str], result: Repaired) -> None:
    import duckdb

    lake, last = settings.lake, rows[-1]
    now = datetime.now(UTC)
    run_id = f"{last.business_date}-{KIND}-{last.seq + 1}"
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    transfers = table("ledger_transfers")
    if transfers.name in last.table_versions and set(names) - set(STATE):
        view = view_sql(lake, transfers, last.table_versions[transfers.name])
        con.execute(f"create view ledger_transfers as {view}")
    versions = dict(last.table_versions)
    for name in names:
        made: list[dict[str, Any]] = []
        if name == POSITIONS:
            base, since = _newest_whole(lake, rows, name)
            source = f"{name} of {since} and what was booked since" if since else "the transfers alone"
            result.notes.append(
                f"{name} was derived from {source}; the next close looks at its changed keys again"
            )
            made = derived_positions(con, base, since)
        elif name in QUERIES:
            made = derived(con, name)
        declared = table(name)
        held = pa.Table.from_pylist(
            [{c: row.get(c) for c in declared.column_names} for row in made], schema=arrow_schema(declared)
        )
        versions[name] = _replace(lake, declared, held, last.table_versions[name], run_id)
        result.rows[name] = held.num_rows
        reach(f"{name}.repaired")
    told = {f"{name}{REPAIRED}": count for name, count in result.rows.items()}
    row = manifest.append(
        lake,
        last,
        run_id=run_id,
        business_date=last.business_date,
        revision=sum(1 for each in rows if each.business_date == last.business_date),
        kind=KIND,
        table_versions=versions,
        control_totals={**_totals(lake, versions, result), **told},
        inputs_digest="",
        code_version=__version__,
        policy_version=last.policy_version,
        published_at=now,
    )
    result.seq = row.seq


def _totals(lake: Path, versions: dict[str, int], result: Repaired) -> dict[str, int]:
    """Control totals of what can be read: a table that only a backup brings back keeps none."""
    lost = {loss.table for loss in result.left}
    return control_totals(lake, {name: v for name, v in versions.items() if name not in lost})


def _newest_whole(lake: Path, rows: list[Published], name: str) -> tuple[list[dict[str, object]], object]:
    """Rows and last day of the newest older version of a table that can still be read."""
    for row in reversed(rows[:-1]):
        version = row.table_versions.get(name)
        if version is None or version == rows[-1].table_versions[name]:
            continue
        if not _fault(lake, name, version, row.log_sha256[name]):
            return deltalog.rows(lake, name, version), row.business_date
    return [], None


def _replace(lake: Path, declared: Table, rows: pa.Table, published: int, run_id: str) -> int:
    """Move the table aside and write it anew, at a version after the published one: versions never go back."""
    aside = lake / "_lost" / f"{declared.name}-{run_id}"
    aside.parent.mkdir(exist_ok=True)
    if (lake / declared.name).exists():
        (lake / declared.name).rename(aside)
    opened = ensure_table(lake, declared, run_id)
    while opened.version() < published:
        set_property(opened, "ccare.repaired", f"{run_id} {opened.version()}", run_id)
        opened.update_incremental()
    version = write_arrow(lake, declared, rows, run_id, "overwrite")
    if declared.name in STATE:
        set_layout(deltalog.open_table(lake, declared.name), LOST, run_id)
        version = deltalog.latest_version(lake, declared.name) or version
    return version
