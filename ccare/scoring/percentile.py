"""Places among peers: 101 quantiles of a frozen distribution, a value's percentile, a percentile's value.

Quantile i of n sorted values is the value at position i (n - 1) / 100, linear between neighbours (type 7 of
R. J. Hyndman and Y. Fan (1996), Sample quantiles in statistical packages). Positions are whole-number
arithmetic, so ties stay equal to the last digit.
"""

import math
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

LAST = 100
"""Index of the highest quantile; quantile i stands at percentile i."""
_STEPS = (64, 32, 16, 8, 4, 2, 1)


def quantiles(values: Column) -> Column:
    """101 quantiles of an array of doubles (null where it is empty); the array's order does not matter."""
    ordered = F.array_sort(values)
    last = F.size(ordered) - 1

    def at(index: Column) -> Column:
        place = index * last
        below = F.floor(place / LAST).cast("int")
        low, high = F.get(ordered, below), F.get(ordered, F.least(below + 1, last))
        return F.least(low + (high - low) * ((place % LAST) / LAST), high)

    return F.when(F.size(values) > 0, F.transform(F.sequence(F.lit(0), F.lit(LAST)), at))


def with_percentiles(rows: DataFrame, points: Mapping[str, str], ordered: str) -> DataFrame:
    """``rows`` with the place of each point among the 101 ascending quantiles in the column ``ordered``.

    ``points``: new column -> column of the point (double). The place is 0 to 100, not rounded: (first + last
    index equal to the point) / 2, else linear between neighbours, 0 and 100 outside; null without quantiles.
    Two binary searches count the quantiles below and up to the point; each step is a projection of its own,
    because Spark would otherwise write every step into the next one twice.
    """
    zero = F.lit(0)
    rows = rows.withColumns({f"_{side}_{name}": zero for name in points for side in ("below", "upto")})
    for step in _STEPS:
        moved = {}
        for name, point in points.items():
            below, upto = F.col(f"_below_{name}"), F.col(f"_upto_{name}")
            # Beyond the array get is null, which is not true, so the count stays.
            under = F.get(ordered, below + step - 1) < F.col(point)
            not_over = F.get(ordered, upto + step - 1) <= F.col(point)
            moved[f"_below_{name}"] = F.when(under, below + step).otherwise(below)
            moved[f"_upto_{name}"] = F.when(not_over, upto + step).otherwise(upto)
        rows = rows.withColumns(moved)
    placed = {name: _place(name, F.col(point), F.col(ordered)) for name, point in points.items()}
    counted = [f"_{side}_{name}" for name in points for side in ("below", "upto")]
    return rows.withColumns(placed).drop(*counted)


def _place(name: str, x: Column, ordered: Column) -> Column:
    below, upto = F.col(f"_below_{name}"), F.col(f"_upto_{name}")
    low, high = F.get(ordered, below - 1), F.get(ordered, below)
    place = (
        F.when(upto > below, (below + upto - 1) / 2)
        .when(below > LAST, F.lit(100.0))
        .when(below == 0, F.lit(0.0))
        .otherwise((below - 1) + (x - low) / (high - low))
    )
    return F.when(ordered.isNotNull() & x.isNotNull(), place)


def target_quantile(ordered: Column, percentile: float, lower_is_better: Column) -> Column:
    """The least of 101 quantiles that reaches ``percentile`` (the greatest, where lower is better).

    Null where ties leave none, and where ``ordered`` is null. Only the run of equal quantiles at the
    percentile itself can fall short of it; then the next quantile is the first to reach it.
    """
    at = F.when(lower_is_better, F.lit(math.floor(LAST - percentile))).otherwise(F.lit(math.ceil(percentile)))
    value = F.get(ordered, at)
    first = F.size(F.filter(ordered, lambda q: q < value))
    last = F.size(F.filter(ordered, lambda q: q <= value)) - 1
    middle = (first + last) / 2
    reached = F.when(lower_is_better, LAST - middle >= percentile).otherwise(middle >= percentile)
    # Index -1 and index 101 are outside: null, a ceiling.
    beyond = F.get(ordered, F.when(lower_is_better, first - 1).otherwise(last + 1))
    return F.when(reached, value).otherwise(beyond)
