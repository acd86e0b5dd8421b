"""Users: what a pair of merchant and user has come to, folded from its days."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.state.folds import change_of, folded, packed, unpacked
from ccare.state.words import WORD, anchored, either, either_older, words, zero_if_none
from ccare.tables import table
from ccare.tables.state import LAG_DAYS, MARKS, RELATIONS, THEN

KEY = ("merchant_id", "user_key")
_SUMS = ("orders", "gmv_fen", "refund_fen")
_MARK_DATES = {mark: f"last_{mark}_date" for mark in MARKS if mark != "bound"} | {"bound": "first_bound_date"}
_FIRSTS = ("first_seen_date", "first_paid_date", "first_bound_date")
_LASTS = ("last_seen_date", "last_paid_date", *(d for d in _MARK_DATES.values() if d not in _FIRSTS))


@dataclass(frozen=True)
class Lag:
    """What a day later means for relations as of LAG_DAYS ago.

    ``leaving``: pair days as published before, of the one date that is LAG_DAYS old now; ``ends``: the instant at
    which that local date is over (UTC).
    """

    leaving: DataFrame
    ends: datetime


def users(
    before: DataFrame | None,
    changes: DataFrame,
    day: date,
    first_touched: date,
    few: bool = True,
    lag: Lag | None = None,
) -> DataFrame:
    """Users as they were and what is added -> users that this changes, as they are now.

    Dates, bits and relations are joins of a semilattice (max, min, or), sums are additive: any order will do.
    ``changes`` hold business dates from ``first_touched`` to ``day``; ``few`` of them fit every task's memory.
    ``before`` is as of the day before ``day``, may leave out who is not among them, and needs its ``lag``; ValueError
    without.
    """
    told = changes.where(F.col("user_key").isNotNull())
    lifted = _lifted(_with_then(told, day, None if before is None else lag), day, first_touched)
    if before is None:
        return _finished(lifted.where(F.col("_told")))
    if lag is None:
        raise ValueError("users that were known before need their lag")
    if few:
        # Four joins follow: each would plan and run again all that stands before it.
        lifted = lifted.localCheckpoint(eager=False)
    fresh_rows = lifted.where(F.col("_told"))
    new = F.broadcast(lifted) if few else lifted
    passed = _passed(before.alias("o").join(new.alias("n"), list(KEY)), lag.ends)
    met = F.broadcast(before.select(*KEY)) if few else before.select(*KEY)
    fresh = fresh_rows.join(met, list(KEY), "left_anti")
    return passed.unionByName(_finished(fresh))


def _with_then(told: DataFrame, day: date, lag: Lag | None) -> DataFrame:
    """Pair days with their relations as structs, those of LAG_DAYS ago or earlier once more as ``_<relation>_then``."""
    rows = packed(told).withColumn("_told", F.lit(True))
    old = F.col("business_date") <= F.lit(day - timedelta(days=LAG_DAYS))
    rows = rows.withColumns({f"_{THEN[r]}": F.when(old, F.col(f"_{r}")) for r in RELATIONS})
    if lag is None:
        return rows
    leaving = packed(lag.leaving.where(F.col("user_key").isNotNull()))
    structs = [f"_{then}" for then in THEN.values()]
    leaving = leaving.select(
        *KEY, F.lit(False).alias("_told"), *(F.col(f"_{r}").alias(f"_{THEN[r]}") for r in RELATIONS)
    ).where(F.coalesce(*structs).isNotNull())
    return rows.unionByName(leaving, allowMissingColumns=True)


def _lifted(rows: DataFrame, day: date, first_touched: date) -> DataFrame:
    """Pair days of a batch -> one row for each pair: columns of state_users, relations as structs, ``_told``."""
    seen = F.when(F.col("active_events") > 0, F.col("business_date"))
    paid = F.when(F.col("orders") > 0, F.col("business_date"))
    back = F.datediff(F.lit(day), F.col("business_date"))
    count = (day - first_touched).days // WORD + 1
    rows = rows.withColumns({"_seen": seen, "_paid": paid, "_back": back})
    grouped = folded(
        rows,
        KEY,
        [
            F.max("_told").alias("_told"),
            F.min("_seen").alias("first_seen_date"),
            F.max("_seen").alias("last_seen_date"),
            F.min("_paid").alias("first_paid_date"),
            F.max("_paid").alias("last_paid_date"),
            *(_mark_date(mark) for mark in MARKS),
            *words("_seen", count),
            *words("_paid", count),
            *(F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in _SUMS),
        ],
        (*RELATIONS, *THEN.values()),
    )
    bits = {
        "active_bits": anchored("_seen", "last_seen_date", day, count, 0),
        "paid_bits": anchored("_paid", "last_paid_date", day, count, 0),
        "paid_bits_older": anchored("_paid", "last_paid_date", day, count, 1),
    }
    return grouped.withColumns(bits)


def _mark_date(mark: str) -> Column:
    name = _MARK_DATES[mark]
    did = F.when(F.col("marks").bitwiseAND(1 << MARKS.index(mark)) != 0, F.col("business_date"))
    return (F.min(did) if name in _FIRSTS else F.max(did)).alias(name)


def _finished(lifted: DataFrame) -> DataFrame:
    """Pairs that were not known before, in the columns of state_users."""
    rows = lifted.withColumns(
        {f"_{then}": _unlike_last(F.col(f"_{then}"), F.col(f"_{r}")) for r, then in THEN.items()}
    )
    rows = rows.select(*lifted.columns, *unpacked((*RELATIONS, *THEN.values())))
    return _declared(rows.withColumn("stage", _stage()))


def _passed(known: DataFrame, ends: datetime) -> DataFrame:
    """Pairs that were known before (``o``) and that the day touches (``n``)."""
    told = {name: F.least(f"o.{name}", f"n.{name}") for name in _FIRSTS}
    told |= {name: F.greatest(f"o.{name}", f"n.{name}") for name in _LASTS}
    told |= {"active_bits": either("active_bits", "seen"), "paid_bits": either("paid_bits", "paid")}
    told["paid_bits_older"] = either_older("paid_bits", "paid_bits_older", "paid")
    told |= {name: zero_if_none(f"o.{name}") + zero_if_none(f"n.{name}") for name in _SUMS}
    rows = known.select(*KEY, *(now.alias(name) for name, now in told.items()), *_relations(ends))
    changes = {f"_{then}": _unlike_last(F.col(f"_{then}"), F.col(f"_{r}")) for r, then in THEN.items()}
    apart = rows.withColumns(changes).select("*", *unpacked((*RELATIONS, *THEN.values())))
    return _declared(apart.withColumn("stage", _stage()))


def _relations(ends: datetime) -> list[Column]:
    """The last change of each relation, and the last one before ``ends``, as structs."""
    structs = []
    for relation, then in THEN.items():
        was = change_of(f"o.{relation}")
        old = F.when(was["at"] < F.lit(ends), was)
        last = F.greatest(was, F.col(f"n._{relation}"))
        lagged = F.greatest(change_of(f"o.{then}"), old, F.col(f"n._{then}"))
        structs += [last.alias(f"_{relation}"), lagged.alias(f"_{then}")]
    return structs


def _unlike_last(then: Column, last: Column) -> Column:
    """Kept only where another change came after: most pairs' last change is old, and is then told once."""
    return F.when(then != last, then)


def _stage() -> Column:
    again = F.col("first_paid_date") < F.col("last_paid_date")
    return (
        F.when(again, "repeat")
        .when(F.col("first_paid_date").isNotNull(), "paid")
        .when(F.col("first_seen_date").isNotNull(), "visited")
        .otherwise("reached")
    )


def _declared(rows: DataFrame) -> DataFrame:
    return rows.select(*table("state_users").column_names)
