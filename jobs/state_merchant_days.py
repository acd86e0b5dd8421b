"""Additive partials of one merchant's day, for the days counted again."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.runtime.close import Close
from ccare.state.folds import merchant_days


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """The touched business dates and those of new staff, whole, from their user days."""
    days = inputs["state_user_days"].where(F.col("business_date").isin(*close.touched, *close.staff_days))
    return merchant_days(days, inputs["core_staff"])


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("state_merchant_days"))
