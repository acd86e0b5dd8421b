"""metric_stages: users by the stage of their life with a merchant."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from ccare.metrics.histograms import stages
from ccare.metrics.windows import AsOf
from ccare.runtime.close import Close


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """Seven rows for each merchant with a user."""
    return stages(inputs["metric_user_facts"], AsOf(close.day, close.timezone))


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("metric_stages"))
