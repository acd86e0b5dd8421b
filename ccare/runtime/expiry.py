"""What no reader can ask for any more: superseded data files, commits that a checkpoint holds, raw deliveries."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from ccare.errors import IntegrityBroken
from ccare.growth.catalogue import FILE_NAME
from ccare.runtime import deltalog
from ccare.runtime.intake import delivery_date, path_told
from ccare.runtime.lease import FORGET
from ccare.runtime.manifest import Published
from ccare.runtime.purge import holds_users
from ccare.runtime.settings import Settings
from ccare.runtime.sidecar import sidecar_of
from ccare.tables import Table
from ccare.tables.streams import BILL_STREAMS, STREAMS

KEPT_RUNS = 10
"""The newest published runs keep their files however old they are."""
LOG_DAYS = 400
"""Commits younger than this stay; it is the tables' own delta.logRetentionDuration."""


@dataclass
class Removed:
    """Files and their bytes."""

    files: int = 0
    bytes: int = 0

    def add(self, path: Path, *, dry_run: bool) -> None:
        """Count a file and remove it, unless it is only asked what would go."""
        self.files += 1
        self.bytes += path.stat().st_size
        if not dry_run:
            path.unlink()
            path.with_name(f".{path.name}.crc").unlink(missing_ok=True)


def catalogue_run(exports: Path) -> int | None:
    """Number of the run that the catalogue is pinned to, None without one; IntegrityBroken where it says none."""
    path = exports / FILE_NAME
    if not path.is_file():
        return None
    try:
        with duckdb.connect(str(path), read_only=True) as con:
            row = con.execute("select seq from snapshot").fetchone()
    except duckdb.Error as error:
        raise IntegrityBroken(
            f"The catalogue {path} does not say which run it shows ({type(error).__name__}).",
            remedy="Close what has it open for writing, or write it again: ccare catalogue.",
        ) from None
    return int(row[0]) if row else None


def exported_run(exports: Path) -> int | None:
    """The same for people who look: None also where the catalogue cannot be read just now."""
    try:
        return catalogue_run(exports)
    except IntegrityBroken:
        return None


def kept_runs(rows: Sequence[Published], catalogue: int | None) -> list[Published]:
    """Runs whose files stay however old they are: the newest KEPT_RUNS and the catalogue's."""
    return [row for row in rows if row.seq > rows[-1].seq - KEPT_RUNS or row.seq == catalogue]


def kept_versions(table: Table, kept: Sequence[Published], rows: Sequence[Published]) -> list[int]:
    """Versions of a table that the kept runs show; none older than a forget where it holds users.

    What is older than the retention and holds a forgotten user is kept for nobody.
    """
    forgotten = max((row.seq for row in rows if row.kind == FORGET), default=0)
    since = forgotten if holds_users(table) else 0
    shown = (row.table_versions.get(table.name) for row in kept if row.seq >= since)
    return sorted({version for version in shown if version is not None})


def superseded_files(lake: Path, name: str, versions: Collection[int], days: int) -> list[Path]:
    """Data files that neither the newest version nor one of ``versions`` shows, superseded ``days`` ago or before.

    A run that was broken off leaves files that no version ever showed: they go by their own age.
    """
    standing = [v for v in versions if deltalog.commit_file(lake, name, v).exists()]
    # A dry run writes nothing: a vacuum's own commits would leave the version that the manifest names.
    told = deltalog.open_table(lake, name).vacuum(
        retention_hours=days * 24,
        dry_run=True,
        enforce_retention_duration=False,
        full=True,
        keep_versions=standing or None,
    )
    return sorted(path for path in (lake / name / file for file in told) if path.is_file())


def old_commits(lake: Path, name: str, versions: Collection[int], now: datetime) -> list[Path]:
    """Commits older than LOG_DAYS that a checkpoint holds and no kept version needs."""
    log = deltalog.log_dir(lake, name)
    checkpoints = sorted({int(p.name[:20]) for p in log.glob("*.checkpoint*.parquet")})
    whole = [version for version in checkpoints if version <= min(versions)]
    if not whole:
        return []
    before = (now - timedelta(days=LOG_DAYS)).timestamp()
    commits = [p for p in sorted(log.glob("*.json")) if p.stem.isdigit() and int(p.stem) < whole[-1]]
    return [p for p in commits if int(p.stem) not in versions and p.stat().st_mtime < before]


def raw_deliveries(
    settings: Settings, taken: Collection[tuple[str, str, int]], now: datetime
) -> Iterator[Path]:
    """Files of landing that may name a person, delivered more than CCARE_LANDING_DAYS ago, that a run has noted.

    ``taken`` holds (stream, path, bytes) of published deliveries: one that no run has seen is nobody's to remove.
    """
    today = now.astimezone(ZoneInfo(settings.timezone)).date()
    oldest = today - timedelta(days=settings.landing_days)
    streams = [s.name for s in STREAMS.values() if s.has_user] + [s.name for s in BILL_STREAMS]
    for stream in streams:
        for folder in sorted((settings.landing / stream).glob("*")):
            delivered = delivery_date(folder.name)
            if delivered is None or delivered >= oldest or folder.is_symlink() or not folder.is_dir():
                continue
            for path in sorted(folder.iterdir()):
                relative = path_told(path, settings.landing)
                plain = path.is_file() and not path.is_symlink()
                if plain and (stream, relative, path.stat().st_size) in taken:
                    yield path
                    if (sidecar := sidecar_of(path)).is_file():
                        yield sidecar
