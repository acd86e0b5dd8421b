"""Places among peers: 101 quantiles of a frozen distribution, a value's percentile, a percentile's value.

Quantile i of n sorted values is the value at position i (n - 1) / 100, linear between neighbours (type 7 of
R. J. Hyndman and Y. Fan (1996), Sample quantiles in statistical packages). Positions are whole-number
arithmetic, so ties stay equal to the last digit. No lambda walks an array here: Spark interprets those, at
microseconds a look.
"""

import math
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

LAST = 100
"""Index of the highest quantile; quantile i stands at percentile i."""
_STEPS = (64, 32, 16, 8, 4, 2, 1)


def quantiles(rows: DataFrame, keys: tuple[str, ...], x: str) -> DataFrame:
    """The 101 quantiles of the non-null column ``x`` for each ``keys``: keys and an array ``quantiles``."""
    pool = Window.partitionBy(*keys)
    ranked = rows.select(
        *keys,
        F.col(x).alias("low"),
        F.lead(x).over(pool.orderBy(x)).alias("high"),
        (F.row_number().over(pool.orderBy(x)) - 1).alias("rank"),
        (F.count("*").over(pool) - 1).alias("top"),
    )
    # Position i x top / 100 lies between the ranks r and r + 1 for i from first to last.
    rank, top = F.col("rank"), F.col("top")
    first = F.when(top > 0, F.ceil(LAST * rank / top)).otherwise(0).cast("int")
    last = F.when(rank < top, F.ceil(LAST * (rank + 1) / top) - 1).otherwise(LAST).cast("int")
    covering = ranked.where(first <= last).withColumn("i", F.explode(F.sequence(first, last)))
    part = ((F.col("i") * top) % LAST) / LAST
    between = F.least(F.col("low") + (F.col("high") - F.col("low")) * part, F.col("high"))
    value = F.coalesce(between, F.col("low")).alias("value")
    cells = F.sort_array(F.collect_list(F.struct("i", value)))
    return covering.groupBy(*keys).agg(cells["value"].alias("quantiles"))


def with_percentiles(rows: DataFrame, points: Mapping[str, str], ordered: str) -> DataFrame:
    """``rows`` with the place of each point among the 101 ascending quantiles in the column ``ordered``.

    ``points``: new column -> column of the point (double). The place is 0 to 100, not rounded: (first + last
    index equal to the point) / 2, else linear between neighbours, 0 and 100 outside; null without quantiles.
    A binary search counts the quantiles below the point; each step is a projection of its own, because Spark
    would otherwise write every step into the next one twice.
    """
    rows = rows.withColumns({f"_below_{name}": F.lit(0) for name in points})
    for step in _STEPS:
        moved = {}
        for name, point in points.items():
            below = F.col(f"_below_{name}")
            # Beyond the array get is null, which is not true, so the count stays.
            under = F.get(ordered, below + (step - 1)) < F.col(point)
            moved[f"_below_{name}"] = F.when(under, below + step).otherwise(below)
        rows = rows.withColumns(moved)
    placed = {name: _place(F.col(f"_below_{name}"), F.col(point), ordered) for name, point in points.items()}
    return rows.withColumns(placed).drop(*(f"_below_{name}" for name in points))


def _place(below: Column, x: Column, ordered: str) -> Column:
    low, high = F.get(ordered, below - 1), F.get(ordered, below)
    place = (
        F.when(high == x, (below + _last_index(x, ordered)) / 2)
        .when(below > LAST, F.lit(100.0))
        .when(below == 0, F.lit(0.0))
        .otherwise((below - 1) + (x - low) / (high - low))
    )
    return F.when(F.col(ordered).isNotNull() & x.isNotNull(), place)


def _first_index(value: Column, ordered: str) -> Column:
    return F.array_position(ordered, value).cast("int") - 1


def _last_index(value: Column, ordered: str) -> Column:
    return LAST + 1 - F.array_position(F.reverse(ordered), value).cast("int")


def with_target(rows: DataFrame, name: str, ordered: str, percentile: float, lower: Column) -> DataFrame:
    """``rows`` with the least of 101 quantiles that reaches ``percentile``; the greatest, where ``lower``.

    Null where ties leave none, and where ``ordered`` is null. Only the run of equal quantiles at the
    percentile itself can fall short of it; then the next quantile is the first to reach it.
    """
    at = F.when(lower, F.lit(math.floor(LAST - percentile))).otherwise(F.lit(math.ceil(percentile)))
    rows = rows.withColumn("_value", F.get(ordered, at))
    value, first, last = F.col("_value"), F.col("_first"), F.col("_last")
    rows = rows.withColumns({"_first": _first_index(value, ordered), "_last": _last_index(value, ordered)})
    middle = (first + last) / 2
    reached = F.when(lower, LAST - middle >= percentile).otherwise(middle >= percentile)
    # Index -1 and index 101 are outside: null, a ceiling.
    beyond = F.get(ordered, F.when(lower, first - 1).otherwise(last + 1))
    return rows.withColumn(name, F.when(reached, value).otherwise(beyond)).drop("_value", "_first", "_last")
