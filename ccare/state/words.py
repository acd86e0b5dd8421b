"""Days as bits of 64-bit words, folded: each word is anchored at its pair's own last date and moved with it."""

from datetime import date

from pyspark.sql import Column
from pyspark.sql import functions as F

WORD = 64


def words(name: str, count: int) -> list[Column]:
    """Dates as bits counted back from the close's day (``_back``), in as many words as the batch spans."""
    columns = []
    for word in range(count):
        position = F.col("_back") - word * WORD
        inside = F.col(name).isNotNull() & (position >= 0) & (position < WORD)
        bit = F.when(inside, F.call_function("shiftleft", F.lit(1).cast("bigint"), position))
        columns.append(F.bit_or(bit).alias(f"{name}_{word}"))
    return columns


def anchored(name: str, last: str, day: date, count: int, word: int) -> Column:
    """The ``word``-th 64 days counted back from the pair's own last date, out of words counted from ``day``."""
    zero = F.lit(0).cast("bigint")
    told = F.array(*(F.coalesce(F.col(f"{name}_{n}"), zero) for n in range(count)), zero, zero)
    offset = F.datediff(F.lit(day), F.col(last))
    at, by = F.floor(offset / WORD).cast("int") + word, offset % WORD
    low = F.call_function("shiftrightunsigned", F.coalesce(F.get(told, at), zero), by)
    high = F.when(by > 0, F.call_function("shiftleft", F.coalesce(F.get(told, at + 1), zero), WORD - by))
    return F.coalesce(low.bitwiseOR(F.coalesce(high, zero)), zero)


def either(word: str, name: str) -> Column:
    """The words of both sides (o and n) as one, at the later anchor."""
    old, new = (_shifted(zero_if_none(f"{side}.{word}"), _moved(side, name)) for side in ("o", "n"))
    return old.bitwiseOR(new)


def either_older(low: str, high: str, name: str) -> Column:
    """The second words of both sides as one: what leaves the first word enters the second."""
    old, new = (
        _older(zero_if_none(f"{side}.{low}"), zero_if_none(f"{side}.{high}"), _moved(side, name))
        for side in ("o", "n")
    )
    return old.bitwiseOR(new)


def zero_if_none(name: str) -> Column:
    """The column, 0 where it is null."""
    return F.coalesce(F.col(name), F.lit(0).cast("bigint"))


def _shifted(word: Column, by: Column) -> Column:
    """A word moved to an anchor ``by`` days later; the JVM takes shift counts modulo 64, so those are cut here."""
    return F.when(by < WORD, F.call_function("shiftleft", word, by)).otherwise(F.lit(0).cast("bigint"))


def _older(low: Column, high: Column, by: Column) -> Column:
    spill = F.when(by == 0, F.lit(0).cast("bigint")).when(
        by < WORD, F.call_function("shiftrightunsigned", low, WORD - by)
    )
    spill = spill.otherwise(_shifted(low, by - WORD))
    return _shifted(high, by).bitwiseOR(spill)


def _moved(side: str, name: str) -> Column:
    last = F.greatest(f"o.last_{name}_date", f"n.last_{name}_date")
    return F.coalesce(F.datediff(last, F.col(f"{side}.last_{name}_date")), F.lit(0))
