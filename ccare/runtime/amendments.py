"""Runs of their own kind that change published tables without closing a day: what forget and rebuild share."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from ccare import __version__
from ccare.errors import InputMissing, UsageError
from ccare.runtime import gate, manifest
from ccare.runtime.controls import control_totals
from ccare.runtime.day import LakeState, close_for, drop_leftovers
from ccare.runtime.lease import RunRecord, read_record, require_epoch, save_record
from ccare.runtime.manifest import Published
from ccare.runtime.outdated import outdated_tables
from ccare.runtime.run import Run
from ccare.runtime.settings import Settings


def open_amendment(settings: Settings, lake: LakeState, kind: str, cannot: str) -> RunRecord:
    """A record for a run of ``kind``; what an earlier one left when it was cut off is taken back first.

    InputMissing where nothing is published; UsageError, ending with ``cannot``, while a day's run is open.
    """
    if lake.last is None or lake.last_closed is None or lake.first_day is None:
        raise InputMissing(
            f"Nothing is published in {settings.lake}, so {cannot}.",
            remedy="Close a day first: ccare run --day D.",
        )
    before = read_record(settings.lake)
    unpublished = before is not None and all(row.run_id != before.run_id for row in lake.rows)
    if before and unpublished and not before.is_amendment and not _lost(settings, lake, before):
        raise UsageError(
            f"The run for {before.day} is not finished, so {cannot} now.",
            remedy=f"Finish it first: ccare run --day {before.day}.",
        )
    day = lake.last_closed
    revision = sum(1 for row in lake.rows if row.business_date == day)
    record = RunRecord(
        run_id=f"{day}-{revision}-{uuid.uuid4().hex[:12]}",
        day=day,
        revision=revision,
        kind=kind,
        first_day=lake.first_day,
        epoch=lake.last.seq + 1,
        posted_at=datetime.now(UTC),
    )
    save_record(settings.lake, record)
    drop_leftovers(settings, lake, record)
    return record


def _lost(settings: Settings, lake: LakeState, open_run: RunRecord) -> bool:
    """Whether an open day's run cannot go on: an older ccare began it, and this one refuses its state.

    It has posted nothing; the day starts again from what is published.
    """
    assert lake.last is not None
    return not open_run.staged and bool(outdated_tables(settings.lake, lake.last.table_versions))


def publish_versions(settings: Settings, last: Published, record: RunRecord) -> Published:
    """Publish the record's new versions, whose rows are those of ``last``, in the last closed day's name."""
    versions = {**last.table_versions, **record.versions}
    return manifest.append(
        settings.lake,
        require_epoch(settings.lake, record),
        run_id=record.run_id,
        business_date=record.day,
        revision=record.revision,
        kind=record.kind,
        table_versions=versions,
        control_totals=control_totals(settings.lake, versions),
        inputs_digest=record.inputs_digest,
        code_version=__version__,
        policy_version=last.policy_version,
        published_at=record.posted_at,
    )


def catalogue_again(settings: Settings, row: Published) -> None:
    """The catalogue names files: one that stands follows to the new ones."""
    from ccare.growth.catalogue import FILE_NAME, write_catalogue

    if (settings.exports / FILE_NAME).is_file():
        write_catalogue(settings, row)


def run_without_spark(
    settings: Settings, lake: LakeState, record: RunRecord, said: Callable[[str], None]
) -> Run:
    """The amendment's run without a session: gating held rows, keeping them and publishing ask for none."""
    assert lake.last is not None
    gate.preload()
    pins = dict(lake.last.table_versions)
    return Run(settings, cast(Any, None), record, close_for(settings, record), lake.last, said, pins)
