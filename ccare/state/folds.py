"""Pair days and merchant days in DuckDB's SQL: sums, words of bits, and the last change of each relation.

Each function takes the name of a table, or a query in parentheses, and gives a query.
"""

from collections.abc import Iterable, Iterator
from datetime import date

from ccare.growth.snapshot import dates_sql
from ccare.tables import table
from ccare.tables.state import GUIDED_TERMINAL, RELATIONS, SUMS, WORDS

PAIR_DAY = ("merchant_id", "user_key", "business_date")
PARTS = ("at", "event_id", "on")
CHANGE = 'struct("at" timestamptz, event_id varchar, "on" boolean)'
"""The type of a relation's change: the greatest one is the last."""
_KEY = ", ".join(PAIR_DAY)


def on_dates(days: str, dates: Iterable[date]) -> str:
    """Rows of these business dates."""
    told = dates_sql(dates)
    return f"(select * from {days} where {f'business_date in ({told})' if told else 'false'})"


def change_of(relation: str, side: str = "") -> str:
    """The last change of a relation as one struct; null where there was none. ``side``: an alias and a dot."""
    at, *others = (f"{side}{relation}_{part}" for part in PARTS)
    told = ", ".join(f"'{part}': {value}" for part, value in zip(PARTS, (at, *others), strict=True))
    return f"case when {at} is not null then {{{told}}} end"


def unpacked(relations: Iterable[str] = RELATIONS) -> Iterator[str]:
    """The structs ``<relation>_change`` as columns again."""
    for relation in relations:
        yield from (f"{relation}_change['{part}'] as {relation}_{part}" for part in PARTS)


def pair_days(facts: str) -> str:
    """Facts -> one row for each merchant, user and business date."""
    told = [f"sum({c.name})::bigint as {c.name}" for c in SUMS]
    told += [f"bit_or({c.name}) as {c.name}" for c in WORDS]
    told.append(f"max({GUIDED_TERMINAL.name}) as {GUIDED_TERMINAL.name}")
    told += [f"max({_known_change(relation)}) as {relation}_change" for relation in RELATIONS]
    names = ", ".join([c.name for c in (*SUMS, *WORDS, GUIDED_TERMINAL)] + [*unpacked()])
    return f"select {_KEY}, {names} from (select {_KEY}, {', '.join(told)} from {facts} group by all)"


def _known_change(relation: str) -> str:
    """Nobody's relation is nobody's: a change without a user is not kept."""
    return f"case when user_key is not null then {relation}_change end"


def refolded(days: str) -> str:
    """Pair days of which several may have one key -> one row for each."""
    packed = ", ".join(f"{change_of(relation)} as {relation}_change" for relation in RELATIONS)
    return pair_days(f"(select *, {packed} from {days})")


def merged_pair_days(before: str, changes: str) -> str:
    """Days as they were and what is added -> days as they are now."""
    names = ", ".join(table("state_user_days").column_names)
    return refolded(f"(select {names} from {before} union all select {names} from {changes})")


def merchant_days(pair_days_now: str, staff: str) -> str:
    """Pair days -> merchant days; users are counted without staff and without the unknown user."""
    person = "user_key is not null and works is null"
    sums = ", ".join(f"sum({c.name})::bigint as {c.name}" for c in SUMS)
    return f"""
select merchant_id, business_date,
    count(*) filter (where {person} and active_events > 0) as dau,
    count(*) filter (where {person} and orders > 0) as payers, {sums}
from {pair_days_now} left join (select distinct merchant_id, user_key, true as works from {staff})
    using (merchant_id, user_key)
group by all"""
