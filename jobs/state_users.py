"""Lifetime of one user at one merchant."""

from collections.abc import Mapping
from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.metrics.windows import AsOf
from ccare.runtime.close import Close
from ccare.state.lifetimes import Lag, users
from ccare.tables.state import LAG_DAYS


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """Users that the day changes, with what it adds folded in; relations of LAG_DAYS ago move on by that day."""
    few, first = close.has_few_changes, min(close.touched, default=close.day)
    if close.day == close.first_day:
        return users(None, inputs["state_changes"], close.day, first, few)
    turned = F.lit(close.day - timedelta(days=LAG_DAYS))
    leaving = inputs["state_user_days"].where(F.col("business_date") == turned)
    ends = AsOf(close.day, close.timezone).start(LAG_DAYS - 1)
    before, changes = inputs["state_known_users"], inputs["state_changes"]
    return users(before, changes, close.day, first, few, Lag(leaving, ends))


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("state_users"))
