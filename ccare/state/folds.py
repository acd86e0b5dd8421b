"""The folds themselves: pair days, merchant days, users, refunds by the day their trade was paid."""

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.tables.state import RELATIONS, SUMS

PAIR_DAY = ("merchant_id", "user_key", "business_date")
WORD = 64
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


def _folded(rows: DataFrame, key: tuple[str, ...]) -> DataFrame:
    sums = [F.sum(c.name).alias(c.name) for c in SUMS]
    changes = [F.max(f"_{relation}").alias(f"_{relation}") for relation in RELATIONS]
    grouped = rows.groupBy(*key).agg(*sums, *changes)
    return grouped.select(*key, *(c.name for c in SUMS), *_unpacked())


def pair_days(facts: DataFrame) -> DataFrame:
    """Facts -> one row for each merchant, user and business date."""
    return _folded(facts, PAIR_DAY)


def merged_pair_days(before: DataFrame | None, changes: DataFrame) -> DataFrame:
    """Days as they were and what is added -> days as they are now."""
    if before is None:
        return changes
    both = before.select(*changes.columns).unionByName(changes)
    return _folded(_packed(both), PAIR_DAY)


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


def users(before: DataFrame | None, changes: DataFrame) -> DataFrame:
    """Users as they were and what is added -> users as they are now.

    Dates, bits and relations are joins of a semilattice (max, min, or), sums are additive: any order will do.
    """
    lifted = _lifted(changes.where(F.col("user_key").isNotNull()))
    if before is None:
        return _with_stage(lifted)
    old, new = _packed(before).alias("o"), _packed(lifted).alias("n")
    both = old.join(new, ["merchant_id", "user_key"], "full")
    return _with_stage(both.select("merchant_id", "user_key", *_joined(), *_later_relations()))


def _lifted(changes: DataFrame) -> DataFrame:
    """Pair days of a batch -> one row for each pair in the shape of state_users."""
    seen = F.when(F.col("active_events") > 0, F.col("business_date"))
    paid = F.when(F.col("orders") > 0, F.col("business_date"))
    rows = _packed(changes).withColumn("_seen", seen).withColumn("_paid", paid)
    grouped = rows.groupBy("merchant_id", "user_key").agg(
        F.min("_seen").alias("first_seen_date"),
        F.max("_seen").alias("last_seen_date"),
        F.min("_paid").alias("first_paid_date"),
        F.max("_paid").alias("last_paid_date"),
        F.collect_set("_seen").alias("_seen_days"),
        F.collect_set("_paid").alias("_paid_days"),
        F.sum("orders").alias("orders"),
        F.sum("gmv_fen").alias("gmv_fen"),
        F.sum("refund_fen").alias("refund_fen"),
        *(F.max(f"_{relation}").alias(f"_{relation}") for relation in RELATIONS),
    )
    return grouped.select(
        "merchant_id",
        "user_key",
        "first_seen_date",
        "last_seen_date",
        "first_paid_date",
        "last_paid_date",
        _word("_seen_days", "last_seen_date", 0).alias("active_bits"),
        _word("_paid_days", "last_paid_date", 0).alias("paid_bits"),
        _word("_paid_days", "last_paid_date", 1).alias("paid_bits_older"),
        "orders",
        "gmv_fen",
        "refund_fen",
        *_unpacked(),
    )


def _word(days: str, anchor: str, word: int) -> Column:
    """Days as the bits of one 64-bit word counted back from the anchor; days outside it are left out."""
    bits = F.aggregate(
        F.col(days),
        F.lit(0).cast("bigint"),
        lambda word_so_far, d: word_so_far.bitwiseOR(_bit(F.datediff(F.col(anchor), d) - word * WORD)),
    )
    return F.coalesce(bits, F.lit(0).cast("bigint"))


def _bit(position: Column) -> Column:
    inside = (position >= 0) & (position < WORD)
    return F.when(inside, F.call_function("shiftleft", F.lit(1).cast("bigint"), position)).otherwise(F.lit(0))


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
