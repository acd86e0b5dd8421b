"""Large books are shuffled by more partitions, for a join's side of each is held in memory whole."""

import pytest
from pyspark.sql import SparkSession

from ccare.runtime.spark import ROWS_OF_A_PARTITION, spread

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
