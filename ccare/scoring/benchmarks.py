"""Benchmarks: what merchants are compared with, frozen monthly so that scores do not move when others do."""

from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.metrics.definitions import SCORED_METRICS
from ccare.scoring.months import ANY_INDUSTRY, BOOTSTRAP, MONTHLY, TIERS, month_of
from ccare.scoring.observations import observations
from ccare.scoring.peers import LEVELS, group_name, tier_cuts, tier_of
from ccare.scoring.percentile import quantiles
from ccare.scoring.policy import ScoringPolicy
from ccare.scoring.shrinkage import moment_strength, moment_sums, shrunk, transformed

_POOL = ("level", "key", "metric_id")


def freezing(metrics: DataFrame, day: date, policy: ScoringPolicy) -> tuple[date, str]:
    """The as-of day to freeze for the month of ``day``, and the status it gives.

    The previous month's last day when enough merchants were active then, else ``day`` itself as a bootstrap.
    Reads one count.
    """
    before = day.replace(day=1) - timedelta(days=1)
    then = metrics.where((F.col("as_of_date") == F.lit(before)) & (F.col("c_mau28") > 0))
    enough = then.limit(policy.min_active_merchants).count() >= policy.min_active_merchants
    return (before, MONTHLY) if enough else (day, BOOTSTRAP)


def freeze(metrics: DataFrame, day: date, policy: ScoringPolicy) -> DataFrame:
    """score_benchmarks for the month of ``day``, of every metric that any policy can weigh.

    ``metrics``: all of metric_merchants. Peers are merchants with c_mau28 > 0 on the frozen day. No rows when
    nobody was active: the next close of the month tries again.
    """
    frozen_on, status = freezing(metrics, day, policy)
    active = metrics.where((F.col("as_of_date") == F.lit(frozen_on)) & (F.col("c_mau28") > 0))
    active = active.withColumn("industry", F.coalesce("industry", F.lit(ANY_INDUSTRY)))
    cuts = tier_cuts(active)
    tier = tier_of(F.col("c_mau28"), F.col("tier_low"), F.col("tier_high"))
    peers = active.join(F.broadcast(cuts), "industry").withColumn("tier", tier)
    chosen = _chosen_pools(_groups(cuts), _pools(peers, policy), policy)
    members = F.coalesce(
        F.when(F.col("industry") == ANY_INDUSTRY, F.col("everyone")).otherwise(F.col("own")), F.lit(0)
    )
    return (
        chosen.join(F.broadcast(_members(peers)), "peer_group", "left")
        .crossJoin(F.broadcast(peers.agg(F.count("*").alias("everyone"))))
        .select(
            F.lit(month_of(day)).alias("month"),
            "peer_group",
            "metric_id",
            "industry",
            "tier",
            members.alias("members"),
            "pool.*",
            F.col("level").alias("compared_with"),
            "tier_low",
            "tier_high",
            F.lit(frozen_on).alias("frozen_on"),
            F.lit(status).alias("status"),
            F.lit(policy.version).alias("policy_version"),
        )
    )


def _members(peers: DataFrame) -> DataFrame:
    named = peers.select(group_name(F.col("industry"), F.col("tier")).alias("peer_group"))
    return named.groupBy("peer_group").agg(F.count("*").alias("own"))


def _groups(cuts: DataFrame) -> DataFrame:
    """Every peer group that a merchant may belong to, active merchants in it or not."""
    tiers = F.explode(F.array(*(F.lit(tier) for tier in TIERS))).alias("tier")
    each = cuts.select("industry", "tier_low", "tier_high", tiers)
    return each.withColumn("peer_group", group_name(F.col("industry"), F.col("tier")))


def _pools(peers: DataFrame, policy: ScoringPolicy) -> DataFrame:
    """One row for each level, key and metric: prior, strength, quantiles and peers with data."""
    long = observations(peers, SCORED_METRICS, ("industry", "tier"))
    own = group_name(F.col("industry"), F.col("tier"))
    keys = dict(zip(LEVELS, (own, F.col("industry"), F.lit(ANY_INDUSTRY)), strict=True))
    level = F.explode(
        F.array(*(F.struct(F.lit(n).alias("level"), key.alias("key")) for n, key in keys.items()))
    ).alias("at")
    long = long.select("*", level).select("*", "at.level", "at.key")
    priors = _priors(long, policy)
    mean, strength = F.col("prior_mean"), F.col("prior_strength")
    value = shrunk(F.col("n"), F.col("own"), F.col("value"), mean, strength)
    known = long.where(F.col("n").isNull() | (F.col("n") > 0)).join(F.broadcast(priors), list(_POOL))
    placed = known.select(*_POOL, transformed(value, F.col("scoring")).alias("x"))
    pool = F.struct("quantiles", "prior_mean", "prior_strength", "peers")
    joined = priors.join(quantiles(placed, _POOL, "x"), list(_POOL), "left")
    return joined.select(*_POOL, "dimension", pool.alias("pool"))


def _priors(long: DataFrame, policy: ScoringPolicy) -> DataFrame:
    """For each pool the peers with data, the peers' mean m and the strength k; m and k are null for counts."""
    n = F.col("n")
    sums = long.groupBy(*_POOL).agg(
        *(F.max(name).alias(name) for name in ("dimension", "fixed_k")),
        F.count(F.when(n.isNull() | (n > 0), 1)).alias("peers"),
        F.sum("numerator").alias("numerators"),
        F.sum("denominator").alias("denominators"),
        *(column.alias(name) for name, column in moment_sums(n, F.col("numerator")).items()),
    )
    ratio = F.col("denominators").isNotNull()
    mean = F.try_divide(F.col("numerators"), F.col("denominators"))
    strength = F.coalesce("fixed_k", moment_strength(policy))
    return sums.select(
        *_POOL,
        "dimension",
        "peers",
        mean.alias("prior_mean"),
        F.when(ratio, strength).alias("prior_strength"),
    )


def _chosen_pools(groups: DataFrame, pools: DataFrame, policy: ScoringPolicy) -> DataFrame:
    """For each group and metric the nearest pool with enough peers, else everyone."""
    keys = zip(LEVELS, ("peer_group", "industry", None), strict=True)
    candidates = F.explode(
        F.array(
            *(
                F.struct(
                    F.lit(rank).alias("rank"),
                    F.lit(level).alias("level"),
                    (F.col(key) if key else F.lit(ANY_INDUSTRY)).alias("key"),
                )
                for rank, (level, key) in enumerate(keys)
            )
        )
    ).alias("candidate")
    _, industry, everyone = LEVELS
    level = F.col("level")
    allowed = (level == everyone) | (
        (F.col("industry") != ANY_INDUSTRY)
        & (F.col("pool.peers") >= policy.min_peers)
        & ((level == industry) | (F.col("dimension") != "scale"))
    )
    joined = groups.select("*", candidates).select("*", "candidate.*").drop("candidate")
    fitting = joined.join(pools, ["level", "key"]).where(allowed)
    nearest = F.min_by(F.struct("level", "pool"), "rank").alias("nearest")
    by = ("peer_group", "industry", "tier", "tier_low", "tier_high", "metric_id")
    return fitting.groupBy(*by).agg(nearest).select(*by, "nearest.*")
