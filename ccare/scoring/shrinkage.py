"""Shrinkage: a ratio known from few people is pulled towards its peers, by how little is known.

shrunk = (n x value + k x m) / (n + k), m = the peers' sum of numerators / sum of denominators. For ratios of
people k comes from the peers by the method of moments for over-dispersed proportions (beta-binomial): with
weights n, S = sum of x^2/n - X^2/N and p = X/N,

    rho = (S / (p (1 - p)) - (G - 1)) / (N - (sum of n^2) / N - (G - 1)),   k = 1/rho - 1,

where x of n people count at each of G peers, X and N are their sums and rho is the correlation inside a
merchant. Source: J. C. Kleinman (1973), Proportions with extraneous variance: single and independent samples,
Journal of the American Statistical Association 68 (341), 46-54, with weights n.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F

from ccare.scoring.policy import ScoringPolicy

# Sums of doubles depend on their order, sums of decimals do not.
_EXACT_SQUARES = "decimal(38,12)"


def moment_sums(n: Column, x: Column) -> dict[str, Column]:
    """Aggregates over peers with n > 0 that ``moment_strength`` needs; exact, whatever the order of rows."""
    known = n > 0
    ratio = x.cast("double") * x.cast("double") / n
    return {
        "known_peers": F.count(F.when(known, 1)),
        "n_sum": F.sum(F.when(known, n)),
        "x_sum": F.sum(F.when(known, x)),
        "n_squares": F.sum(F.when(known, n.cast("decimal(19,0)") * n.cast("decimal(19,0)"))),
        "x_squares_by_n": F.sum(F.when(known, ratio.cast(_EXACT_SQUARES))),
    }


def moment_strength(policy: ScoringPolicy) -> Column:
    """k from the columns of ``moment_sums``, within the policy's bounds.

    Peers that differ no more than chance make them (rho <= 0) give the upper bound. Where rho has no meaning
    (one peer, one person at each, or nobody and everybody counting) the policy's default stands in.
    """
    people, hits = F.col("n_sum").cast("double"), F.col("x_sum").cast("double")
    peers = F.col("known_peers").cast("double")
    share = hits / people
    spread = share * (1 - share)
    scatter = F.col("x_squares_by_n").cast("double") - hits * share
    room = people - F.col("n_squares").cast("double") / people - (peers - 1)
    rho = F.try_divide(F.try_divide(scatter, spread) - (peers - 1), room)
    strength = F.when(rho > 0, F.try_divide(F.lit(1.0), rho) - 1).otherwise(F.lit(policy.shrink_max))
    bounded = F.least(F.greatest(strength, F.lit(policy.shrink_min)), F.lit(policy.shrink_max))
    estimable = (people > 0) & (spread > 0) & (room > 0)
    return F.when(estimable, bounded).otherwise(F.lit(policy.shrink_default))


def shrunk(n: Column, own: Column, value: Column, mean: Column, strength: Column) -> Column:
    """The shrunk value; a count (null n) is itself, a ratio to which the merchant adds nothing is the peers' mean.

    ``own``: n x value, or what was spent on n results: a cost counts where there is no result yet.
    """
    pulled = (own + strength * mean) / (n.cast("double") + strength)
    return F.when(n.isNull(), value).when(own.isNotNull(), pulled).otherwise(mean)


def transformed(x: Column, scoring: Column) -> Column:
    """The value on the scale where percentiles are taken: log1p, signed_log1p or identity."""
    size = F.log1p(F.abs(x))
    return F.when(scoring == "log1p", size).when(scoring == "signed_log1p", F.signum(x) * size).otherwise(x)


def restored(x: Column, scoring: Column) -> Column:
    """The inverse of ``transformed``: back in the metric's own unit."""
    size = F.expm1(F.abs(x))
    return F.when(scoring == "log1p", size).when(scoring == "signed_log1p", F.signum(x) * size).otherwise(x)
