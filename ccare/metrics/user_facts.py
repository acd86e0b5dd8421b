"""What is told of one user on the as-of day, packed into one whole number.

A merchant's many users share few such numbers: counting users by number is one cheap pass over state_users, and
every metric of users, the activity histogram and the stages are sums over the counts.
"""

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.metrics.bits import count_days
from ccare.metrics.windows import MONTH, AsOf, pairs_as_of

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


def user_facts(users: DataFrame, staff: DataFrame, as_of: AsOf) -> DataFrame:
    """state_users as of the day's close -> merchant_id, facts (packed), users (how many have them).

    Staff leave every user metric, for old days too, from the close that takes their pair.
    """
    pairs = staff.where(F.col("taken_on") <= F.lit(as_of.day)).select("merchant_id", "user_key")
    customers = users.join(F.broadcast(pairs), ["merchant_id", "user_key"], "left_anti")
    told = _told(as_of)
    parts = [
        F.call_function("shiftleft", told[name].cast("bigint"), F.lit(at)) for name, at in _PLACE.items()
    ]
    packed = pairs_as_of(customers, as_of).select(
        "merchant_id", reduce(Column.bitwiseOR, parts).alias("facts")
    )
    return packed.groupBy("merchant_id", "facts").agg(F.count("*").alias("users"))


def fact(name: str) -> Column:
    """One fact out of the packed column ``facts``."""
    moved = F.shiftrightunsigned("facts", _PLACE[name])
    return moved.bitwiseAND(F.lit((1 << _BITS[name]) - 1).cast("bigint"))


def users_if(condition: Column) -> Column:
    """How many users a row adds to a count of those who meet the condition."""
    return F.when(condition, F.col("users")).otherwise(0)


def _told(as_of: AsOf) -> dict[str, Column]:
    """Each fact over the columns of ``pairs_as_of``."""
    w28, first_seen, first_paid = F.col("w28"), F.col("first_seen_date"), F.col("first_paid_date")
    viewer = as_of.within(F.col("last_viewed_date"), MONTH - 1)
    delivered = as_of.within(F.col("last_delivered_date"), MONTH - 1)
    day = F.lit(as_of.day)
    lifetime = F.when(first_paid.isNull() | (first_paid > day), NO)
    return {
        "active_days": count_days(w28),
        "today": w28.bitwiseAND(1),
        "week": _flag(w28.bitwiseAND(0b1111111) != 0),
        "before": _flag(F.col("p28") != 0),
        "seen": _flag(first_seen <= day),
        "new": _flag(as_of.within(first_seen, MONTH - 1)),
        "new_payer": _flag(as_of.within(first_paid, MONTH - 1)),
        "payer": _flag(F.col("paid28") != 0),
        "paid_days_90": F.least(F.col("paid_days_90"), F.lit(MANY_PAID_DAYS)),
        "lifetime": lifetime.when(first_paid < F.col("last_paid_date"), AGAIN).otherwise(ONCE),
        "reachable": _flag(F.col("reachable")),
        "reachable_then": _flag(F.col("reachable_then")),
        "turned_off": F.col("turned_off"),
        **{f"retention_d{age}": _kept(as_of, age) for age in RETENTION_AGES},
        "bind": _bind(as_of),
        "viewer": _flag(viewer),
        "engaged": _flag(viewer & as_of.within(F.col("last_engaged_date"), MONTH - 1)),
        "served": _flag(viewer & as_of.within(F.col("last_served_date"), MONTH - 1)),
        "delivered": _flag(delivered),
        "clicked": _flag(delivered & as_of.within(F.col("last_clicked_date"), MONTH - 1)),
        "known": _flag(F.coalesce(first_seen <= day, F.lit(True))),
    }


def _kept(as_of: AsOf, age: int) -> Column:
    """Cohort: first active day c in [d-N-27, d-N]; counted where active on c + N."""
    since = F.datediff(F.lit(as_of.day), F.col("first_seen_date")) - age
    came = F.call_function("shiftrightunsigned", F.col("active"), since).bitwiseAND(1)
    inside = as_of.within(F.col("first_seen_date"), age + MONTH - 1, age)
    return F.when(inside, F.lit(ONCE) + came).otherwise(NO)


def _bind(as_of: AsOf) -> Column:
    """Cohort: first active day c in [d-34, d-7], paid on c; counted where bound by c + 7.

    Whatever binds also makes a day active, so nobody was bound before c.
    """
    first = F.col("first_seen_date")
    inside = as_of.within(first, BIND_DAYS + MONTH - 1, BIND_DAYS) & (F.col("first_paid_date") == first)
    bound = F.datediff(F.col("first_bound_date"), first) <= BIND_DAYS
    return F.when(inside & bound, AGAIN).when(inside, ONCE).otherwise(NO)


def _flag(condition: Column) -> Column:
    return F.when(condition, 1).otherwise(0)
