"""How much a close has before it, known before any session starts: what its JVM and its plans are made for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

BRIEF_BYTES = 48 << 20
"""Deliveries of up to this many bytes, some 200,000 lines, are a small day."""
BRIEF_PAIRS = 2_000_000
"""Up to this many pairs of a merchant and a user are told quickly whatever compiled the loop over them."""
BRIEF_DAYS = 4
"""Days closed in one process until code that was compiled well pays back (docs/decisions/0013)."""
TINY_BYTES = 6 << 20
"""Deliveries of up to this many bytes, some 25,000 lines, are taken and folded faster by code that is not compiled."""
TINY_PAIRS = 20_000
"""Up to this many pairs of a merchant and a user their metrics are, too."""


@dataclass(frozen=True)
class Workload:
    """Bytes due, counted to just over BRIEF_BYTES, pairs of a merchant and a user as published before, and the days
    that the process closes one after the other.
    """

    bytes: int
    pairs: int
    days: int = 1

    @property
    def is_brief(self) -> bool:
        """So little work that compiling code well would not pay back."""
        return self.bytes <= BRIEF_BYTES and self.pairs <= BRIEF_PAIRS and self.days <= BRIEF_DAYS

    @property
    def is_tiny(self) -> bool:
        """So little work that generating code for it costs more than the code saves."""
        return self.bytes <= TINY_BYTES and self.pairs <= TINY_PAIRS


def workload(settings: Settings, last: Published | None, day: date, days: int = 1) -> Workload:
    """What closing ``day`` after the run ``last`` has before it, as the first of so many ``days``.

    A folder is counted by the names and sizes of its files: none is opened. A first close takes every folder.
    """
    since = last.business_date + timedelta(days=2) if last else date.min
    until = max(day, last.business_date if last else day) + timedelta(days=1)
    due = 0
    for size in _sizes(settings.landing, min(since, until), until):
        due += size
        if due > BRIEF_BYTES:
            break
    return Workload(due, last.rows.get("state_users", 0) if last else 0, days)


def _sizes(landing: Path, since: date, until: date) -> Iterator[int]:
    for folder in landing.glob("*/????-??-??"):
        if f"{since}" <= folder.name <= f"{until}" and folder.is_dir():
            yield from (path.stat().st_size for path in folder.iterdir() if path.is_file())
