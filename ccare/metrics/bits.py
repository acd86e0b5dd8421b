"""Activity bit words as they stood on a given day.

``state_users`` keeps days as bits of 64-bit words: bit i = active i days before the word's own anchor date.
Here a word is moved so that bit i means i days before the as-of day. Days after it are dropped, so a word
whose anchor is later still answers for the past that it covers; days beyond the word are lost.
"""

from datetime import date

from pyspark.sql import Column
from pyspark.sql import functions as F

WORD = 64
"""Bits in a word. The JVM takes shift counts modulo 64, so every shift below is guarded by its range."""


def _left(word: Column, places: Column) -> Column:
    """``word`` moved ``places`` days into the past; 0 outside 0..63."""
    return _guarded(F.call_function("shiftleft", word, places), places)


def _right(word: Column, places: Column) -> Column:
    """``word`` moved ``places`` days towards now, the sign bit as any other; 0 outside 0..63."""
    return _guarded(F.call_function("shiftrightunsigned", word, places), places)


def _guarded(moved: Column, places: Column) -> Column:
    """A null word or anchor has no days."""
    zero = F.lit(0).cast("long")
    return F.coalesce(F.when(places.between(0, WORD - 1), moved), zero)


def low_bits(count: int) -> Column:
    """A mask of the ``count`` (1..63) latest days."""
    return F.lit((1 << count) - 1).cast("long")


def days_behind(anchor: Column, day: date) -> Column:
    """Days from ``anchor`` to ``day`` (int; negative where the anchor is later)."""
    return F.datediff(F.lit(day), anchor)


def word_at(word: Column, anchor: Column, day: date) -> Column:
    """One word seen from ``day``: bit i = active on day - i (bigint; 0 where the anchor is null)."""
    behind = days_behind(anchor, day)
    return F.when(behind >= 0, _left(word, behind)).otherwise(_right(word, -behind))


def pair_at(low: Column, high: Column, anchor: Column, day: date) -> tuple[Column, Column]:
    """Two words (days 0..63 and 64..127 before the anchor) seen from ``day``, in the same order."""
    behind = days_behind(anchor, day)
    ahead = -behind
    past_low = _left(low, behind)
    past_high = _left(high, behind).bitwiseOR(
        F.when(behind < WORD, _right(low, F.lit(WORD) - behind)).otherwise(_left(low, behind - WORD))
    )
    later_low = _right(low, ahead).bitwiseOR(
        F.when(ahead < WORD, _left(high, F.lit(WORD) - ahead)).otherwise(_right(high, ahead - WORD))
    )
    later_high = _right(high, ahead)
    return (
        F.when(behind >= 0, past_low).otherwise(later_low),
        F.when(behind >= 0, past_high).otherwise(later_high),
    )


def count_days(word: Column) -> Column:
    """Days set in a word (bigint)."""
    return F.bit_count(word).cast("long")
