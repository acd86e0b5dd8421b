"""Days as bits of 64-bit words, folded: each word is anchored at its pair's own last date and moved with it.

SQL of whole numbers with a sign, as they are stored. Words are moved as bit strings: what leaves one is gone, and the
last bit is one like any other.
"""

from collections.abc import Iterator
from datetime import date

from ccare.growth.snapshot import date_sql

WORD = 64


def words(name: str, count: int) -> Iterator[str]:
    """Dates as bits counted back from the close's day (``back``), in as many words as the batch spans."""
    for word in range(count):
        place = f"(back - {word * WORD})"
        inside = f"{name} is not null and {place} between 0 and {WORD - 1}"
        yield f"bit_or(case when {inside} then {_left('1::bigint', place)} end) as {name}_{word}"


def anchored(name: str, last: str, day: date, count: int, word: int) -> str:
    """The ``word``-th 64 days counted back from the pair's own last date, out of words counted from ``day``."""
    told = ", ".join([*(zero_if_none(f"{name}_{n}") for n in range(count)), "0", "0"])
    offset = f"({date_sql(day)} - {last})"
    at, by = f"({offset} // {WORD} + {word + 1})", f"({offset} % {WORD})"
    low, high = (zero_if_none(f"([{told}])[{place}]") for place in (at, f"{at} + 1"))
    return f"coalesce({_right(low, by)} | {_left(high, f'({WORD} - {by})')}, 0)"


def either(word: str, name: str) -> str:
    """The words of both sides (o and n) as one, at the later anchor."""
    old, new = (_left(zero_if_none(f"{side}.{word}"), _moved(side, name)) for side in ("o", "n"))
    return f"{old} | {new}"


def either_older(low: str, high: str, name: str) -> str:
    """The second words of both sides as one: what leaves the first word enters the second."""
    old, new = (
        _older(zero_if_none(f"{side}.{low}"), zero_if_none(f"{side}.{high}"), _moved(side, name))
        for side in ("o", "n")
    )
    return f"{old} | {new}"


def zero_if_none(value: str) -> str:
    """The value, 0 where it is null."""
    return f"coalesce({value}, 0)"


def _left(word: str, by: str) -> str:
    """A word moved to an anchor ``by`` days later."""
    return f"(({word})::bigint::bit << {by}::int)::bigint"


def _right(word: str, by: str) -> str:
    return f"(({word})::bigint::bit >> {by}::int)::bigint"


def _older(low: str, high: str, by: str) -> str:
    spill = f"case when {by} < {WORD} then {_right(low, f'({WORD} - {by})')} else {_left(low, f'({by} - {WORD})')} end"
    return f"({_left(high, by)} | {spill})"


def _moved(side: str, name: str) -> str:
    return f"coalesce(greatest(o.last_{name}_date, n.last_{name}_date) - {side}.last_{name}_date, 0)"
