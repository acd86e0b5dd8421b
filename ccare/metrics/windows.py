"""Windows that trail and include the as-of day d.

W28 = [d-27, d] and P28 = [d-55, d-28]; the refund window [d-42, d-15] leaves refunds time to come in.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pyspark.sql import Column
from pyspark.sql import functions as F

MONTH = 28
"""Days in W28 and in P28."""
REPURCHASE_DAYS = 90
REFUND_WINDOW = (42, 15)
"""First and last day, counted back from d, of the trades that the refund rate is about."""


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
