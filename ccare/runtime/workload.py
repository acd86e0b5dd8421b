"""How much a close has before it, known before any session starts: what its JVM and its plans are made for."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

BRIEF_BYTES = 48 << 20
"""Deliveries of up to this many bytes, some 200,000 lines, are a small day."""
BRIEF_PAIRS = 2_000_000
"""Up to this many pairs of a merchant and a user are told quickly whatever compiled the loop over them."""


TINY_BYTES = 6 << 20
"""Deliveries of up to this many bytes, some 25,000 lines, are taken and folded faster by code that is not compiled."""
TINY_PAIRS = 20_000
"""Up to this many pairs of a merchant and a user their metrics are, too."""


def is_brief(settings: Settings, last: Published | None, day: date) -> bool:
    """Whether closing ``day`` after the run ``last`` is little work, so that compiling code well would not pay back.

    A folder is counted by the names and sizes of its files: none is opened. A first close takes every folder.
    """
    return _is_within(settings, last, day, BRIEF_BYTES, BRIEF_PAIRS)


def is_tiny(settings: Settings, last: Published | None, day: date) -> bool:
    """Whether closing ``day`` is so little work that generating code for it costs more than the code saves."""
    return _is_within(settings, last, day, TINY_BYTES, TINY_PAIRS)


def _is_within(settings: Settings, last: Published | None, day: date, size: int, pairs: int) -> bool:
    if last is not None and last.rows.get("state_users", 0) > pairs:
        return False
    since = last.business_date + timedelta(days=2) if last else date.min
    until = max(day, last.business_date if last else day) + timedelta(days=1)
    for each in _sizes(settings.landing, min(since, until), until):
        size -= each
        if size < 0:
            return False
    return True


def _sizes(landing: Path, since: date, until: date) -> Iterator[int]:
    for folder in landing.glob("*/????-??-??"):
        if f"{since}" <= folder.name <= f"{until}" and folder.is_dir():
            yield from (path.stat().st_size for path in folder.iterdir() if path.is_file())
