"""score_merchants: the four dimensions and the total of every merchant."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.runtime.close import Close
from ccare.scoring.score import scores


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """One row for each merchant with drivers on the day."""
    told = scores(
        inputs["score_drivers"],
        inputs["score_benchmarks"],
        inputs["metric_merchants"],
        close.day,
        close.scoring,
        close.benchmarks_of,
        close.unreconciled,
    )
    return told.withColumn("run_id", F.lit(close.run_id))


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("score_merchants"))
