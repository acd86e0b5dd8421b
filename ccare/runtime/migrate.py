"""``ccare migrate``: which version of the product a lake is of, and the steps that bring an older one up to this.

Format 1 is the first and the only one, so nothing converts between formats yet; a newer one is refused where the
head is read. The steps bring up lakes of format 1 that an older ccare made. Columns that a table gains otherwise need
none: the next write adds them, and views read them as null before.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from ccare.runtime import deltalog, manifest
from ccare.runtime.amendments import open_amendment, publish_versions
from ccare.runtime.day import opened
from ccare.runtime.lease import MIGRATE, clear_record, save_record
from ccare.runtime.manifest import Published
from ccare.runtime.outdated import outdated_tables
from ccare.runtime.rebuild import rebuild
from ccare.runtime.rowstore import properties, set_property
from ccare.runtime.settings import Settings
from ccare.tables import stored_tables, table

STATISTICS = "delta.dataSkippingStatsColumns"
Said = Callable[[str], None]


@dataclass(frozen=True)
class Migration:
    """One step: what of an older lake it looks for ("" where there is nothing to do), and how it mends that."""

    name: str
    why: str
    found: Callable[[Path, Published], str]
    run: Callable[[Settings, Said], None]


@dataclass(frozen=True)
class StepDone:
    """What became of one step."""

    name: str
    found: str
    done: bool


@dataclass
class Migrated:
    """The lake's format, the ccare that wrote it last ("" where nothing is published), and every step."""

    lake_format: int
    written_by: str
    steps: list[StepDone] = field(default_factory=list)


def migrate(settings: Settings, said: Said, *, dry_run: bool) -> Migrated:
    """Run the steps that a lake needs, in order; none of them twice, for each looks at what is there.

    IntegrityBroken where a newer ccare made the lake, UsageError while a day's run is open.
    """
    head = manifest.read_head(settings.lake)
    last = manifest.latest(settings.lake)
    result = Migrated(head.get("lake_format", manifest.LAKE_FORMAT), last.code_version if last else "")
    for step in MIGRATIONS:
        last = manifest.latest(settings.lake)
        found = step.found(settings.lake, last) if last else ""
        if found and not dry_run:
            said(f"{step.name}: {found}; {step.why}")
            step.run(settings, said)
        result.steps.append(StepDone(step.name, found or "nothing to do", bool(found) and not dry_run))
    return result


def _tables_with_statistics(lake: Path, last: Published) -> list[str]:
    """Published tables with personal columns whose log may keep least and greatest values of them."""
    wanted = {
        each.name: properties(each)[STATISTICS]
        for each in stored_tables()
        if each.name in last.table_versions and any(column.personal for column in each.columns)
    }
    return [name for name, value in wanted.items() if _property(lake, name) != value]


def _property(lake: Path, name: str) -> str | None:
    return deltalog.open_table(lake, name).metadata().configuration.get(STATISTICS)


def _statistics_found(lake: Path, last: Published) -> str:
    names = _tables_with_statistics(lake, last)
    return f"statistics of personal columns are kept by {', '.join(names)}" if names else ""


def _end_statistics(settings: Settings, said: Said) -> None:
    with opened(settings) as lake:
        record = open_amendment(settings, lake, MIGRATE, "the lake cannot be migrated")
        assert lake.last is not None
        names = _tables_with_statistics(settings.lake, lake.last)
        for name in names:
            told = properties(table(name))[STATISTICS]
            set_property(deltalog.open_table(settings.lake, name), STATISTICS, told, record.run_id)
            record.versions[name] = deltalog.latest_version(settings.lake, name) or 0
            save_record(settings.lake, record)
        record.inputs_digest = sha256(f"{MIGRATE}|{'|'.join(names)}".encode()).hexdigest()
        row = publish_versions(settings, lake.last, record)
        clear_record(settings.lake)
        said(f"publish  run {row.seq} of {row.business_date} ({row.kind})")


def _state_found(lake: Path, last: Published) -> str:
    found = outdated_tables(lake, last.table_versions)
    return "; ".join(f"{name}: {fault}" for name, fault in found.items())


def _rebuild_state(settings: Settings, said: Said) -> None:
    rebuild(settings, None, "migrated to a newer ccare", said)


MIGRATIONS = (
    Migration(
        "personal statistics",
        "a table's log must hold no user's token",
        _statistics_found,
        _end_statistics,
    ),
    Migration(
        "state columns",
        "read as they are, columns that are not there would be nobody having done anything, and other bits other deeds",
        _state_found,
        _rebuild_state,
    ),
)
