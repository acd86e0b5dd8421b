"""Set-based helpers on Spark frames that the steps of a close share. No loop over parties, no Python UDF."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from ccare.runtime.spark import in_one_task, whole

_EXACT = "decimal(18,0)"
"""Two of these multiply exactly: a product of points and pool sizes does not fit 64 bits."""


def by_merchant(frame: DataFrame) -> DataFrame:
    """``frame`` laid out by merchant, for the steps before a row has a party."""
    return _laid_out(frame, "merchant_id")


def by_party(frame: DataFrame) -> DataFrame:
    """``frame`` laid out by party. A close shuffles its books this way once: every later join, window and
    sum names the party among its keys, so none of them moves a row again."""
    return _laid_out(frame, "party")


def _laid_out(frame: DataFrame, by: str) -> DataFrame:
    return frame.coalesce(1) if in_one_task(frame.sparkSession) else frame.repartition(by)


def beside(frame: DataFrame) -> DataFrame:
    """``frame``, laid out like the left side, as a join's right side: a broadcast would be a job of its own."""
    return frame.hint("shuffle_hash")


def shared(frame: DataFrame) -> DataFrame:
    """``frame`` computed once, when first needed, and cut off from its plan.

    Later steps use a step's result several times over. As a plan each use would repeat the whole tree below
    it, and planning alone then takes a minute; a lazy local checkpoint is a leaf. An executor that is lost
    takes its part along and the run fails, which publishes nothing and can be run again.
    """
    return whole(frame).localCheckpoint(eager=False)


def product(a: Column, b: Column) -> Column:
    """a x b, exact up to 10^36."""
    return a.cast(_EXACT) * b.cast(_EXACT)


def quotient(numerator: Column, denominator: Column) -> Column:
    """floor(numerator / denominator) of non-negative integers as bigint; null where the denominator is 0."""
    return F.call_function("div", numerator, F.nullif(denominator, F.lit(0)))


def through(first: str, last: str, day: Column) -> Column:
    """Whether ``day`` lies in the closed range of two nullable date columns."""
    return (F.col(first).isNull() | (F.col(first) <= day)) & (F.col(last).isNull() | (F.col(last) >= day))


def overlap(
    needs: DataFrame,
    rooms: DataFrame,
    by: Sequence[str],
    need_order: Sequence[str],
    room_order: Sequence[str],
) -> DataFrame:
    """Serves ``need`` amounts out of ``room`` amounts, both laid end to end in their orders within ``by``.

    Grain of the result: one row for each need and room that meet, with ``served`` > 0 and the columns of both
    (which must differ but for ``by``). Two running sums and one interval join replace a loop over debits.
    """
    laid_needs = _laid(needs.filter(F.col("need") > 0), "need", by, need_order)
    laid_rooms = _laid(rooms.filter(F.col("room") > 0), "room", by, room_order)
    renamed = beside(laid_rooms.withColumnsRenamed({name: f"__{name}" for name in by}))
    same = [F.col(name) == F.col(f"__{name}") for name in by]
    meet = (F.col("need_start") < F.col("room_end")) & (F.col("room_start") < F.col("need_end"))
    condition = meet
    for equal in same:
        condition = condition & equal
    served = F.least("need_end", "room_end") - F.greatest("need_start", "room_start")
    laid = ("need_start", "need_end", "room_start", "room_end", *(f"__{name}" for name in by))
    return laid_needs.join(renamed, condition).withColumn("served", served).drop(*laid)


def _laid(frame: DataFrame, amount: str, by: Sequence[str], order: Sequence[str]) -> DataFrame:
    window = Window.partitionBy(*by).orderBy(*order).rowsBetween(Window.unboundedPreceding, 0)
    end = F.sum(amount).over(window)
    return frame.withColumn(f"{amount}_end", end).withColumn(
        f"{amount}_start", F.col(f"{amount}_end") - F.col(amount)
    )
