"""The folds themselves: pair days, merchant days, users, refunds by the day their trade was paid."""

from datetime import date
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.tables.state import RELATIONS, SUMS

PAIR_DAY = ("merchant_id", "user_key", "business_date")
WORD = 64
FEW_CHANGES = 200_000
"""Up to this many changed pair days are sent to every task rather than moving all users."""
_CHANGE = "struct<at:timestamp,event_id:string,on:boolean>"


def _packed(rows: DataFrame) -> DataFrame:
    """Relation columns as one struct each, so that the greatest is the last change."""
    for relation in RELATIONS:
        change = F.when(
            F.col(f"{relation}_at").isNotNull(),
            F.struct(
                F.col(f"{relation}_at").alias("at"),
                F.col(f"{relation}_event_id").alias("event_id"),
                F.col(f"{relation}_on").alias("on"),
            ),
        )
        rows = rows.withColumn(f"_{relation}", change.cast(_CHANGE))
    return rows


def _unpacked() -> list[Column]:
    columns = []
    for relation in RELATIONS:
        for part in ("at", "event_id", "on"):
            columns.append(F.col(f"_{relation}.{part}").alias(f"{relation}_{part}"))
    return columns


def _folded(rows: DataFrame, key: tuple[str, ...], aggregates: list[Column]) -> DataFrame:
    """Aggregates by key, with the last change of each relation beside them.

    Relation changes are few and their structs cannot live in a hash aggregate: apart, they leave the bulk fast.
    """
    changed = reduce(or_, (F.col(f"_{relation}").isNotNull() for relation in RELATIONS))
    last = [F.max(f"_{relation}").alias(f"_{relation}") for relation in RELATIONS]
    relations = rows.where(F.col("user_key").isNotNull() & changed).groupBy(*key).agg(*last)
    grouped = rows.groupBy(*key).agg(*aggregates)
    return grouped.join(relations.hint("shuffle_hash"), list(key), "left")


def pair_days(facts: DataFrame) -> DataFrame:
    """Facts -> one row for each merchant, user and business date."""
    sums = [F.sum(c.name).alias(c.name) for c in SUMS]
    return _folded(facts, PAIR_DAY, sums).select(*PAIR_DAY, *(c.name for c in SUMS), *_unpacked())


def merged_pair_days(before: DataFrame | None, changes: DataFrame) -> DataFrame:
    """Days as they were and what is added -> days as they are now."""
    if before is None:
        return changes
    return refolded(before.select(*changes.columns).unionByName(changes))


def refolded(days: DataFrame) -> DataFrame:
    """Pair days of which several may have one key -> one row for each."""
    return pair_days(_packed(days))


def merchant_days(pair_days_now: DataFrame, staff: DataFrame) -> DataFrame:
    """Pair days -> merchant days; users are counted without staff and without the unknown user."""
    pairs = staff.select("merchant_id", "user_key").distinct().withColumn("_staff", F.lit(True))
    rows = pair_days_now.join(F.broadcast(pairs), ["merchant_id", "user_key"], "left")
    person = F.col("user_key").isNotNull() & F.col("_staff").isNull()
    return rows.groupBy("merchant_id", "business_date").agg(
        F.count(F.when(person & (F.col("active_events") > 0), 1)).alias("dau"),
        F.count(F.when(person & (F.col("orders") > 0), 1)).alias("payers"),
        *(F.sum(c.name).alias(c.name) for c in SUMS),
    )


def users(
    before: DataFrame | None, changes: DataFrame, day: date, first_touched: date, few: bool = True
) -> DataFrame:
    """Users as they were and what is added -> users as they are now.

    Dates, bits and relations are joins of a semilattice (max, min, or), sums are additive: any order will do.
    ``changes`` hold business dates from ``first_touched`` to ``day``; ``few`` of them fit every task's memory.
    """
    lifted = _lifted(changes.where(F.col("user_key").isNotNull()), day, first_touched)
    if before is None:
        return _with_stage(lifted)
    key = ["merchant_id", "user_key"]
    new = F.broadcast(lifted) if few else lifted
    known = _packed(before).alias("o").join(_packed(new).alias("n"), key, "left")
    # Two joins in place of a full one: the many users that a day does not touch stay where they are.
    met = before.select(*key).join(new.select(*key), key, "left_semi")
    fresh = lifted.join(F.broadcast(met) if few else met, key, "left_anti")
    return _with_stage(known.select(*key, *_joined(), *_later_relations()).unionByName(fresh))


def _lifted(changes: DataFrame, day: date, first_touched: date) -> DataFrame:
    """Pair days of a batch -> one row for each pair in the shape of state_users."""
    seen = F.when(F.col("active_events") > 0, F.col("business_date"))
    paid = F.when(F.col("orders") > 0, F.col("business_date"))
    back = F.datediff(F.lit(day), F.col("business_date"))
    words = (day - first_touched).days // WORD + 1
    rows = _packed(changes).withColumn("_seen", seen).withColumn("_paid", paid).withColumn("_back", back)
    aggregates = [
        F.min("_seen").alias("first_seen_date"),
        F.max("_seen").alias("last_seen_date"),
        F.min("_paid").alias("first_paid_date"),
        F.max("_paid").alias("last_paid_date"),
        *_words("_seen", words),
        *_words("_paid", words),
        *(F.sum(name).alias(name) for name in ("orders", "gmv_fen", "refund_fen")),
    ]
    grouped = _folded(rows, ("merchant_id", "user_key"), aggregates)
    return grouped.select(
        "merchant_id",
        "user_key",
        "first_seen_date",
        "last_seen_date",
        "first_paid_date",
        "last_paid_date",
        _anchored("_seen", "last_seen_date", day, words, 0).alias("active_bits"),
        _anchored("_paid", "last_paid_date", day, words, 0).alias("paid_bits"),
        _anchored("_paid", "last_paid_date", day, words, 1).alias("paid_bits_older"),
        "orders",
        "gmv_fen",
        "refund_fen",
        *_unpacked(),
    )


def _words(name: str, words: int) -> list[Column]:
    """Dates as bits counted back from the close's day, in as many 64-bit words as the batch spans."""
    columns = []
    for word in range(words):
        position = F.col("_back") - word * WORD
        inside = F.col(name).isNotNull() & (position >= 0) & (position < WORD)
        bit = F.when(inside, F.call_function("shiftleft", F.lit(1).cast("bigint"), position))
        columns.append(F.bit_or(bit).alias(f"{name}_{word}"))
    return columns


def _anchored(name: str, last: str, day: date, words: int, word: int) -> Column:
    """The ``word``-th 64 days counted back from the pair's own last date, out of words counted from ``day``."""
    zero = F.lit(0).cast("bigint")
    told = F.array(*(F.coalesce(F.col(f"{name}_{n}"), zero) for n in range(words)), zero, zero)
    offset = F.datediff(F.lit(day), F.col(last))
    at, by = F.floor(offset / WORD).cast("int") + word, offset % WORD
    low = F.call_function("shiftrightunsigned", F.coalesce(F.get(told, at), zero), by)
    high = F.when(by > 0, F.call_function("shiftleft", F.coalesce(F.get(told, at + 1), zero), WORD - by))
    return F.coalesce(low.bitwiseOR(F.coalesce(high, zero)), zero)


def _shifted(word: Column, by: Column) -> Column:
    """A word moved to an anchor ``by`` days later; the JVM takes shift counts modulo 64, so those are cut here."""
    return F.when(by < WORD, F.call_function("shiftleft", word, by)).otherwise(F.lit(0).cast("bigint"))


def _older(low: Column, high: Column, by: Column) -> Column:
    """The second word after moving both: what leaves the first word enters the second."""
    spill = F.when(by == 0, F.lit(0).cast("bigint")).when(
        by < WORD, F.call_function("shiftrightunsigned", low, WORD - by)
    )
    spill = spill.otherwise(_shifted(low, by - WORD))
    return _shifted(high, by).bitwiseOR(spill)


def _joined() -> list[Column]:
    columns: list[Column] = []
    for name in ("seen", "paid"):
        columns.append(F.least(f"o.first_{name}_date", f"n.first_{name}_date").alias(f"first_{name}_date"))
        columns.append(F.greatest(f"o.last_{name}_date", f"n.last_{name}_date").alias(f"last_{name}_date"))
    columns.append(_either("active_bits", "seen"))
    columns.append(_either("paid_bits", "paid"))
    paid_older = [
        _older(_zero(f"{side}.paid_bits"), _zero(f"{side}.paid_bits_older"), _moved(side, "paid"))
        for side in ("o", "n")
    ]
    columns.append(reduce(Column.bitwiseOR, paid_older).alias("paid_bits_older"))
    for name in ("orders", "gmv_fen", "refund_fen"):
        columns.append((_zero(f"o.{name}") + _zero(f"n.{name}")).alias(name))
    return columns


def _zero(name: str) -> Column:
    return F.coalesce(F.col(name), F.lit(0).cast("bigint"))


def _moved(side: str, name: str) -> Column:
    last = F.greatest(f"o.last_{name}_date", f"n.last_{name}_date")
    return F.coalesce(F.datediff(last, F.col(f"{side}.last_{name}_date")), F.lit(0))


def _either(word: str, name: str) -> Column:
    sides = [_shifted(_zero(f"{side}.{word}"), _moved(side, name)) for side in ("o", "n")]
    return reduce(Column.bitwiseOR, sides).alias(word)


def _later_relations() -> list[Column]:
    columns = []
    for relation in RELATIONS:
        last = F.greatest(F.col(f"o._{relation}"), F.col(f"n._{relation}"))
        columns += [last[part].alias(f"{relation}_{part}") for part in ("at", "event_id", "on")]
    return columns


def _with_stage(rows: DataFrame) -> DataFrame:
    words = F.col("paid_bits").bitwiseAND(F.col("paid_bits") - 1) != 0
    again = words | (F.col("paid_bits_older") != 0) | (F.col("first_paid_date") < F.col("last_paid_date"))
    stage = (
        F.when(again, "repeat")
        .when(F.col("first_paid_date").isNotNull(), "paid")
        .when(F.col("first_seen_date").isNotNull(), "visited")
        .otherwise("reached")
    )
    return rows.withColumn("stage", stage)
