"""Weekly cohort retention from first active days and activity bits."""

from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.metrics.bits import word_at
from ccare.metrics.windows import AsOf

WEEKS_BEFORE = 8
"""Whole weeks that 64 days of bits hold whatever the weekday."""
_SUNDAY = 6


def weeks_told(day: date, first_day: date) -> list[date]:
    """Mondays of the weeks that the close of ``day`` tells: its own on a Sunday, at first the eight before."""
    sunday = day - timedelta(days=(day.weekday() - _SUNDAY) % 7)
    count = WEEKS_BEFORE if day == first_day else int(day == sunday)
    return [sunday - timedelta(days=6 + 7 * back) for back in range(count)]


def retention(users: DataFrame, staff: DataFrame, as_of: AsOf, weeks: list[date]) -> DataFrame:
    """state_users as of the close -> metric_retention: every cohort in each of the weeks that begin on ``weeks``."""
    pairs = staff.where(F.col("taken_on") <= F.lit(as_of.day)).select("merchant_id", "user_key")
    first = F.col("first_seen_date")
    seen = users.where(first <= F.lit(as_of.day)).join(
        F.broadcast(pairs), ["merchant_id", "user_key"], "left_anti"
    )
    words = seen.select(
        "merchant_id",
        F.date_sub(first, F.weekday(first)).alias("cohort_week"),
        word_at(F.col("active_bits"), F.col("last_seen_date"), as_of.day).alias("active"),
    )
    sums = []
    for at, week in enumerate(weeks):
        back = (as_of.day - week).days - 6
        days = F.lit(0b1111111 << back).cast("bigint")
        sums.append(F.count_if(F.col("active").bitwiseAND(days) != 0).alias(f"_{at}"))
    cohorts = words.groupBy("merchant_id", "cohort_week").agg(F.count("*").alias("cohort_users"), *sums)
    weekly = [F.struct(F.lit(w).alias("week"), F.col(f"_{n}").alias("users")) for n, w in enumerate(weeks)]
    cells = F.explode(F.array(*weekly).cast("array<struct<week:date,users:bigint>>"))
    told = cohorts.select("merchant_id", "cohort_week", "cohort_users", cells.alias("cell"))
    age = F.datediff(F.col("week"), F.col("cohort_week")) / 7
    told = told.select("merchant_id", "cohort_week", "cohort_users", "cell.*").where("week >= cohort_week")
    return told.withColumns({"age": age.cast("bigint"), "as_of_date": F.lit(as_of.day)})
