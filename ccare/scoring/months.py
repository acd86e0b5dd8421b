"""Which month's benchmarks a day is compared with, and what groups are called. No engine is imported here."""

from collections.abc import Iterable
from datetime import date

MONTHLY, BOOTSTRAP, LAST_FROZEN = "monthly", "bootstrap", "last_frozen"
"""Status of benchmarks: of the month's own, frozen by its first close, or an earlier month's standing in."""
TIERS = ("small", "mid", "large")
ANY_INDUSTRY = "*"
"""Stands for an industry unknown at the freeze, and for merchants without one: they compare with everyone."""


def month_of(day: date) -> str:
    """The month of ``day``, YYYY-MM."""
    return f"{day:%Y-%m}"


def month_in_use(day: date, frozen: Iterable[str]) -> str:
    """The month whose benchmarks a close of ``day`` compares with: its own, else the last of ``frozen`` before it.

    Its own where nothing was frozen yet: then nobody is compared.
    """
    month = month_of(day)
    return max((m for m in frozen if m <= month), default=month)


def days_of(benchmarks_of: str, day: date) -> tuple[date, date]:
    """First and last day up to ``day`` on which merchants keep the group that these benchmarks gave them."""
    return date.fromisoformat(f"{benchmarks_of}-01"), day
