"""What rules count of a user's days: every kind is one expression over the user's days, so all share one frame.

A user's days come as arrays sorted by date, one for each thing that rules ask about (``told_of_user``): most days are
of one kind only, and every element costs. A kind turns them into the dates on which the user counts. Null users and
staff are left out before.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.ledger.rules import GuidedReturn, PrivateDay, RelationKept, ReturningPayer, Rule, VoucherReturn
from ccare.tables.state import TASKS

FOLLOWED, JOINED, PRIVATE, GUIDED = (1 << place for place in range(len(TASKS)))
_FIRST = {"follow": FOLLOWED, "member": JOINED}
_COUNTED = "array<struct<on:date,part:string,units:bigint>>"


def day_of(rows: DataFrame) -> DataFrame:
    """state_user_days rows as days of users. The relations are null where they did not change."""
    return rows.select(
        "merchant_id",
        "user_key",
        F.col("business_date").alias("on"),
        (F.coalesce("orders", F.lit(0)) > 0).alias("paid"),
        (F.coalesce("active_events", F.lit(0)) > 0).alias("active"),
        F.coalesce("tasks", F.lit(0)).alias("tasks"),
        F.col("guided_terminal").alias("terminal"),
        "follow_on",
        "member_on",
        F.lit(None).cast("string").alias("activity"),
    )


def receipt_of(rows: DataFrame) -> DataFrame:
    """Vouchers received, core_voucher_events rows, as days that say nothing but the activity."""
    return rows.select(
        "merchant_id",
        "user_key",
        F.col("business_date").alias("on"),
        F.col("activity_id").alias("activity"),
    )


def told_of_user() -> list[Column]:
    """Aggregates of a user's days, as the two above give them: the arrays that ``counted`` looks at.

    ``paid`` and ``private`` are dates; ``active`` has tasks and terminal, ``related`` what a follow or joining
    changed, ``got`` the activity of each voucher received.
    """
    tasks = F.col("tasks")
    changed = F.col("follow_on").isNotNull() | F.col("member_on").isNotNull()
    parts = {
        "paid": (F.col("paid"), F.col("on")),
        "private": (tasks.bitwiseAND(PRIVATE) != 0, F.col("on")),
        "active": (F.col("active"), F.struct("on", "tasks", "terminal")),
        "related": (
            changed | (tasks.bitwiseAND(FOLLOWED | JOINED) != 0),
            F.struct("on", "tasks", "follow_on", "member_on"),
        ),
        "got": (F.col("activity").isNotNull(), F.struct("on", "activity")),
    }
    return [
        F.sort_array(F.collect_list(F.when(asked, value))).alias(name)
        for name, (asked, value) in parts.items()
    ]


def counted(rule: Rule, start: date) -> Column:
    """Dates on which the user of the columns of ``told_of_user`` counts for ``rule``: array of (on, part, units).

    Dates that are not in column ``looked_at`` may be left out.

    ``part`` names what a cap of the rule's own is about, null where it has none; ``start`` is the first date that
    may earn.
    """
    return _KINDS[type(rule)](rule, start).cast(_COUNTED)


def _private_day(rule: PrivateDay, start: date) -> Column:
    return F.transform(F.array_intersect("private", "looked_at"), _one)


def _relation_kept(rule: RelationKept, start: date) -> Column:
    """The first event of all counts, so whoever left and came back within the days is kept, once."""
    days, state = F.col("related"), f"{rule.relation}_on"
    first = F.get(F.filter(days, lambda x: x["tasks"].bitwiseAND(_FIRST[rule.relation]) != 0), F.lit(0))
    due = F.date_add(first["on"], rule.days)
    changes = F.filter(days, lambda x: x[state].isNotNull() & (x["on"] <= due))
    kept = F.try_element_at(changes, F.lit(-1))[state]
    return F.when(kept, F.array(_one(due))).otherwise(F.array())


def _returning_payer(rule: ReturningPayer, start: date) -> Column:
    """Day by day: a paid day counts where one before is near enough and the last that counted far enough."""
    nobody = F.lit(None).cast("date")
    none = F.struct(nobody.alias("last"), nobody.alias("told"), F.array().cast("array<date>").alias("found"))

    def meet(so_far: Column, on: Column) -> Column:
        near = F.datediff(on, so_far["last"]) <= rule.within_days
        free = so_far["told"].isNull() | (F.datediff(on, so_far["told"]) >= rule.once_in_days)
        counts = F.coalesce(near, F.lit(False)) & free & (on >= F.lit(start))
        told = F.when(counts, on).otherwise(so_far["told"])
        found = F.when(counts, F.concat(so_far["found"], F.array(on))).otherwise(so_far["found"])
        return F.struct(on.alias("last"), told.alias("told"), found.alias("found"))

    told = F.transform(F.aggregate("paid", none, meet, lambda end: end["found"]), _one)
    return F.when(F.arrays_overlap("paid", "looked_at"), told).otherwise(F.array())


def _guided_return(rule: GuidedReturn, start: date) -> Column:
    active = F.col("active")
    first, second = F.get(active, F.lit(0)), F.get(active, F.lit(1))["on"]
    guided = first["tasks"].bitwiseAND(GUIDED) != 0
    soon = F.datediff(second, first["on"]) <= rule.within_days
    came = F.array(_one_of(second, F.coalesce(first["terminal"], F.lit(""))))
    return F.when(guided & soon, came).otherwise(F.array())


def _voucher_return(rule: VoucherReturn, start: date) -> Column:
    """The earliest active day within the days after any receipt."""
    got = F.filter("got", lambda x: x["activity"].isin(*rule.activities))

    def is_soon(x: Column) -> Column:
        return F.exists(got, lambda r: F.datediff(x["on"], r["on"]).between(1, rule.within_days))

    again = F.when(F.size("got") > 0, F.filter("active", is_soon))
    came = F.get(again, F.lit(0))["on"]
    return F.when(came.isNotNull(), F.array(_one(came))).otherwise(F.array())


_KINDS: dict[type[Rule], Callable[[Any, date], Column]] = {
    PrivateDay: _private_day,
    RelationKept: _relation_kept,
    ReturningPayer: _returning_payer,
    GuidedReturn: _guided_return,
    VoucherReturn: _voucher_return,
}
"""Kinds that count users by their days."""


def per_part(rules: Sequence[Rule]) -> dict[str, int]:
    """Measure -> the most users of one part (a terminal) that count for one date."""
    return {rule.measure: rule.most_per_terminal for rule in rules if isinstance(rule, GuidedReturn)}


def follow_ups(rules: Sequence[Rule]) -> tuple[int, ...]:
    """Days after a first follow or joining on which somebody is looked at though nothing came in."""
    return tuple(sorted({rule.days for rule in rules if isinstance(rule, RelationKept)}))


def activities(rules: Sequence[Rule]) -> tuple[str, ...]:
    """Campaign activities whose vouchers are looked at."""
    found = (a for rule in rules if isinstance(rule, VoucherReturn) for a in rule.activities)
    return tuple(sorted(set(found)))


def _one(on: Column) -> Column:
    return _one_of(on, F.lit(None).cast("string"))


def _one_of(on: Column, named: Column) -> Column:
    return F.struct(on.alias("on"), named.alias("part"), F.lit(1).cast("bigint").alias("units"))
