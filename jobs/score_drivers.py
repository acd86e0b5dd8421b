"""score_drivers: every weighted metric of every merchant, placed among its peers."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.runtime.close import Close
from ccare.scoring.drivers import drivers


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """One row for each merchant of the day's metrics and each metric that the policy weighs."""
    placed = drivers(
        inputs["metric_merchants"],
        inputs["score_benchmarks"],
        inputs["score_merchants"],
        close.day,
        close.scoring,
        close.benchmarks_of,
    )
    return placed.withColumn("run_id", F.lit(close.run_id))


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("score_drivers"))
