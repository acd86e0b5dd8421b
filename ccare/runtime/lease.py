"""One writer at a time, and the record of the run that is under way.

The lock belongs to a process and dies with it; the run record belongs to the run, so the steps of one run may
be made by several processes, and a run that was cut off is taken up where it stood.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from ccare.errors import IntegrityBroken, LeaseHeld, LeaseLost
from ccare.runtime.manifest import Published, latest, write_atomically

FORGET, REBUILD, FREEZE, FIT = "forget", "rebuild", "freeze", "fit"
MAINTAIN, MIGRATE = "maintain", "migrate"
"""Kinds of runs that amend what is published and close no day; cut off, they are taken back and asked for again."""
WENT_WITHOUT = "missing allowed: "


def lock_file(lake: Path) -> Path:
    """The file whose lock is the lease."""
    return lake / "_lease.lock"


@contextmanager
def lease(lake: Path) -> Iterator[None]:
    """Hold the lake for writing; LeaseHeld at once where another process does."""
    lake.mkdir(parents=True, exist_ok=True)
    with lock_file(lake).open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            holder = handle.read().strip() or "another process"
            raise LeaseHeld(
                f"Another run holds the lake: {holder}.", remedy="Wait until it has ended, then try again."
            ) from None
        handle.seek(0)
        handle.truncate()
        handle.write(f"process {os.getpid()} since {datetime.now(UTC).isoformat(timespec='seconds')}")
        handle.flush()
        try:
            yield
        finally:
            handle.seek(0)
            handle.truncate()


@dataclass
class RunRecord:
    """The open run: which day, which steps are done, and the version of each table it has written.

    ``epoch`` is the number that the run will be published under: one after what it read when it was opened.
    ``blocked`` names the rules (table.rule) that refused it last; ``released`` those that a person let go.
    ``postings`` are totals of what was staged. ``reason`` says why a closed day is told again, where somebody asked
    for that. ``notes`` are sentences: of each required stream that it went on without, WENT_WITHOUT and its name.
    """

    run_id: str
    day: date
    revision: int
    kind: str
    first_day: date
    epoch: int
    posted_at: datetime
    steps_done: list[str] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    staged: bool = False
    postings: dict[str, int] = field(default_factory=dict)
    inputs_digest: str = ""
    notes: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    released: dict[str, dict[str, str]] = field(default_factory=dict)
    reason: str = ""

    @property
    def missing_allowed(self) -> list[str]:
        """Required streams that the run went on without, because somebody let it."""
        return [note.removeprefix(WENT_WITHOUT) for note in self.notes if note.startswith(WENT_WITHOUT)]

    @property
    def is_amendment(self) -> bool:
        """Whether it amends what is published rather than closing a day or telling one again."""
        return self.kind in (FORGET, REBUILD, FREEZE, FIT, MAINTAIN, MIGRATE)


def record_file(lake: Path) -> Path:
    """Where the open run is recorded."""
    return lake / "_run.json"


def read_record(lake: Path) -> RunRecord | None:
    """The open run, if there is one."""
    path = record_file(lake)
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text())
        data["day"] = date.fromisoformat(data["day"])
        data["first_day"] = date.fromisoformat(data["first_day"])
        data["posted_at"] = datetime.fromisoformat(data["posted_at"])
        return RunRecord(**data)
    except (ValueError, TypeError, KeyError):
        raise IntegrityBroken(
            "The lake's _run.json, the record of an open run, is not readable.",
            remedy="Move it away: the next run starts the day again from what is published.",
        ) from None


def save_record(lake: Path, record: RunRecord) -> None:
    """Keep the record, atomically."""
    data = asdict(record)
    for name in ("day", "first_day", "posted_at"):
        data[name] = data[name].isoformat()
    write_atomically(record_file(lake), json.dumps(data, sort_keys=True, indent=1))


def clear_record(lake: Path) -> None:
    """The run is published: nothing is open any more."""
    record_file(lake).unlink(missing_ok=True)


def require_epoch(lake: Path, record: RunRecord) -> Published | None:
    """The newest published run, which has to be the one that this run was opened on; LeaseLost where it is not."""
    last = latest(lake)
    if not follows(record, last):
        assert last is not None
        raise LeaseLost(
            f"The run for {record.day} was opened as number {record.epoch}, and {last.run_id} was published as number "
            f"{last.seq} since: it may not publish.",
            remedy="Run the day again: it starts from what is published now. Where that is refused too, see "
            "docs/how-to/recover.md.",
        )
    return last


def follows(record: RunRecord, last: Published | None) -> bool:
    """Whether ``last`` still is what was published last when the run was opened."""
    return record.epoch == (last.seq if last else 0) + 1
