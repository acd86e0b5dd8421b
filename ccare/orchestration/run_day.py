"""What a scheduler's run is for, checked strictly: days, ranges and months become words of a command."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ccare.errors import UsageError
from ccare.tables.streams import STREAMS

DATE_PATTERN = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
REQUIRED_STREAMS = tuple(stream.name for stream in STREAMS.values() if stream.required_daily)
CONF_KEYS = ("day", "allow_missing", "from", "to", "reason")
REASON_CHARACTERS = 500


@dataclass(frozen=True)
class Asked:
    """What a run asks for: its days in order, the streams that it goes on without, and why."""

    first: date
    last: date
    allow_missing: tuple[str, ...] = ()
    reason: str = ""

    @property
    def days(self) -> list[date]:
        """Every day of the range."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]


def by_day(partition_key: str | None, conf: Mapping[str, Any] | None, logical_date: datetime | None) -> Asked:
    """One day."""
    day = business_day(partition_key, conf, logical_date)
    return Asked(day, day, allowed_missing(conf))


def by_range(
    partition_key: str | None, conf: Mapping[str, Any] | None, logical_date: datetime | None
) -> Asked:
    """Conf's ``from`` to ``to``, with its ``reason``; UsageError where one is missing or is none."""
    told = checked(conf)
    missing = [name for name in ("from", "to") if told.get(name) is None]
    if missing:
        raise UsageError(
            f"The conf has no {' and no '.join(missing)}.", remedy="Give from and to, YYYY-MM-DD."
        )
    first, last = parsed(told["from"]), parsed(told["to"])
    if last < first:
        raise UsageError(f"{last} is before {first}.", remedy="Give the earlier day as from.")
    reason = told.get("reason") or ""
    if not isinstance(reason, str) or len(reason) > REASON_CHARACTERS or not reason.isprintable():
        raise UsageError(f"A reason is one line of up to {REASON_CHARACTERS} characters.")
    return Asked(first, last, allowed_missing(conf), reason.strip())


def by_month(
    partition_key: str | None, conf: Mapping[str, Any] | None, logical_date: datetime | None
) -> Asked:
    """The whole month that the run's day lies in."""
    day = business_day(partition_key, conf, logical_date)
    first = day.replace(day=1)
    return Asked(first, (first + timedelta(days=32)).replace(day=1) - timedelta(days=1))


def by_clock(
    partition_key: str | None, conf: Mapping[str, Any] | None, logical_date: datetime | None
) -> Asked:
    """No day of its own: the date of the run stands for one."""
    checked(conf)
    day = (logical_date or datetime.now(UTC)).date()
    return Asked(day, day)


def business_day(
    partition_key: str | None, conf: Mapping[str, Any] | None, logical_date: datetime | None
) -> date:
    """The day a run is for: its partition key, else conf's ``day``, else the date of its logical date.

    Raises UsageError where there is none, where two differ, or where one is not written YYYY-MM-DD.
    """
    told = checked(conf)
    days = {parsed(value) for value in (partition_key, told.get("day")) if value is not None}
    if len(days) > 1:
        raise UsageError(
            f"The partition is {partition_key} and conf's day is {told['day']}.", remedy="Give one of them."
        )
    if days:
        return days.pop()
    if logical_date is None:
        raise UsageError("The run names no day.", remedy='Trigger it with conf {"day": "YYYY-MM-DD"}.')
    return logical_date.date()


def checked(conf: Mapping[str, Any] | None) -> dict[str, Any]:
    """The conf as a dict; UsageError names keys that nobody reads."""
    told = dict(conf or {})
    unknown = sorted(set(told) - set(CONF_KEYS))
    if unknown:
        raise UsageError(f"The conf holds {', '.join(unknown)}.", remedy=f"Give {', '.join(CONF_KEYS)} only.")
    return told


def parsed(value: Any) -> date:
    """A date written YYYY-MM-DD and nothing else; UsageError otherwise."""
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
