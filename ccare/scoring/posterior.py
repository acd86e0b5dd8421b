"""How sure a shrunk ratio is: the 10 % and 90 % points of its posterior, as Spark expressions.

A share of n people shrunk with strength k has the posterior Beta(a, b), a = (n + k) x shrunk, b = the rest.
The logit of a beta variable is the difference of two log-gamma variables, so its cumulants are polygamma
functions of a and b; the points are those of a normal on the logit, corrected for skew and kurtosis (E. A.
Cornish and R. A. Fisher (1938), Moments and cumulants in the specification of distributions). Without the
correction a share near 0 or 1 is off by tens of points; with it a point is off by less than 0.01 for n >= 20, and
its place among peers by less than 1 of 100, or 2 where fewer than two people are expected to count.

r_arpu is an amount and no share. Its posterior is taken as normal on the scale where it is scored: the peers'
own half-width from 10 % to 90 %, times sqrt(k / (n + k)), which is how a normal mean with prior strength k
narrows as n grows. Counts have no width: nothing is sampled.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Z_90 = 1.2815515655446004
"""90 % point of the standard normal."""
_LIFT = 6
_DEGENERATE = 1e-9


def with_share_bounds(rows: DataFrame, mean: str, strength: str, low: str, high: str) -> DataFrame:
    """``rows`` with the 10 % and 90 % points of Beta(mean x strength, (1 - mean) x strength).

    The arguments name columns; null means or strengths give null. A mean at or beyond 0 or 1 has no width:
    both points are the mean. Each stage is a projection of its own, so that Spark computes it once.
    """
    m, k = F.col(mean), F.col(strength)
    degenerate = (m * k < _DEGENERATE) | ((1 - m) * k < _DEGENERATE)
    shapes = {
        "_a": F.when(degenerate, 1.0).otherwise(m * k),
        "_b": F.when(degenerate, 1.0).otherwise((1 - m) * k),
    }
    rows = rows.withColumns(shapes)
    rows = rows.withColumns({"_ups": _cumulants(F.col("_a")), "_downs": _cumulants(F.col("_b"))})
    up, down = F.col("_ups"), F.col("_downs")
    variance = up["second"] + down["second"]
    rows = rows.withColumns({"_centre": up["first"] - down["first"], "_deviation": F.sqrt(variance)})
    deviation = F.col("_deviation")
    rows = rows.withColumns(
        {
            "_skewness": (up["third"] - down["third"]) / (deviation * deviation * deviation),
            "_kurtosis": (up["fourth"] + down["fourth"]) / (deviation * deviation * deviation * deviation),
        }
    )
    points = {
        name: F.when(degenerate, m).otherwise(
            1 / (1 + F.exp(-(F.col("_centre") + deviation * _corrected(z))))
        )
        for name, z in ((low, -Z_90), (high, Z_90))
    }
    scratch = ("_a", "_b", "_ups", "_downs", "_centre", "_deviation", "_skewness", "_kurtosis")
    return rows.withColumns(points).drop(*scratch)


def _corrected(z: float) -> Column:
    """Cornish and Fisher's standardised quantile for a normal quantile ``z``."""
    skewness, kurtosis = F.col("_skewness"), F.col("_kurtosis")
    return (
        F.lit(z)
        + skewness * ((z**2 - 1) / 6)
        + kurtosis * ((z**3 - 3 * z) / 24)
        - skewness * skewness * ((2 * z**3 - 5 * z) / 36)
    )


def amount_bounds(
    x: Column, n: Column, strength: Column, lowest: Column, highest: Column
) -> tuple[Column, Column]:
    """10 % and 90 % points around ``x`` on the scored scale; ``lowest``, ``highest``: the peers' own."""
    peers = (highest - lowest) / 2
    half = peers * F.sqrt(strength / (n.cast("double") + strength))
    return x - half, x + half


def _cumulants(shape: Column) -> Column:
    """Cumulants 1 to 4 of log G, G ~ Gamma(shape): digamma and its derivatives 1 to 3, as a struct.

    The recurrence lifts the shape by 6, where the asymptotic series (Abramowitz and Stegun 6.3.18, 6.4.11) is
    exact to 1e-8.
    """
    y = 1 / (shape + _LIFT)
    y2 = y * y
    first = F.log(shape + _LIFT) - y / 2 - y2 * (1 / 12 - y2 * (1 / 120 - y2 / 252))
    second = y + y2 / 2 + y * y2 * (1 / 6 - y2 * (1 / 30 - y2 / 42))
    third = -(y2 + y * y2 + y2 * y2 * (1 / 2 - y2 * (1 / 6 - y2 / 6)))
    fourth = y2 * y * (2 + 3 * y + y2 * (2 - y2 * (1 - y2 * 4 / 3)))
    for j in range(_LIFT):
        inverse = 1 / (shape + j)
        square = inverse * inverse
        first = first - inverse
        second = second + square
        third = third - 2 * square * inverse
        fourth = fourth + 6 * square * square
    return F.struct(
        first.alias("first"), second.alias("second"), third.alias("third"), fourth.alias("fourth")
    )
