"""Wide metric rows to one row for each merchant and metric: the form in which peers are compared."""

from collections.abc import Iterable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.metrics.definitions import Metric


def observations(rows: DataFrame, metrics: Iterable[Metric], keep: tuple[str, ...]) -> DataFrame:
    """Rows of metric_merchants unpivoted, the columns ``keep`` carried along.

    Adds metric_id, value (double; the count itself, or the ratio, null where it has no denominator),
    numerator, denominator (null for counts) and n: people or orders behind a ratio, 0 where its value is
    null; null for counts, which are always known.
    """
    cells = F.explode(F.array(*(_cell(metric) for metric in metrics))).alias("cell")
    return rows.select(*keep, cells).select(*keep, "cell.*")


def _cell(metric: Metric) -> Column:
    value = F.col(metric.id).cast("double")
    null = F.lit(None).cast("long")
    numerator, denominator, n = F.col(metric.id), null, null
    if metric.is_ratio:
        numerator, denominator = F.col(f"{metric.id}_num"), F.col(f"{metric.id}_den")
        # Trades worth nothing are orders without a rate: they tell nothing about it.
        people = F.coalesce(metric.population, F.lit(0).cast("long"))
        n = F.when(value.isNull(), F.lit(0).cast("long")).otherwise(people)
    return F.struct(
        F.lit(metric.id).alias("metric_id"),
        value.alias("value"),
        numerator.cast("long").alias("numerator"),
        denominator.cast("long").alias("denominator"),
        n.cast("long").alias("n"),
    )


def by_metric(metrics: Iterable[Metric], choose: dict[str, Column], otherwise: Column) -> Column:
    """The column that ``choose`` gives for the row's metric_id, else ``otherwise``."""
    chosen = otherwise
    for metric in metrics:
        if metric.id in choose:
            chosen = F.when(F.col("metric_id") == metric.id, choose[metric.id]).otherwise(chosen)
    return chosen


def is_one_of(metrics: Iterable[Metric]) -> Column:
    """Whether the row's metric is among ``metrics``."""
    return F.col("metric_id").isin([metric.id for metric in metrics])
