"""Closing a day or a range in one process: which days are due, which steps, and the exports after each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccare.errors import UsageError
from ccare.runtime import deltalog, manifest
from ccare.runtime.day import LakeState, next_days, run_steps
from ccare.runtime.lease import read_record
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

if TYPE_CHECKING:
    from ccare.runtime.meter import Written

ROAD = ("ingest", "state", "metrics", "score", "post", "publish", "export")


@dataclass
class Closed:
    """What a command did: days it worked on, the summary lines, and the run that is published now."""

    days: list[date] = field(default_factory=list)
    written: "list[Written]" = field(default_factory=list)
    exported: list[str] = field(default_factory=list)
    published: dict[str, Any] | None = None


def close_days(
    settings: Settings,
    first: date,
    last: date,
    *,
    said: Callable[[str], None],
    from_step: str = "ingest",
    to_step: str = "export",
    allow_missing: tuple[str, ...] = (),
    if_open: bool = False,
) -> Closed:
    """Close ``first`` to ``last`` in order; a gap after the last closed day is closed too, a run cut off first.

    ``if_open`` leaves days that are closed as they are; otherwise they are told again.
    """
    wanted = _wanted(from_step, to_step)
    if last < first:
        raise UsageError(f"{last} is before {first}.", remedy="Give --from the earlier day.")
    result = Closed()
    due = _due(settings, first, last, whole=wanted == ROAD)
    for day in due:
        said(f"— {day} —")
        steps = tuple(step for step in wanted if step != "export")
        if steps:
            result.written += run_steps(
                settings, day, steps, said, allow_missing=allow_missing, if_open=if_open, days=len(due)
            )
        result.days.append(day)
    row = manifest.latest(settings.lake)
    if row is not None:
        result.published = told_of(settings.lake, row)
        if "export" in wanted:
            result.exported = export_all(settings, row)
    return result


def told_of(lake: Path, row: Published) -> dict[str, Any]:
    """A published run as commands tell it.

    ``wrote`` has rows and version of every table that the close or republication wrote, in whichever process: one that
    goes on where another was killed has no summary line of what that one did.
    """
    wrote = {}
    if row.kind in ("close", "republish"):
        newest = deltalog.latest_version(lake, manifest.MANIFEST)
        assert newest is not None, "a published row is read from it"
        for name, version in {**row.table_versions, manifest.MANIFEST: newest}.items():
            if deltalog.made_by(lake, name, version) == row.run_id:
                rows = deltalog.commit_metrics(lake, name, version)["rows"]
                wrote[name] = {"rows": rows, "version": version}
    return {"seq": row.seq, "business_date": row.business_date, "run_id": row.run_id, "wrote": wrote}


def _wanted(from_step: str, to_step: str) -> tuple[str, ...]:
    for step in (from_step, to_step):
        if step not in ROAD:
            raise UsageError(f"{step} is no step.", remedy=f"Steps are {', '.join(ROAD)}.")
    wanted = ROAD[ROAD.index(from_step) : ROAD.index(to_step) + 1]
    if not wanted:
        raise UsageError(f"{to_step} comes before {from_step}.", remedy=f"Steps are {', '.join(ROAD)}.")
    return wanted


def _due(settings: Settings, first: date, last: date, *, whole: bool) -> list[date]:
    """Days to work on. A whole run finishes what was cut off and fills gaps; a single step keeps to its day."""
    if not whole:
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]
    lake = LakeState(manifest.published(settings.lake))
    record = read_record(settings.lake)
    is_open = record and not record.is_amendment and all(r.run_id != record.run_id for r in lake.rows)
    open_day = record.day if record and is_open else None
    asked = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    closed = [d for d in asked if lake.last_closed and d <= lake.last_closed]
    due = next_days(lake, last) if lake.last_closed else asked
    if open_day is not None and open_day not in (*closed, *due):
        closed.insert(0, open_day)
    return sorted({*closed, *due})


def export_all(settings: Settings, row: Published, scores_of: Published | None = None) -> list[str]:
    """Scores for all merchants, bulk files and the catalogue, from one published run; returns the paths.

    ``scores_of``: an earlier run whose last day's scores are meant; the rest always shows what is published now.
    """
    from ccare.exports.bulk import export_bulk
    from ccare.exports.scores import export_scores
    from ccare.growth.catalogue import write_catalogue

    summary = export_scores(settings, scores_of or row)
    bulk = [str(each.folder) for each in export_bulk(settings, row)]
    return [*map(str, summary.files), *bulk, str(write_catalogue(settings, row))]
