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


def days_behind(anchor: Column, day: date) -> Column:
    """Days from ``anchor`` to ``day`` (int; negative where the anchor is later)."""
    return F.datediff(F.lit(day), anchor)


def word_at(word: Column, anchor: Column, day: date) -> Column:
    """One word seen from ``day``: bit i = active on day - i (bigint; 0 where the anchor is null)."""
    behind = days_behind(anchor, day)
    return F.when(behind >= 0, _left(word, behind)).otherwise(_right(word, -behind))
