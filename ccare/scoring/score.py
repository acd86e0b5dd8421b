"""Scores: dimensions as weighted means of percentiles, the total as their weighted geometric mean.

Everything is added in the order of the policy, never in the order of rows, so a score has the same last digit
on any partitioning. Before the one decimal is cut half-even, nine decimals take off the noise of double
arithmetic: 33.35 stays a tie even where doubles say 33.349999999999994.
"""

from collections.abc import Iterable
from datetime import date
from functools import reduce
from operator import add

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.metrics.definitions import DIMENSIONS
from ccare.scoring.months import LAST_FROZEN, month_of
from ccare.scoring.policy import ScoringPolicy

FLOOR = 1.0
"""Least that a dimension counts in the geometric mean: a dead one is not bought back, nor ends everything."""
FULL, PARTIAL, INSUFFICIENT, INACTIVE = "full", "partial", "insufficient", "inactive"
UNRECONCILED = "unreconciled"


def scores(
    drivers: DataFrame,
    benchmarks: DataFrame,
    metrics: DataFrame,
    day: date,
    policy: ScoringPolicy,
    benchmarks_of: str,
    unreconciled: tuple[str, ...] = (),
) -> DataFrame:
    """score_merchants for one day but run_id, from whole tables.

    A dimension whose known weight is below the coverage floor is null. The total is null where any dimension
    is: partial when some are known, insufficient when none is. A merchant without an active day, paid or
    relation event in 56 days is inactive, everything null; so is a merchant of ``unreconciled``, whatever it did,
    for its payments are in doubt. _low and _high are 10 % and 90 % bounds: the score
    less and plus the half-width, so they hold the score, kept within 0 and 100.
    """
    today = drivers.where(F.col("as_of_date") == F.lit(day))
    wide = today.groupBy("merchant_id", "peer_group").agg(*_pivoted(policy))
    events = metrics.where(F.col("as_of_date") == F.lit(day)).select("merchant_id", "events_56d")
    joined = wide.join(events, "merchant_id").join(
        F.broadcast(_group_facts(benchmarks, benchmarks_of, day)), "peer_group", "left"
    )
    joined = joined.withColumn("blocked", F.col("merchant_id").isin(*unreconciled))
    measured = joined.withColumns(_measured(policy)).withColumns(_known(policy)).withColumns(_total(policy))
    return measured.select(
        "merchant_id",
        F.lit(day).alias("as_of_date"),
        *(column for name in (*DIMENSIONS, "total") for column in _score_columns(name)),
        *(F.col(f"{d}_coverage") for d in DIMENSIONS),
        _status().alias("score_status"),
        "peer_group",
        "peers",
        "benchmark_status",
        F.lit(policy.version).alias("policy_version"),
    )


def _pivoted(policy: ScoringPolicy) -> list[Column]:
    """For each metric its contribution, half its weighted width, and its weight where it is known."""
    columns = []
    for name in policy.weights:
        here = F.col("metric_id") == name
        width = F.col("weight") * (F.col("percentile_high") - F.col("percentile_low")) / 2
        known = F.when(F.col("driver_status") != "none", F.col("weight")).otherwise(0.0)
        columns += [
            F.max(F.when(here, F.col("contribution"))).alias(f"{name}_contribution"),
            F.max(F.when(here, width)).alias(f"{name}_width"),
            F.max(F.when(here, known)).alias(f"{name}_known"),
        ]
    return columns


def _group_facts(benchmarks: DataFrame, benchmarks_of: str, day: date) -> DataFrame:
    """peer_group, active merchants in it and status, once for each group of the month in use."""
    once = (F.col("month") == benchmarks_of) & (F.col("metric_id") == "c_mau28")
    status = F.col("status") if benchmarks_of == month_of(day) else F.lit(LAST_FROZEN)
    return benchmarks.where(once).select(
        "peer_group", F.col("members").alias("peers"), status.alias("benchmark_status")
    )


def _sum(columns: Iterable[Column]) -> Column:
    return reduce(add, columns)


def _measured(policy: ScoringPolicy) -> dict[str, Column]:
    """Mean, half-width and coverage of each dimension, whatever is known."""
    measured = {}
    for d in DIMENSIONS:
        names = policy.metrics_of(d)
        squares = (F.col(f"{name}_width") * F.col(f"{name}_width") for name in names)
        measured[f"{d}_mean"] = _sum(F.col(f"{name}_contribution") for name in names)
        measured[f"{d}_half"] = F.sqrt(_sum(squares))
        measured[f"{d}_coverage"] = F.bround(_sum(F.col(f"{name}_known") for name in names), 6)
    return measured


def _known(policy: ScoringPolicy) -> dict[str, Column]:
    """Mean and half-width where the dimension may be told."""
    known = {}
    for d in DIMENSIONS:
        told = (
            (F.col(f"{d}_coverage") >= policy.coverage_floor) & (F.col("events_56d") > 0) & ~F.col("blocked")
        )
        known[f"{d}_value"] = F.when(told, F.col(f"{d}_mean"))
        known[f"{d}_half"] = F.when(told, F.col(f"{d}_half"))
    return known


def _total(policy: ScoringPolicy) -> dict[str, Column]:
    """exp(sum of W ln max(D, 1)) and, by the delta method, its half-width; null where a dimension is."""
    floored = {d: F.greatest(F.col(f"{d}_value"), F.lit(FLOOR)) for d in DIMENSIONS}
    all_known = reduce(lambda a, b: a & b, (F.col(f"{d}_value").isNotNull() for d in DIMENSIONS))
    total = F.exp(_sum(F.lit(policy.dimensions[d]) * F.log(floored[d]) for d in DIMENSIONS))
    slopes = (F.lit(policy.dimensions[d]) / floored[d] * F.col(f"{d}_half") for d in DIMENSIONS)
    spread = F.sqrt(_sum(slope * slope for slope in slopes))
    return {"total_value": F.when(all_known, total), "total_half": F.when(all_known, total * spread)}


def _score_columns(name: str) -> list[Column]:
    value, half = F.col(f"{name}_value"), F.col(f"{name}_half")
    return [
        _one_decimal(value).alias(f"{name}_score"),
        _one_decimal(value - half).alias(f"{name}_score_low"),
        _one_decimal(value + half).alias(f"{name}_score_high"),
    ]


def _one_decimal(value: Column) -> Column:
    kept = F.when(value.isNotNull(), F.least(F.greatest(value, F.lit(0.0)), F.lit(100.0)))
    return F.bround(F.bround(kept, 9), 1)


def _status() -> Column:
    known = _sum(F.when(F.col(f"{d}_value").isNotNull(), 1).otherwise(0) for d in DIMENSIONS)
    return (
        F.when(F.col("blocked"), UNRECONCILED)
        .when(F.col("events_56d") == 0, INACTIVE)
        .when(known == len(DIMENSIONS), FULL)
        .when(known > 0, PARTIAL)
        .otherwise(INSUFFICIENT)
    )
