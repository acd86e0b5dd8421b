"""Opening, resuming and finishing runs: which day is next, what is pinned, what a broken run left behind."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from ccare.abuse.policy import load_abuse
from ccare.errors import InputMissing, IntegrityBroken, StateOutdated, UsageError
from ccare.events.slots import load_slots
from ccare.ledger.policy import load_ledger
from ccare.ledger.versions import keep, require_forward
from ccare.runtime import deltalog, manifest
from ccare.runtime.close import Close
from ccare.runtime.lease import (
    FORGET,
    REBUILD,
    RunRecord,
    clear_record,
    follows,
    lease,
    read_record,
    require_epoch,
    save_record,
)
from ccare.runtime.manifest import Published
from ccare.runtime.opening import require_sound
from ccare.runtime.outdated import require_current_state
from ccare.runtime.rowstore import roll_back
from ccare.runtime.settings import Settings
from ccare.runtime.trail import foreign_commit, only_rearranged
from ccare.scoring.policy import load_scoring
from ccare.tables import stored_tables
from ccare.tables.run import RUN_MANIFEST

if TYPE_CHECKING:
    from ccare.runtime.meter import Written


@dataclass(frozen=True)
class LakeState:
    """What is published: every manifest row, the first and the last closed day."""

    rows: list[Published]

    @property
    def last(self) -> Published | None:
        return self.rows[-1] if self.rows else None

    @property
    def closes(self) -> list[Published]:
        return [row for row in self.rows if row.kind == "close"]

    @property
    def first_day(self) -> date | None:
        return self.closes[0].business_date if self.closes else None

    @property
    def last_closed(self) -> date | None:
        return self.closes[-1].business_date if self.closes else None

    @property
    def forgotten_until(self) -> date | None:
        """The last day closed when a user was forgotten last."""
        return max((row.business_date for row in self.rows if row.kind == FORGET), default=None)

    def state_of(self, day: date) -> Published | None:
        """The run whose state a closed ``day`` is told from: its close, or a rebuild that put it right."""
        return next(
            (r for r in reversed(self.rows) if r.business_date == day and r.kind in ("close", REBUILD)), None
        )

    def close_of(self, day: date) -> Published | None:
        """The run that closed ``day``."""
        return next((row for row in self.closes if row.business_date == day), None)


@contextmanager
def opened(settings: Settings) -> Iterator[LakeState]:
    """Hold the lease over a lake whose published bytes have been checked."""
    with lease(settings.lake):
        manifest.heal_head(settings.lake)
        lake = LakeState(manifest.published(settings.lake))
        if lake.last:
            require_sound(settings.lake, lake.last)
        yield lake


def next_days(lake: LakeState, day: date) -> list[date]:
    """Days to close for ``day`` to be closed, in order; empty where it is closed already."""
    if lake.last_closed is None:
        return [day]
    return [lake.last_closed + timedelta(days=n) for n in range(1, (day - lake.last_closed).days + 1)]


def open_record(settings: Settings, lake: LakeState, day: date) -> RunRecord:
    """The run for ``day``: the one that was cut off, a new close, or a republication of a closed day."""
    record = read_record(settings.lake)
    if record and (record.is_amendment or any(row.run_id == record.run_id for row in lake.rows)):
        # A forget that was cut off is taken back whole: only who asked for it can name the user again.
        clear_record(settings.lake)
        record = None
    if record and not follows(record, lake.last):
        if record.staged:
            require_epoch(settings.lake, record)
        # Somebody published in between, and nothing was posted: it starts again from what is published now.
        clear_record(settings.lake)
        record = None
    if record is None:
        record = _new_record(lake, day)
        save_record(settings.lake, record)
    elif record.day != day:
        raise UsageError(
            f"The run for {record.day} is not finished, so {day} cannot be run now.",
            remedy=f"Finish it first: ccare run --day {record.day}.",
        )
    if _starts_again(settings, lake, record):
        record.steps_done, record.versions, record.released = [], {}, {}
        record.notes, record.inputs_digest = [], ""
    drop_leftovers(settings, lake, record)
    return record


def _starts_again(settings: Settings, lake: LakeState, record: RunRecord) -> bool:
    """Whether the open run goes back to its start: its ingest is not whole, or it is blocked and was given other files.

    A run that was cut off later must not look at deliveries that came in between; a blocked one must, for mending
    a delivery is how it goes on.
    """
    if record.kind != "close" or record.staged:
        return False
    if "ingest" not in record.steps_done:
        return bool(record.versions)
    if not record.blocked:
        return False
    from ccare.runtime.ingest import inputs_digest, known_deliveries, published_files
    from ccare.runtime.intake import deliveries

    version = lake.last.table_versions.get("raw_files") if lake.last else None
    known = known_deliveries(published_files(settings.lake, version))
    found = deliveries(settings.landing, record.day, record.first_day, known)
    return inputs_digest(found) != record.inputs_digest


def _new_record(lake: LakeState, day: date) -> RunRecord:
    now = datetime.now(UTC)
    closed = lake.close_of(day)
    if lake.last_closed and day <= lake.last_closed and closed is None:
        raise UsageError(
            f"{day} is before the first day ever closed, {lake.first_day}.",
            remedy=f"Choose a day from {lake.first_day} on.",
        )
    if lake.last_closed and day > (due := lake.last_closed + timedelta(days=1)):
        # Missing input rather than a wrong command: a scheduler that is early waits for the day before.
        raise InputMissing(
            f"{day} cannot be closed before {due}, which is open.",
            remedy=f"Close the days between first: ccare run --day {day - timedelta(days=1)}.",
        )
    revision = sum(1 for row in lake.rows if row.business_date == day)
    return RunRecord(
        run_id=f"{day}-{revision}-{uuid.uuid4().hex[:12]}",
        day=day,
        revision=revision,
        kind="republish" if closed else "close",
        first_day=lake.first_day or day,
        epoch=(lake.last.seq if lake.last else 0) + 1,
        posted_at=now,
    )


def drop_leftovers(settings: Settings, lake: LakeState, record: RunRecord) -> None:
    """Take back what a broken run wrote beyond its record, so that a retry starts from what is pinned."""
    pinned = {**(lake.last.table_versions if lake.last else {}), **record.versions}
    for table in stored_tables():
        if table.name == RUN_MANIFEST.name:
            continue
        newest = deltalog.latest_version(settings.lake, table.name)
        if newest is None or newest == pinned.get(table.name):
            continue
        if not table.append_only:
            roll_back(settings.lake, table.name, pinned.get(table.name), record.run_id)
            if table.name in pinned:
                record.versions[table.name] = deltalog.latest_version(settings.lake, table.name) or 0
        elif table.name in pinned and only_rearranged(settings.lake, table.name, pinned[table.name], newest):
            # Upkeep that was cut off before it was published: the rows are those of the pinned version.
            record.versions[table.name] = newest
        elif newest > (pinned.get(table.name) or 0):
            _require_own(settings, record, table.name, pinned.get(table.name, -1))
    save_record(settings.lake, record)


def _require_own(settings: Settings, record: RunRecord, name: str, pinned: int) -> None:
    """IntegrityBroken unless what stands beyond ``pinned`` of an append-only table is what this run has staged."""
    fault = foreign_commit(settings.lake, name, pinned, record.run_id)
    if not record.staged or fault:
        newest = deltalog.latest_version(settings.lake, name)
        why = f": {fault}" if fault else ""
        raise IntegrityBroken(
            f"Table {name} stands at version {newest}, beyond what any run has recorded{why}.",
            remedy="Somebody else wrote to it. Restore it from a backup, or see docs/how-to/recover.md.",
        )


def close_for(settings: Settings, record: RunRecord) -> Close:
    """What the jobs of this run are told."""
    return Close(
        day=record.day,
        first_day=record.first_day,
        run_id=record.run_id,
        posted_at=record.posted_at,
        timezone=settings.timezone,
        scoring=load_scoring(settings.conf).for_day(record.day),
        ledger=load_ledger(settings.conf).for_day(record.day),
        slots=load_slots(settings.conf, record.day),
        posts=record.kind == "close",
        abuse=load_abuse(settings.conf),
    )


def run_steps(
    settings: Settings,
    day: date,
    wanted: tuple[str, ...] | None,
    said: Callable[[str], None],
    *,
    allow_missing: tuple[str, ...] = (),
    reason: str = "",
    if_open: bool = False,
    days: int = 1,
) -> "list[Written]":
    """Run ``wanted`` steps (all when None) of the run for ``day``; returns the summary lines.

    Steps that the open run has done are passed over; a step whose predecessor is open is refused. ``reason`` is kept
    with a closed day that is told again; ``if_open`` leaves a closed day as it is; ``days`` are closed in this process.
    """
    from ccare.runtime import gate, steps
    from ccare.runtime.ingest import ingest, require_inputs, survey_due
    from ccare.runtime.run import Run
    from ccare.runtime.spark import interpreted, session
    from ccare.runtime.workload import workload

    with opened(settings) as lake:
        if if_open and lake.close_of(day) is not None:
            said(f"nothing to do: {day} is closed")
            return []
        _require_state(settings, lake)
        _require_policy(settings, lake, day)
        record = open_record(settings, lake, day)
        if reason and record.kind == "republish":
            record.reason = reason
            save_record(settings.lake, record)
        road = [s for s in (steps.STEPS if record.kind == "close" else steps.REPUBLISHED) if s != "export"]
        due = [s for s in road if s not in record.steps_done and (wanted is None or s in wanted)]
        _check_order(road, record, due)
        if not due:
            said(f"nothing to do: {', '.join(wanted or road)} of {day} is done")
            return []
        if "ingest" in due:
            require_inputs(settings, record.day, allow_missing)
        if set(due) - {"publish"}:
            gate.preload()
        close = replace(close_for(settings, record), forgotten_until=lake.forgotten_until)
        pins = dict(lake.last.table_versions) if lake.last else {}
        if record.kind == "republish":
            # A day told again reads the state that its own close left, whatever came after it.
            original = lake.state_of(day)
            assert original is not None
            read_at = {n: v for n, v in original.table_versions.items() if n.startswith(("state_", "core_"))}
            older = {n: v for n, v in read_at.items() if pins.get(n) != v}
            try:
                deltalog.require_files(settings.lake, older, f"{day} cannot be told again")
                require_current_state(settings.lake, read_at, told_again=day)
            except (InputMissing, StateOutdated):
                clear_record(settings.lake)  # a day that can never be told again must not stand in the way
                raise
        else:
            read_at = {}
        before_it = workload(settings, lake.last, day, days)
        with ThreadPoolExecutor(1) as beside:
            # Reading what was delivered and starting a session have nothing of each other.
            raw_files = pins.get("raw_files")
            reading = beside.submit(survey_due, settings, record, raw_files) if "ingest" in due else None
            spark = session(settings, brief=before_it.is_brief)
        run = Run(settings, spark, record, close, lake.last, said, pins, read_at, tuple(due))
        record.blocked = []
        try:
            with interpreted(spark, before_it.is_tiny):
                for step in due:
                    if step == "ingest" and reading is not None:
                        ingest(run, reading.result(), allow_missing)
                    else:
                        steps.STEP[step](run)
                    if step != "publish":
                        run.done(step)
        finally:
            try:
                run.quality.write(settings.exports)
            except OSError as error:
                said(f"  warning: the gates' outcomes could not be kept ({error.strerror})")
        run.release()
        return run.written


def _require_state(settings: Settings, lake: LakeState) -> None:
    """StateOutdated before anything is opened; a run whose postings are staged has read its state already."""
    record = read_record(settings.lake)
    if lake.last and not (record and record.staged):
        require_current_state(settings.lake, lake.last.table_versions)


def _require_policy(settings: Settings, lake: LakeState, day: date) -> None:
    """UsageError where the ledger's policy changes closed days and does not say that it means to."""
    policies, record = load_ledger(settings.conf), read_record(settings.lake)
    closes = lake.closes
    if closes and lake.close_of(day) is None and not (record and record.staged):
        version = closes[-1].policy_version.rpartition("/")[2]
        require_forward(settings.lake, policies, version, closes[-1].business_date)
    keep(settings.lake, policies)


def _check_order(road: list[str], record: RunRecord, due: list[str]) -> None:
    if not due:
        return
    before = road[: road.index(due[0])]
    missing = [step for step in before if step not in record.steps_done]
    if missing:
        raise UsageError(
            f"{due[0]} of {record.day} needs {missing[0]}, which is not done.",
            remedy=f"Run it first: ccare {missing[0]} --day {record.day}.",
        )
