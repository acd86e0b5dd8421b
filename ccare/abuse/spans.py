"""Which effective dates a close judges, and each row told once for every date whose window it lies in."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.abuse.policy import InForce

if TYPE_CHECKING:
    from ccare.runtime.close import Close

KEY = ["merchant_id", "effective_date"]


@dataclass(frozen=True)
class Judged:
    """Effective ``dates`` judged, oldest first, and ``of``: merchant_id and effective_date of those that are judged
    on dates before the last; None judges everyone on every date."""

    dates: tuple[date, ...]
    of: DataFrame | None = None

    @property
    def last(self) -> date:
        return self.dates[-1]

    def since(self, window_days: int) -> date:
        """First day of the longest window back."""
        return self.dates[0] - timedelta(days=window_days - 1)

    def spread(self, rows: DataFrame, window_days: int) -> DataFrame:
        """``rows`` (merchant_id, business_date, …) once for each effective date up to ``window_days`` - 1 later."""
        recent = rows.filter(F.col("business_date").between(F.lit(self.since(window_days)), F.lit(self.last)))
        if len(self.dates) == 1:
            return recent.withColumn("effective_date", F.lit(self.last))

        day = F.col("business_date")
        first, last = F.lit(self.dates[0]), F.lit(self.last)
        ends = F.least(last, F.date_add(day, window_days - 1))
        told = recent.withColumn("effective_date", F.explode(F.sequence(F.greatest(first, day), ends)))
        if (self.last - self.dates[0]).days >= len(self.dates):
            told = told.filter(F.col("effective_date").isin(*self.dates))
        if self.of is None:
            return told
        return told.join(F.broadcast(self.of.withColumn("_judged", F.lit(True))), KEY, "left").filter(
            F.col("_judged") | (F.col("effective_date") == F.lit(self.last))
        )


def dates_judged(close: "Close", rules: tuple[InForce, ...]) -> tuple[date, ...]:
    """The close's own day, and earlier dates that came rows may still change: not matured, in a window's reach.

    Nothing where no rule judges any of them. A date matures with the longest wait of any programme.
    """
    if not close.posts or not rules or close.day < close.earn_start:
        return ()
    wait = max((p.maturity_days for p in close.ledger.programmes), default=0)
    first = max(close.day - timedelta(days=wait), close.earn_start)
    reach = max(r.rule.window_days for r in rules)
    earlier = {
        came + timedelta(days=n)
        for came in close.touched
        for n in range(max((first - came).days, 0), min(reach, (close.day - came).days))
    }
    return (*sorted(earlier), close.day)


def days_to_judge(close: "Close") -> tuple[date, ...]:
    """Effective dates whose evidence this close finds, oldest first; none where no rule judges them."""
    return dates_judged(close, close.abuse.judging(close.first_day, close.day))


def judged(changes: DataFrame, dates: tuple[date, ...], reach: int) -> Judged:
    """``dates``, and on all but the last only merchants whose rows came in (``changes``: state_changes)."""
    earlier = dates[:-1]
    if not earlier:
        return Judged(dates)
    back = F.datediff(F.col("day"), "business_date")
    came = changes.filter(F.col("business_date") <= F.lit(earlier[-1])).select("merchant_id", "business_date")
    days = F.explode(F.array(*(F.lit(day) for day in earlier))).alias("day")
    found = came.distinct().select("merchant_id", "business_date", days)
    found = found.filter((back >= 0) & (back < reach)).select(
        "merchant_id", F.col("day").alias("effective_date")
    )
    return Judged(dates, found.distinct())
