"""What a task waits for without holding a slot: the close of the day before, and a person's answer."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from ccare.errors import UsageError

POLL_SECONDS = 20.0
LONGEST = timedelta(days=7)
"""A day that waits for its predecessor longer than this fails: somebody has forgotten it."""


def answer_within(environ: Mapping[str, str] = os.environ) -> timedelta:
    """How long a person may take to answer: CCARE_ANSWER_HOURS, 72 by default; UsageError where that is no number."""
    return _hours("CCARE_ANSWER_HOURS", "72", environ)


def late_after(environ: Mapping[str, str] = os.environ) -> timedelta:
    """How much longer than usual a run may take before it is late: CCARE_DEADLINE_HOURS, 4 by default."""
    return _hours("CCARE_DEADLINE_HOURS", "4", environ)


def _hours(name: str, default: str, environ: Mapping[str, str]) -> timedelta:
    value = environ.get(name) or default
    if not value.isdigit() or not 1 <= int(value) <= 10_000:
        raise UsageError(f"{name} is {value!r}.", remedy="Give a whole number of hours, 1 or more.")
    return timedelta(hours=int(value))


def head_file(lake: str) -> Path:
    """Where a lake says what is published; CCARE_LAKE may be a file URI."""
    return Path(lake.removeprefix("file://")) / "_head.json"


def is_published(lake: str) -> bool:
    """Whether any day is closed: the first one is nobody's to close on the way to another."""
    return head_file(lake).exists()


def is_due(lake: str, day: date, first: date | None = None) -> bool:
    """Whether nothing stands before ``day``, by the lake's head.

    In an empty lake ``first`` comes first, where it is known. Where the head cannot be read or says nothing, a day is
    due: the lake itself decides then.
    """
    try:
        closed = date.fromisoformat(json.loads(head_file(lake).read_text(encoding="utf-8"))["last_closed"])
    except FileNotFoundError:
        return first is None or day <= first
    except (OSError, ValueError, KeyError, TypeError):
        return True
    return day <= closed + timedelta(days=1)


class DayIsDue(BaseTrigger):
    """Fires once the day before ``day`` is closed in ``lake``; days are YYYY-MM-DD. Reads one small file only."""

    def __init__(self, lake: str, day: str, first: str | None = None, seconds: float = POLL_SECONDS) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lake, self.day, self.first, self.seconds = lake, day, first, seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What the triggerer makes the trigger from."""
        told = {"lake": self.lake, "day": self.day, "first": self.first, "seconds": self.seconds}
        return f"{type(self).__module__}.{type(self).__qualname__}", told

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event, when the day is due."""
        day = date.fromisoformat(self.day)
        first = date.fromisoformat(self.first) if self.first else None
        while not await asyncio.to_thread(is_due, self.lake, day, first):
            await asyncio.sleep(self.seconds)
        yield TriggerEvent({"day": self.day})  # type: ignore[no-untyped-call]
