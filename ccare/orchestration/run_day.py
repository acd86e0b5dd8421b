"""Which day a scheduler's run is for, checked strictly: it becomes a word of a command."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from ccare.errors import UsageError
from ccare.tables.streams import STREAMS

DATE_PATTERN = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
REQUIRED_STREAMS = tuple(stream.name for stream in STREAMS.values() if stream.required_daily)
CONF_KEYS = ("day", "allow_missing")


def business_day(
    partition_key: str | None, conf: Mapping[str, Any] | None, logical_date: datetime | None
) -> date:
    """The day a run is for: its partition key, else conf's ``day``, else the date of its logical date.

    Raises UsageError where there is none, where two differ, or where one is not written YYYY-MM-DD.
    """
    told = dict(conf or {})
    unknown = sorted(set(told) - set(CONF_KEYS))
    if unknown:
        raise UsageError(f"The conf holds {', '.join(unknown)}.", remedy="Give day and allow_missing only.")
    days = {_parsed(value) for value in (partition_key, told.get("day")) if value is not None}
    if len(days) > 1:
        raise UsageError(
            f"The partition is {partition_key} and conf's day is {told['day']}.", remedy="Give one of them."
        )
    if days:
        return days.pop()
    if logical_date is None:
        raise UsageError("The run names no day.", remedy='Trigger it with conf {"day": "YYYY-MM-DD"}.')
    return logical_date.date()


def _parsed(value: Any) -> date:
    if isinstance(value, str) and re.fullmatch(DATE_PATTERN.strip("^$"), value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise UsageError(f"{str(value)[:40]!r} is not a day.", remedy="Write YYYY-MM-DD.")


def allowed_missing(conf: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Streams that conf's ``allow_missing`` lets go; UsageError where one is not a required stream."""
    value = (conf or {}).get("allow_missing") or []
    if not isinstance(value, list) or any(stream not in REQUIRED_STREAMS for stream in value):
        raise UsageError(
            f"allow_missing is {str(value)[:80]}.",
            remedy=f"Give a list out of {', '.join(REQUIRED_STREAMS)}.",
        )
    return tuple(sorted(set(value)))
