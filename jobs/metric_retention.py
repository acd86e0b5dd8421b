"""metric_retention: weekly cohorts in the week that the day ends."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from ccare.metrics.retention import retention, weeks_told
from ccare.metrics.windows import AsOf
from ccare.runtime.close import Close


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """Every cohort in the week that ends on the day; no row on other days than Sundays but the first close's."""
    weeks = weeks_told(close.day, close.first_day)
    return retention(inputs["state_users"], inputs["core_staff"], AsOf(close.day, close.timezone), weeks)


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("metric_retention"))
