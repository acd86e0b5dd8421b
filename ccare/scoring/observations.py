"""Wide metric rows to one row for each merchant and metric: the form in which peers are compared."""

from collections.abc import Iterable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.metrics.definitions import Metric

COUNT, SHARE, AMOUNT = "count", "share", "amount"
"""Kinds of metric: counts are not shrunk, shares have beta posteriors, amounts normal ones."""
FACTS = ("metric_id", "dimension", "kind", "scoring", "lower_is_better", "fixed_k", "window_days")
"""What a row tells about its metric, from the declarations."""


def observations(rows: DataFrame, metrics: Iterable[Metric], keep: tuple[str, ...]) -> DataFrame:
    """Rows of metric_merchants unpivoted, the columns ``keep`` carried along.

    Adds FACTS, value (double; the count itself, or the ratio as it is scored, null where it has no denominator),
    numerator, denominator (null for counts), n: people or orders behind a ratio, 0 where its value is null; null
    for counts, which are always known; and own: n x value, what the merchant itself puts into its shrunk value,
    null where that is nothing.
    """
    cells = F.explode(F.array(*(_cell(metric) for metric in metrics))).alias("cell")
    return rows.select(*keep, cells).select(*keep, "cell.*")


def kind_of(metric: Metric) -> str:
    """COUNT, SHARE or AMOUNT."""
    if not metric.is_ratio:
        return COUNT
    return SHARE if metric.is_proportion else AMOUNT


def _cell(metric: Metric) -> Column:
    null = F.lit(None)
    if not metric.is_ratio:
        value = F.col(metric.id).cast("double")
        return _struct(metric, value, F.col(metric.id), null, null, null)
    numerator, denominator = F.col(f"{metric.id}_num"), F.col(f"{metric.id}_den")
    value, population = F.col(metric.id).cast("double"), F.col(metric.population or metric.id)
    if metric.scored_as == "part_of_whole":
        denominator = population = numerator + denominator
        value = F.when(denominator != 0, numerator / denominator)
    # Trades worth nothing are orders without a rate: they tell nothing about it.
    n = F.when(value.isNull(), F.lit(0)).otherwise(F.coalesce(population, F.lit(0)))
    own = F.when(n > 0, n.cast("double") * value)
    if metric.scored_as == "cost_per_result":
        own = numerator.cast("double")
    return _struct(metric, value, numerator, denominator, n, own)


def _struct(
    metric: Metric, value: Column, numerator: Column, denominator: Column, n: Column, own: Column
) -> Column:
    return F.struct(
        F.lit(metric.id).alias("metric_id"),
        F.lit(metric.dimension).alias("dimension"),
        F.lit(kind_of(metric)).alias("kind"),
        F.lit(metric.scoring).alias("scoring"),
        F.lit(metric.lower_is_better).alias("lower_is_better"),
        F.lit(metric.fixed_k).cast("double").alias("fixed_k"),
        F.lit(metric.window_days).alias("window_days"),
        value.alias("value"),
        numerator.cast("long").alias("numerator"),
        denominator.cast("long").alias("denominator"),
        n.cast("long").alias("n"),
        own.cast("double").alias("own"),
    )
