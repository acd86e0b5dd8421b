"""Windows that trail and include the as-of day d, and the views of state that every dimension reads.

W28 = [d-27, d] and P28 = [d-55, d-28]; the refund window [d-42, d-15] leaves refunds time to come in.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.metrics.bits import count_days, low_bits, pair_at, word_at
from ccare.tables.state import RELATIONS, THEN

MONTH = 28
"""Days in W28 and in P28."""
REPURCHASE_DAYS = 90
REFUND_WINDOW = (42, 15)
"""First and last day, counted back from d, of the trades that the refund rate is about."""


_KEPT = (
    "merchant_id",
    "first_seen_date",
    "first_paid_date",
    "last_paid_date",
    "first_bound_date",
    "last_viewed_date",
    "last_engaged_date",
    "last_served_date",
    "last_delivered_date",
    "last_clicked_date",
)


@dataclass(frozen=True)
class AsOf:
    """The as-of day and the lake's business time zone: all that a window depends on."""

    day: date
    timezone: str

    def back(self, days: int) -> date:
        """The date ``days`` before d."""
        return self.day - timedelta(days=days)

    def within(self, moment: Column, last: int, first: int = 0) -> Column:
        """Whether a date lies in [d - last, d - first]; false where it is null."""
        inside = moment.between(F.lit(self.back(last)), F.lit(self.back(first)))
        return F.coalesce(inside, F.lit(False))

    def start(self, days_back: int) -> datetime:
        """The instant at which the business date d - ``days_back`` begins (UTC)."""
        local = datetime.combine(self.back(days_back), time(), ZoneInfo(self.timezone))
        return local.astimezone(UTC)


def one_if(condition: Column) -> Column:
    """1 where the condition holds, else 0: what a count adds up (bigint)."""
    return F.when(condition, F.lit(1)).otherwise(F.lit(0)).cast("long")


def pairs_as_of(users: DataFrame, as_of: AsOf) -> DataFrame:
    """state_users seen from d, one row for each merchant and user.

    Gives the dates that facts are about, active (word; bit i is day d-i), w28 and p28 (days of it: bit i is d-i
    and d-28-i), paid28 (word), paid_days_90 (days), reachable and reachable_then (a relation is on at the end of d,
    of d-28) and turned_off (relations whose last change, in the last 56 days, turned them off).
    """
    active = word_at(F.col("active_bits"), F.col("last_seen_date"), as_of.day)
    recent, older = pair_at(F.col("paid_bits"), F.col("paid_bits_older"), F.col("last_paid_date"), as_of.day)
    moved = users.select(
        *_KEPT,
        active.alias("active"),
        recent.alias("paid_recent"),
        older.alias("paid_older"),
        _reachable(as_of).alias("reachable"),
        _reachable_then(as_of).alias("reachable_then"),
        _turned_off(as_of).alias("turned_off"),
    )
    month = low_bits(MONTH)
    return moved.select(
        *_KEPT,
        "active",
        F.col("active").bitwiseAND(month).alias("w28"),
        F.shiftrightunsigned("active", MONTH).bitwiseAND(month).alias("p28"),
        F.col("paid_recent").bitwiseAND(month).alias("paid28"),
        (
            count_days(F.col("paid_recent"))
            + count_days(F.col("paid_older").bitwiseAND(low_bits(REPURCHASE_DAYS - 64)))
        ).alias("paid_days_90"),
        "reachable",
        "reachable_then",
        "turned_off",
    )


def _reachable(as_of: AsOf) -> Column:
    """A relation turned on after d is not yet on."""
    end = F.lit(as_of.start(-1))
    on = F.lit(False)
    for name in RELATIONS:
        on = on | F.coalesce(F.col(f"{name}_on") & (F.col(f"{name}_at") < end), F.lit(False))
    return on


def _reachable_then(as_of: AsOf) -> Column:
    """The last change by the end of d-28 is the last of all, or else the one kept beside it."""
    end = F.lit(as_of.start(MONTH - 1))
    on = F.lit(False)
    for name, then in THEN.items():
        old = F.when(F.col(f"{name}_at") < end, F.col(f"{name}_on")).otherwise(F.col(f"{then}_on"))
        on = on | F.coalesce(old, F.lit(False))
    return on


def _turned_off(as_of: AsOf) -> Column:
    start, end = F.lit(as_of.start(2 * MONTH - 1)), F.lit(as_of.start(-1))
    total = F.lit(0).cast("long")
    for name in RELATIONS:
        at = F.col(f"{name}_at")
        total = total + one_if(~F.col(f"{name}_on") & (at >= start) & (at < end))
    return total
