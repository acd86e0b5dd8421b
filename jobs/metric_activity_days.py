"""metric_activity_days: users by their active days in the last 28."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from ccare.metrics.histograms import activity_days
from ccare.metrics.windows import AsOf
from ccare.runtime.close import Close


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """One row for each number of active days that some user has."""
    return activity_days(inputs["metric_user_facts"], AsOf(close.day, close.timezone))


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("metric_activity_days"))
