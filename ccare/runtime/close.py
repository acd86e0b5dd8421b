"""What a job is told about the close it works for, besides its input tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, TypeAlias

from ccare.abuse.policy import NO_RULES, AbusePolicy

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from ccare.events.slots import SlotMap
    from ccare.ledger.policy import LedgerPolicy
    from ccare.scoring.policy import ScoringPolicy

FEW_CHANGES = 200_000
"""Up to so many pair days that came in, whatever is made of them fits the driver and every task many times over."""

AtRest: TypeAlias = "Callable[[str, str, Mapping[str, pa.Table]], DataFrame]"
"""Rows of a table, as published, that a DuckDB query gives of the view of its name and of tables given beside."""


@dataclass(frozen=True)
class Close:
    """One business day being closed: everything a pure ``build`` may depend on besides its inputs.

    ``first_day`` is the first business day ever closed in the lake; ``posted_at`` is the wall clock that the
    harness read once for the run (UTC). ``posts`` is False when a closed day is only published again;
    ``touched`` are the business dates that the run's state_changes hold, ``changes`` its rows; ``staff_days`` are
    other dates, of users whom this close takes as staff: their merchant days are counted again. ``unreconciled``
    are the merchants whose bills differ from their payments by more than the policy allows. ``benchmarks_of`` is the
    month (YYYY-MM) whose benchmarks are in use: the day's own, or the last that was frozen where it has none.
    ``refunds_wait`` is False where every refund of an earlier close has met its trade. ``abuse`` holds every rule ever
    declared: each judges the effective dates of its own version. ``forgotten_until`` is the last day closed when a user
    was forgotten last: rows of dates up to it may have lost their user. ``at_rest``: of large books, what finds rows of
    the ledger's caches; then only those that change are asked for.
    """

    day: date
    first_day: date
    run_id: str
    posted_at: datetime
    timezone: str
    scoring: "ScoringPolicy"
    ledger: "LedgerPolicy"
    slots: "SlotMap"
    posts: bool = True
    touched: tuple[date, ...] = ()
    changes: int = 0
    staff_days: tuple[date, ...] = ()
    unreconciled: tuple[str, ...] = ()
    benchmarks_of: str = ""
    refunds_wait: bool = True
    abuse: AbusePolicy = NO_RULES
    forgotten_until: date | None = None
    at_rest: "AtRest | None" = field(default=None, compare=False, repr=False)

    @property
    def large_books(self) -> bool:
        """Whether a close lays out only what of the books it looks at."""
        return self.at_rest is not None

    @property
    def earn_start(self) -> date:
        """First effective date that may earn."""
        return max(self.ledger.go_live, self.first_day)

    @property
    def has_few_changes(self) -> bool:
        """Whether what came in is kept in memory, handed over as Arrow and sent to every task."""
        return self.changes <= FEW_CHANGES

    @property
    def may_earn(self) -> bool:
        """Whether the ledger books this close: the day's own, from go-live on."""
        return self.posts and self.day >= self.ledger.go_live

    def __post_init__(self) -> None:
        if not self.benchmarks_of:
            object.__setattr__(self, "benchmarks_of", f"{self.day:%Y-%m}")
