"""What is told of one user on the as-of day, packed into one whole number.

A merchant's many users share few such numbers: counting users by number is one cheap pass over state_users, and
every metric of users, the activity histogram and the stages are sums over the counts.
"""

import duckdb
import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F

from ccare.growth.snapshot import date_sql
from ccare.metrics.windows import MONTH, REPURCHASE_DAYS, AsOf
from ccare.runtime.rowstore import arrow_schema
from ccare.tables import table
from ccare.tables.state import RELATIONS, THEN

RETENTION_AGES = (1, 7, 28)
BIND_DAYS = 7
MANY_PAID_DAYS = 3
"""Paid days in 90 are told apart up to this many."""
NO, ONCE, AGAIN = 0, 1, 2
"""Values of ``lifetime``: paid days ever. Cohort facts read alike: outside, inside, inside and counted."""
_BITS = {
    "active_days": 5,  # days in W28
    "today": 1,
    "week": 1,
    "before": 1,  # active in P28
    "seen": 1,  # active ever
    "new": 1,  # first active in W28
    "new_payer": 1,
    "payer": 1,  # paid in W28
    "paid_days_90": 2,
    "lifetime": 2,
    "reachable": 1,
    "reachable_then": 1,  # on d-28
    "turned_off": 3,  # relations turned off in 56 days
    **{f"retention_d{age}": 2 for age in RETENTION_AGES},
    "bind": 2,
    "viewer": 1,
    "engaged": 1,  # of viewers
    "served": 1,  # of viewers
    "delivered": 1,
    "clicked": 1,  # of those delivered to
    "known": 1,  # not first active after the day
}
_PLACE = {name: sum(list(_BITS.values())[:at]) for at, name in enumerate(_BITS)}


def user_facts(con: duckdb.DuckDBPyConnection, as_of: AsOf) -> pa.Table:
    """state_users as of the day's close -> merchant_id, facts (packed), users (how many have them).

    Staff leave every user metric, for old days too, from the close that takes their pair.
    """
    for macro in _MACROS:
        con.execute(macro)
    packed = " | ".join(f"(({sql})::bigint << {_PLACE[name]})" for name, sql in _told(as_of).items())
    day = date_sql(as_of.day)
    found = con.sql(
        f"""
select merchant_id, facts, count(*) as users from (
    select merchant_id, {packed} as facts
    from (select *, {day} - last_seen_date as seen_ago, {day} - last_paid_date as paid_ago from state_users)
    anti join (select merchant_id, user_key from core_staff where taken_on <= {day}) using (merchant_id, user_key)
) group by all order by all"""
    )
    return found.to_arrow_table().cast(arrow_schema(table("metric_user_facts")))


def fact(name: str) -> Column:
    """One fact out of the packed column ``facts``."""
    moved = F.shiftrightunsigned("facts", _PLACE[name])
    return moved.bitwiseAND(F.lit((1 << _BITS[name]) - 1).cast("bigint"))


def users_if(condition: Column) -> Column:
    """How many users a row adds to a count of those who meet the condition."""
    return F.when(condition, F.col("users")).otherwise(0)


# Bit i of a word is i days before its own anchor, so n days before the day is bit n - (day - anchor): days of a window
# are counted where they stand, whether the anchor is before the day or after it. Words beyond their 64 bits have none.
_MACROS = (
    """create or replace temp macro low_bits(n) as
    case when n >= 64 then -1::bigint when n <= 0 then 0::bigint else 9223372036854775807 >> (63 - n) end""",
    """create or replace temp macro word_days(word, first, last) as
    coalesce(bit_count(word & low_bits((last) + 1) & ~low_bits(first)), 0)""",
)


def _told(as_of: AsOf) -> dict[str, str]:
    """Each fact as SQL over state_users, a whole number or a boolean."""
    day = date_sql(as_of.day)
    viewer, delivered = _within(as_of, "last_viewed_date"), _within(as_of, "last_delivered_date")
    return {
        "active_days": _seen_days(0, MONTH - 1),
        "today": _seen_days(0, 0),
        "week": f"{_seen_days(0, 6)} > 0",
        "before": f"{_seen_days(MONTH, 2 * MONTH - 1)} > 0",
        "seen": f"coalesce(first_seen_date <= {day}, false)",
        "new": _within(as_of, "first_seen_date"),
        "new_payer": _within(as_of, "first_paid_date"),
        "payer": f"{_paid_days(0, MONTH - 1)} > 0",
        "paid_days_90": f"least({_paid_days(0, REPURCHASE_DAYS - 1)}, {MANY_PAID_DAYS})",
        "lifetime": f"case when first_paid_date is null or first_paid_date > {day} then {NO} "
        f"when first_paid_date < last_paid_date then {AGAIN} else {ONCE} end",
        "reachable": _reachable(as_of),
        "reachable_then": _reachable_then(as_of),
        "turned_off": _turned_off(as_of),
        **{f"retention_d{age}": _kept(as_of, age) for age in RETENTION_AGES},
        "bind": _bind(as_of),
        "viewer": viewer,
        "engaged": f"{viewer} and {_within(as_of, 'last_engaged_date')}",
        "served": f"{viewer} and {_within(as_of, 'last_served_date')}",
        "delivered": delivered,
        "clicked": f"{delivered} and {_within(as_of, 'last_clicked_date')}",
        "known": f"coalesce(first_seen_date <= {day}, true)",
    }


def _seen_days(first: int | str, last: int | str) -> str:
    """Active days from ``first`` to ``last`` days before d."""
    return f"word_days(active_bits, {first} - seen_ago, {last} - seen_ago)"


def _paid_days(first: int, last: int) -> str:
    older = f"word_days(paid_bits_older, {first} - paid_ago - 64, {last} - paid_ago - 64)"
    return f"(word_days(paid_bits, {first} - paid_ago, {last} - paid_ago) + {older})"


def _within(as_of: AsOf, date_of: str, last: int = MONTH - 1, first: int = 0) -> str:
    """Whether a date lies in [d - last, d - first]; false where it is null."""
    return (
        f"coalesce({date_of} between {date_sql(as_of.back(last))} and {date_sql(as_of.back(first))}, false)"
    )


def _reachable(as_of: AsOf) -> str:
    """A relation turned on after d is not yet on."""
    on = (f"coalesce({name}_on and {name}_at < {_instant(as_of, -1)}, false)" for name in RELATIONS)
    return " or ".join(on)


def _reachable_then(as_of: AsOf) -> str:
    """The last change by the end of d-28 is the last of all, or else the one kept beside it."""
    end = _instant(as_of, MONTH - 1)
    on = (
        f"coalesce(case when {name}_at < {end} then {name}_on else {then}_on end, false)"
        for name, then in THEN.items()
    )
    return " or ".join(on)


def _turned_off(as_of: AsOf) -> str:
    """Relations whose last change, in the last 56 days, turned them off."""
    start, end = _instant(as_of, 2 * MONTH - 1), _instant(as_of, -1)
    off = (f"coalesce(not {n}_on and {n}_at >= {start} and {n}_at < {end}, false)::int" for n in RELATIONS)
    return " + ".join(off)


def _kept(as_of: AsOf, age: int) -> str:
    """Cohort: first active day c in [d-N-27, d-N]; counted where active on c + N."""
    since = f"({date_sql(as_of.back(age))} - first_seen_date)"
    inside = _within(as_of, "first_seen_date", age + MONTH - 1, age)
    return f"case when {inside} then {ONCE} + {_seen_days(since, since)} else {NO} end"


def _bind(as_of: AsOf) -> str:
    """Cohort: first active day c in [d-34, d-7], paid on c; counted where bound by c + 7.

    Whatever binds also makes a day active, so nobody was bound before c.
    """
    inside = _within(as_of, "first_seen_date", BIND_DAYS + MONTH - 1, BIND_DAYS)
    bound = f"coalesce(first_bound_date - first_seen_date <= {BIND_DAYS}, false)"
    return (
        f"case when not {inside} or first_paid_date is distinct from first_seen_date then {NO} "
        f"when {bound} then {AGAIN} else {ONCE} end"
    )


def _instant(as_of: AsOf, days_back: int) -> str:
    return f"timestamptz '{as_of.start(days_back).isoformat()}'"
