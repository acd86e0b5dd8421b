"""Large books are shuffled by more partitions, for a join's side of each is held in memory whole."""

import pytest
from pyspark.sql import SparkSession

from ccare.ledger.frames import by_party, shared
from ccare.runtime.spark import ROWS_OF_A_PARTITION, interpreted, spread, uncompiled, whole

pytestmark = pytest.mark.spark
NAME = "spark.sql.shuffle.partitions"


def test_no_partition_has_more_than_its_share(spark: SparkSession) -> None:
    before = spark.conf.get(NAME)
    rows = ROWS_OF_A_PARTITION * 3 * int(str(before)) + 1
    with spread(spark, rows):
        told = spark.conf.get(NAME)
    assert told == str(3 * int(str(before)) + 1)
    assert spark.conf.get(NAME) == before


def test_few_rows_stay_as_they_are(spark: SparkSession) -> None:
    before = spark.conf.get(NAME)
    with spread(spark, 10):
        assert spark.conf.get(NAME) == before


def test_few_rows_are_one_task_and_more_are_not(spark: SparkSession) -> None:
    """Unions, joins and sums of checkpoints as the ledger makes them: nothing is moved, until many rows are spread."""

    def laid_out() -> tuple[int, int]:
        left, right = (shared(by_party(whole(spark.createDataFrame([("p", 1)], ["party", n])))) for n in "nm")
        counted = [both.groupBy("party").count() for both in (left.union(right), left.join(right, "party"))]
        assert [[row["count"] for row in each.collect()] for each in counted] == [[2], [1]]
        plans: list[str] = [each._jdf.queryExecution().executedPlan().toString() for each in counted]
        return left.rdd.getNumPartitions(), sum(plan.count("Exchange") for plan in plans)

    with interpreted(spark):
        assert laid_out() == (1, 0)
        with spread(spark, 2 * ROWS_OF_A_PARTITION):
            assert laid_out()[0] == 2


def test_what_a_small_step_sets_is_set_back(spark: SparkSession) -> None:
    before = spark.conf.getAll
    with interpreted(spark):
        assert spark.conf.getAll != before
    assert spark.conf.getAll == before


def test_a_large_pass_keeps_its_partitions_and_broadcasts(spark: SparkSession) -> None:
    """Its few disputes are asked without generated code, but of many rows."""
    for name in (NAME, "spark.sql.autoBroadcastJoinThreshold", "spark.sql.leafNodeDefaultParallelism"):
        assert uncompiled(spark).conf.get(name, None) == spark.conf.get(name, None)
