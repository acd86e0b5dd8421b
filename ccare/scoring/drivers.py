"""Drivers: each metric of each merchant among its frozen peers, what it adds and what to aim at."""

from collections.abc import Mapping
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.metrics.definitions import METRIC_BY_ID, Metric
from ccare.scoring.benchmarks import month_of
from ccare.scoring.observations import by_metric, is_one_of, observations
from ccare.scoring.peers import ANY_INDUSTRY, TIERS, group_name, tier_of
from ccare.scoring.percentile import LAST, target_quantile, with_percentiles
from ccare.scoring.policy import ScoringPolicy
from ccare.scoring.posterior import amount_bounds, with_share_bounds
from ccare.scoring.shrinkage import restored, shrunk, transformed

NEUTRAL = 50.0
"""Percentile of a metric that no peer has data of: nobody stands above anybody. It carries no coverage."""
_MEMBER = ("merchant_id", "peer_group", "events_56d")


def drivers(
    metrics: DataFrame, benchmarks: DataFrame, scored: DataFrame, day: date, policy: ScoringPolicy
) -> DataFrame:
    """score_drivers for one day but run_id.

    ``metrics``, ``benchmarks``: all of metric_merchants and score_benchmarks; ``scored``: score_merchants as
    published before, whose rows of the month hold each merchant's frozen group.
    """
    weighted = tuple(METRIC_BY_ID[name] for d in policy.dimensions for name in policy.metrics_of(d))
    frozen = benchmarks.where(F.col("month") == month_of(day))
    today = metrics.where(F.col("as_of_date") == F.lit(day))
    long = observations(with_group(today, frozen, scored, day), weighted, _MEMBER)
    compared = long.join(
        F.broadcast(_with_targets(frozen, weighted, policy)), ["peer_group", "metric_id"], "left"
    )
    return _columns(_placed(compared, weighted), weighted, day, policy)


def with_group(today: DataFrame, frozen: DataFrame, scored: DataFrame, day: date) -> DataFrame:
    """``today`` with peer_group: the one that the month's first score gave, else by the frozen cuts.

    An industry that the freeze did not know compares with everyone. Null where nothing is frozen.
    """
    in_month = F.date_format("as_of_date", "yyyy-MM") == month_of(day)
    window = (F.col("as_of_date") >= F.lit(day.replace(day=1))) & in_month & F.col("peer_group").isNotNull()
    held = scored.where(window).groupBy("merchant_id").agg(F.min_by("peer_group", "as_of_date").alias("held"))
    one_each = (F.col("metric_id") == "c_mau28") & (F.col("tier") == TIERS[0])
    cuts = frozen.where(one_each).select("industry", "tier_low", "tier_high")
    known = cuts.select("industry", F.struct("industry", "tier_low", "tier_high").alias("own"))
    anyone = cuts.where(F.col("industry") == ANY_INDUSTRY).select(
        F.struct("industry", "tier_low", "tier_high").alias("anyone")
    )
    cut = F.coalesce("own", "anyone")
    tier = tier_of(F.col("c_mau28"), cut["tier_low"], cut["tier_high"])
    fresh = F.when(cut.isNotNull(), group_name(cut["industry"], tier))
    return (
        today.join(held, "merchant_id", "left")
        .join(F.broadcast(known), "industry", "left")
        .join(F.broadcast(anyone), F.lit(True), "left")
        .withColumn("peer_group", F.coalesce("held", fresh))
    )


def _lower_is_better(metrics: tuple[Metric, ...]) -> Column:
    return is_one_of([metric for metric in metrics if metric.lower_is_better])


def _with_targets(frozen: DataFrame, metrics: tuple[Metric, ...], policy: ScoringPolicy) -> DataFrame:
    """The month's benchmarks with the target of each, in the metric's own unit; counts are rounded up."""
    reached = target_quantile(F.col("quantiles"), policy.target_percentile, _lower_is_better(metrics))
    units = {}
    for metric in metrics:
        value = restored(reached, metric.scoring)
        # expm1 gives 12.000000000000002 for log1p(12).
        units[metric.id] = value if metric.is_ratio else F.ceil(value - 1e-6).cast("double")
    return frozen.select(
        "peer_group",
        "metric_id",
        "quantiles",
        "prior_mean",
        "prior_strength",
        by_metric(metrics, units, reached).alias("target"),
    )


def _placed(compared: DataFrame, metrics: tuple[Metric, ...]) -> DataFrame:
    """Shrunk value, its percentile and those of its 10 % and 90 % points: higher is better, 4 decimals."""
    n, mean, strength = F.col("n"), F.col("prior_mean"), F.col("prior_strength")
    value = shrunk(n, F.col("value"), mean, strength)
    shares = is_one_of([metric for metric in metrics if metric.is_proportion])
    amounts = is_one_of([metric for metric in metrics if metric.is_ratio and not metric.is_proportion])
    scales = {metric.id: transformed(F.col("shrunk_value"), metric.scoring) for metric in metrics}
    rows = compared.withColumn("shrunk_value", value).withColumns(
        {
            "x": by_metric(metrics, scales, F.col("shrunk_value")),
            "share": F.when(shares, F.col("shrunk_value")),
            "share_strength": F.when(shares, n.cast("double") + strength),
        }
    )
    rows = with_share_bounds(rows, "share", "share_strength", "share_low", "share_high")
    amount_low, amount_high = amount_bounds(F.col("x"), n, strength, F.col("quantiles"))
    # Near 0 a posterior is so skewed that both its points lie below its mean: the interval holds the mean.
    x = F.col("x")
    low = F.when(shares, F.col("share_low")).when(amounts, amount_low).otherwise(x)
    high = F.when(shares, F.col("share_high")).when(amounts, amount_high).otherwise(x)
    rows = rows.withColumns({"x_low": F.least(low, x), "x_high": F.greatest(high, x)})
    rows = with_percentiles(rows, {"at": "x", "at_low": "x_low", "at_high": "x_high"}, "quantiles")
    lower = _lower_is_better(metrics)
    higher_is_better = {
        name: F.bround(F.coalesce(F.when(lower, LAST - F.col(at)).otherwise(F.col(at)), F.lit(NEUTRAL)), 4)
        for name, at in (
            ("percentile", "at"),
            ("percentile_at_low", "at_low"),
            ("percentile_at_high", "at_high"),
        )
    }
    return rows.withColumns(higher_is_better)


def _columns(placed: DataFrame, metrics: tuple[Metric, ...], day: date, policy: ScoringPolicy) -> DataFrame:
    """The declared columns."""

    def constant(values: Mapping[str, str | int | float]) -> Column:
        return by_metric(metrics, {name: F.lit(value) for name, value in values.items()}, F.lit(None))

    percentile = F.col("percentile")
    known = (F.coalesce("n", F.lit(1)) > 0) & F.col("quantiles").isNotNull() & (F.col("events_56d") > 0)
    status = (
        F.when(~known, "none")
        .when(percentile >= policy.good_percentile, "good")
        .when(percentile < policy.bad_percentile, "bad")
        .otherwise("watch")
    )
    weight = constant(policy.weights)
    at_low, at_high = F.col("percentile_at_low"), F.col("percentile_at_high")
    return placed.select(
        "merchant_id",
        F.lit(day).alias("as_of_date"),
        "metric_id",
        constant({metric.id: metric.dimension for metric in metrics}).alias("dimension"),
        "value",
        "numerator",
        "denominator",
        "n",
        "shrunk_value",
        "percentile",
        F.least(at_low, at_high).alias("percentile_low"),
        F.greatest(at_low, at_high).alias("percentile_high"),
        weight.alias("weight"),
        (weight * percentile).alias("contribution"),
        "target",
        F.when(_lower_is_better(metrics), "at_most").otherwise("at_least").alias("target_condition"),
        F.when(F.col("target").isNotNull(), "reachable")
        .when(F.col("quantiles").isNotNull(), "ceiling")
        .alias("target_status"),
        status.alias("driver_status"),
        constant({metric.id: metric.window_days for metric in metrics}).cast("int").alias("window_days"),
        "peer_group",
        F.lit(policy.version).alias("policy_version"),
    )
