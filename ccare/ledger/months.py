"""Dates of the programmes that pay by the month: on its last day, for trades that are settled by then.

A month is told on its last day d and, because refunds and late rows come in, told again on the last days of the
months that follow. On every other day these programmes cost nothing.
"""

from collections.abc import Sequence
from datetime import date, timedelta

SETTLED_DAYS = 15
"""Days after which a trade counts as settled."""


def is_last_of_month(day: date) -> bool:
    """Whether ``day`` ends its month."""
    return (day + timedelta(days=1)).day == 1


def told_months(day: date, start: date, again: int) -> tuple[date, ...]:
    """Last days of months that the close of ``day`` tells, newest first: its own and ``again`` before it.

    None on a day that ends no month, and none before ``start``.
    """
    found: list[date] = []
    end = day
    while is_last_of_month(day) and len(found) <= again and end >= start:
        found.append(end)
        end = end.replace(day=1) - timedelta(days=1)
    return tuple(found)


def month_of_trade(paid_on: str) -> str:
    """SQL of the last day d of the month that a trade paid on ``paid_on`` belongs to.

    d is the only one with ``paid_on`` in (last day of the month before d - 15, d - 15].
    """
    return f"last_day({paid_on} + {SETTLED_DAYS})"


def first_paid(ends: Sequence[date]) -> date:
    """First payment date of any month in ``ends``."""
    earliest = min(ends).replace(day=1) - timedelta(days=1)
    return earliest - timedelta(days=SETTLED_DAYS - 1)


def last_paid(ends: Sequence[date]) -> date:
    """Last payment date of any month in ``ends``."""
    return max(ends) - timedelta(days=SETTLED_DAYS)
