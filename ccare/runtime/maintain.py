"""``ccare maintain``: small files put together, and what nobody can ask for any more removed.

Compaction is published as a run of its own kind, since a new version is what readers reach through the manifest;
removing publishes nothing, for no version that the manifest shows changes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from ccare.errors import UsageError
from ccare.runtime import deltalog, manifest
from ccare.runtime.amendments import catalogue_again, open_amendment, publish_versions
from ccare.runtime.compaction import compact, small_files
from ccare.runtime.day import LakeState, opened
from ccare.runtime.expiry import (
    Removed,
    catalogue_run,
    kept_runs,
    kept_versions,
    old_commits,
    raw_deliveries,
    superseded_files,
)
from ccare.runtime.failpoint import reach
from ccare.runtime.lease import MAINTAIN, RunRecord, clear_record, save_record
from ccare.runtime.manifest import MANIFEST, Published
from ccare.runtime.settings import Settings
from ccare.tables import Table, stored_tables

KEEP_DAYS = 35
"""Readers may hold a version open, and a closed day be told again, for as long as this."""


@dataclass
class Maintained:
    """What was put together (small files by table) and removed; ``seq`` is None where no new version was published."""

    dry_run: bool
    compacted: dict[str, int] = field(default_factory=dict)
    files: dict[str, Removed] = field(default_factory=dict)
    commits: dict[str, Removed] = field(default_factory=dict)
    landing: Removed = field(default_factory=Removed)
    seq: int | None = None

    def lines(self) -> list[str]:
        """What a person is told."""
        would = "would be " if self.dry_run else ""
        told = [f"{name}: {count} small files {would}put together" for name, count in self.compacted.items()]
        for what, found in (("superseded data files", self.files), ("old commits", self.commits)):
            told += [f"{name}: {r.files} {what} {would}removed, {r.bytes:,} B" for name, r in found.items()]
        if self.landing.files:
            told.append(f"landing: {self.landing.files} raw files {would}removed, {self.landing.bytes:,} B")
        return told or ["nothing to do: no crowded partition, and nothing is past its retention"]


def maintain(
    settings: Settings,
    said: Callable[[str], None],
    *,
    dry_run: bool = False,
    keep_days: int = KEEP_DAYS,
    now: datetime | None = None,
) -> Maintained:
    """Put small files together and remove what is past its retention, under the lease.

    UsageError for fewer ``keep_days`` than 35 or while a day's run is open, InputMissing on an empty lake.
    """
    if keep_days < KEEP_DAYS:
        raise UsageError(
            f"Superseded files are kept {KEEP_DAYS} days at least.",
            remedy=f"Give --keep-days {KEEP_DAYS} or more.",
        )
    now, result = now or datetime.now(UTC), Maintained(dry_run)
    with opened(settings) as lake:
        record = open_amendment(settings, lake, MAINTAIN, "the lake cannot be maintained")
        assert lake.last is not None
        row = _compact(settings, lake, record, result, said)
        clear_record(settings.lake)
        reach("maintain.published")
        rows = [*lake.rows, row] if row is not lake.last else lake.rows
        kept = kept_runs(rows, catalogue_run(settings.exports))
        for table in stored_tables():
            if table.name in row.table_versions or table.name == MANIFEST:
                versions = kept_versions(table, kept, rows)
                _remove(settings, table, versions, result, keep_days, now)
        _expire_landing(settings, row, result, now)
    for line in result.lines():
        said(line)
    return result


def _compact(
    settings: Settings,
    lake: LakeState,
    record: RunRecord,
    result: Maintained,
    said: Callable[[str], None],
) -> Published:
    """Put small files together and publish the new versions; returns the run that is published then."""
    last = lake.last
    assert last is not None
    for name, version in sorted(last.table_versions.items()):
        crowded = small_files(settings.lake, name, version)
        if crowded:
            result.compacted[name] = sum(crowded.values())
    manifest_version = deltalog.latest_version(settings.lake, MANIFEST)
    assert manifest_version is not None
    crowded_manifest = sum(small_files(settings.lake, MANIFEST, manifest_version).values())
    if result.dry_run:
        result.compacted |= {MANIFEST: crowded_manifest} if crowded_manifest else {}
        return last
    row = _publish(settings, last, record, list(result.compacted), said) if result.compacted else last
    if crowded_manifest:
        compact(settings.lake, MANIFEST, record.run_id)
        reach("run_manifest.compacted")
        manifest.write_head(settings.lake, row)
        result.compacted[MANIFEST] = crowded_manifest
    if result.compacted:
        catalogue_again(settings, row)
    result.seq = row.seq if row is not last else None
    return row


def _publish(
    settings: Settings, last: Published, record: RunRecord, names: list[str], said: Callable[[str], None]
) -> Published:
    for name in names:
        record.versions[name] = compact(settings.lake, name, record.run_id)
        reach(f"{name}.compacted")
        save_record(settings.lake, record)
    record.inputs_digest = sha256(f"{MAINTAIN}|{'|'.join(names)}".encode()).hexdigest()
    row = publish_versions(settings, last, record)
    said(f"publish  run {row.seq} of {row.business_date} ({row.kind}): {len(names)} tables in fewer files")
    return row


def _remove(
    settings: Settings, table: Table, versions: list[int], result: Maintained, days: int, now: datetime
) -> None:
    """Remove superseded data files; and old commits, but of append-only tables, whose log is their trail."""
    name = table.name
    for path in superseded_files(settings.lake, name, versions, days):
        result.files.setdefault(name, Removed()).add(path, dry_run=result.dry_run)
    if table.append_only:
        return
    for path in old_commits(settings.lake, name, versions, now):
        result.commits.setdefault(name, Removed()).add(path, dry_run=result.dry_run)


def _expire_landing(settings: Settings, row: Published, result: Maintained, now: datetime) -> None:
    version = row.table_versions.get("raw_files")
    noted = [] if version is None else deltalog.rows(settings.lake, "raw_files", version, _NOTED)
    taken = {(each["stream"], each["path"], each["bytes"]) for each in noted}
    emptied = set()
    for path in list(raw_deliveries(settings, taken, now)):
        result.landing.add(path, dry_run=result.dry_run)
        emptied.add(path.parent)
    for folder in emptied if not result.dry_run else ():
        if not any(folder.iterdir()):
            folder.rmdir()


_NOTED = ("stream", "path", "bytes")
