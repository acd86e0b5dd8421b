"""score_benchmarks: frozen by the first close of a month that needs them, and never touched again."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.runtime.close import Close
from ccare.scoring.benchmarks import freeze
from ccare.scoring.months import month_of


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """The month's benchmarks, or no rows when it has them already."""
    before = inputs["score_benchmarks"].where(F.col("month") == month_of(close.day))
    if not before.isEmpty():
        return before.where(F.lit(False))
    return freeze(inputs["metric_merchants"], close.day, close.scoring)


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("score_benchmarks"))
