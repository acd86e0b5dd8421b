"""Drivers: each metric of each merchant among its frozen peers, what it adds and what to aim at."""

from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.metrics.definitions import METRIC_BY_ID, Metric
from ccare.scoring.months import ANY_INDUSTRY, TIERS, days_of
from ccare.scoring.observations import AMOUNT, COUNT, SHARE, kind_of, observations
from ccare.scoring.peers import group_name, tier_of
from ccare.scoring.percentile import LAST, with_percentiles, with_target
from ccare.scoring.policy import ScoringPolicy
from ccare.scoring.posterior import amount_bounds, with_share_bounds
from ccare.scoring.shrinkage import restored, shrunk, transformed

NEUTRAL = 50.0
"""Percentile of a metric that no peer has data of: nobody stands above anybody. It carries no coverage."""
_MEMBER = ("merchant_id", "peer_group", "events_56d")
_PEERS = ["peer_group", "metric_id"]
_TOLD = (
    "metric_id",
    "dimension",
    "value",
    "numerator",
    "denominator",
    "n",
    "weight",
    "lower_is_better",
    "window_days",
)
"""What a driver's row says of its metric, beside what is worked out of it."""


def drivers(
    metrics: DataFrame,
    benchmarks: DataFrame,
    scored: DataFrame,
    day: date,
    policy: ScoringPolicy,
    benchmarks_of: str,
) -> DataFrame:
    """score_drivers for one day but run_id.

    ``metrics``, ``benchmarks``: all of metric_merchants and score_benchmarks; ``scored``: score_merchants as
    published before, whose rows since the benchmarks came into use hold each merchant's frozen group;
    ``benchmarks_of``: the month (YYYY-MM) that is compared with.
    """
    weighted = tuple(METRIC_BY_ID[name] for d in policy.dimensions for name in policy.metrics_of(d))
    frozen = benchmarks.where(F.col("month") == benchmarks_of)
    today = metrics.where(F.col("as_of_date") == F.lit(day))
    long = observations(with_group(today, frozen, scored, days_of(benchmarks_of, day)), weighted, _MEMBER)
    weights = F.create_map(*(F.lit(part) for pair in policy.weights.items() for part in pair))
    long = long.withColumn("weight", weights[F.col("metric_id")])
    tenths = {"_decile_1": F.get("quantiles", F.lit(10)), "_decile_9": F.get("quantiles", F.lit(90))}
    priors = frozen.withColumns(tenths).select(*_PEERS, "prior_mean", "prior_strength", *tenths)
    sure = _bounded(long.join(F.broadcast(priors), _PEERS, "left"))
    # One stage with the bounds and the places in it is a method that Java's first compiler gives up: it would run
    # uncompiled, at 90 microseconds a row. And a day's metrics are one file, which one core would read.
    compared = sure.repartition("merchant_id").join(
        F.broadcast(_with_targets(frozen, weighted, policy)), _PEERS, "left"
    )
    return _columns(_placed(compared), day, policy)


def with_group(
    today: DataFrame, frozen: DataFrame, scored: DataFrame, in_use: tuple[date, date]
) -> DataFrame:
    """``today`` with peer_group: the one that the first score in the days ``in_use`` gave, else by the frozen cuts.

    An industry that the freeze did not know compares with everyone. Null where nothing is frozen.
    """
    since, day = in_use
    window = F.col("as_of_date").between(F.lit(since), F.lit(day)) & F.col("peer_group").isNotNull()
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


def _with_targets(frozen: DataFrame, metrics: tuple[Metric, ...], policy: ScoringPolicy) -> DataFrame:
    """The month's benchmarks with the target of each, in the metric's own unit; counts are rounded up."""
    lower = F.col("metric_id").isin([m.id for m in metrics if m.lower_is_better])
    count = F.col("metric_id").isin([m.id for m in metrics if kind_of(m) == COUNT])
    scoring = reduce(
        lambda other, m: F.when(F.col("metric_id") == m.id, m.scoring).otherwise(other), metrics, F.lit("")
    )
    reached = with_target(frozen, "reached", "quantiles", policy.target_percentile, lower)
    own_unit = restored(F.col("reached"), scoring)
    # expm1 gives 12.000000000000002 for log1p(12).
    target = F.when(count, F.ceil(own_unit - 1e-6)).otherwise(own_unit)
    return reached.select(*_PEERS, "quantiles", target.alias("target"))


def _bounded(compared: DataFrame) -> DataFrame:
    """Shrunk value, x on the scored scale, and x_low and x_high, the 10 % and 90 % points of its posterior."""
    n, mean, strength = F.col("n"), F.col("prior_mean"), F.col("prior_strength")
    shares, amounts, value = F.col("kind") == SHARE, F.col("kind") == AMOUNT, F.col("shrunk_value")
    pulled = shrunk(n, F.col("own"), F.col("value"), mean, strength)
    rows = compared.withColumn("shrunk_value", pulled).withColumns(
        {
            "x": transformed(value, F.col("scoring")),
            "share": F.when(shares, value),
            "share_strength": F.when(shares, n.cast("double") + strength),
        }
    )
    rows = with_share_bounds(rows, "share", "share_strength", "share_low", "share_high")
    x = F.col("x")
    amount_low, amount_high = amount_bounds(x, n, strength, F.col("_decile_1"), F.col("_decile_9"))
    # Near 0 a posterior is so skewed that both its points lie below its mean: the interval holds the mean.
    low = F.when(shares, F.col("share_low")).when(amounts, amount_low).otherwise(x)
    high = F.when(shares, F.col("share_high")).when(amounts, amount_high).otherwise(x)
    return rows.select(
        *_MEMBER,
        *_TOLD,
        "shrunk_value",
        "x",
        F.least(low, x).alias("x_low"),
        F.greatest(high, x).alias("x_high"),
    )


def _placed(compared: DataFrame) -> DataFrame:
    """The percentile of x and of its two points among the peers' quantiles: higher is better, 4 decimals."""
    rows = with_percentiles(compared, {"at": "x", "at_low": "x_low", "at_high": "x_high"}, "quantiles")
    places = {"percentile": "at", "percentile_at_low": "at_low", "percentile_at_high": "at_high"}
    return rows.withColumns({name: _better_is_higher(F.col(at)) for name, at in places.items()})


def _better_is_higher(place: Column) -> Column:
    turned = F.when(F.col("lower_is_better"), LAST - place).otherwise(place)
    return F.bround(F.coalesce(turned, F.lit(NEUTRAL)), 4)


def _columns(placed: DataFrame, day: date, policy: ScoringPolicy) -> DataFrame:
    """The declared columns."""
    percentile, weight = F.col("percentile"), F.col("weight")
    known = (F.coalesce("n", F.lit(1)) > 0) & F.col("quantiles").isNotNull() & (F.col("events_56d") > 0)
    status = (
        F.when(~known, "none")
        .when(percentile >= policy.good_percentile, "good")
        .when(percentile < policy.bad_percentile, "bad")
        .otherwise("watch")
    )
    target_status = F.when(F.col("target").isNotNull(), "reachable").when(
        F.col("quantiles").isNotNull(), "ceiling"
    )
    at_low, at_high = F.col("percentile_at_low"), F.col("percentile_at_high")
    return placed.select(
        "merchant_id",
        F.lit(day).alias("as_of_date"),
        "metric_id",
        "dimension",
        "value",
        "numerator",
        "denominator",
        "n",
        "shrunk_value",
        "percentile",
        F.least(at_low, at_high).alias("percentile_low"),
        F.greatest(at_low, at_high).alias("percentile_high"),
        "weight",
        (weight * percentile).alias("contribution"),
        "target",
        F.when(F.col("lower_is_better"), "at_most").otherwise("at_least").alias("target_condition"),
        target_status.alias("target_status"),
        status.alias("driver_status"),
        "window_days",
        "peer_group",
        F.lit(policy.version).alias("policy_version"),
    )
