"""Counts and amounts of one user at one merchant on one day: the touched days, as they are now."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.runtime.close import Close
from ccare.state.folds import merged_pair_days


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """The touched business dates, whole: a late row adds to its own day."""
    if close.day == close.first_day:
        return merged_pair_days(None, inputs["state_changes"])
    before = inputs["state_user_days"].where(F.col("business_date").isin(*close.touched))
    return merged_pair_days(before, inputs["state_changes"])


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("state_user_days"))
