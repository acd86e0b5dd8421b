"""Pair days and merchant days: sums, words of bits, and the last change of each relation."""

from collections.abc import Iterable
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.tables.state import GUIDED_TERMINAL, RELATIONS, SUMS, WORDS

PAIR_DAY = ("merchant_id", "user_key", "business_date")
PARTS = ("at", "event_id", "on")
_CHANGE = "struct<at:timestamp,event_id:string,on:boolean>"


def packed(rows: DataFrame, relations: Iterable[str] = RELATIONS) -> DataFrame:
    """Relation columns as one struct each, so that the greatest is the last change."""
    return rows.withColumns({f"_{relation}": change_of(relation) for relation in relations})


def change_of(relation: str) -> Column:
    """The last change of a relation as one struct; null where there was none."""
    told = F.struct(*(F.col(f"{relation}_{part}").alias(part) for part in PARTS))
    return F.when(F.col(f"{relation}_at").isNotNull(), told).cast(_CHANGE)


def unpacked(relations: Iterable[str] = RELATIONS) -> list[Column]:
    """The structs of ``packed`` as columns again."""
    return [
        F.col(f"_{relation}.{part}").alias(f"{relation}_{part}") for relation in relations for part in PARTS
    ]


def folded(
    rows: DataFrame, key: tuple[str, ...], aggregates: list[Column], relations: Iterable[str] = RELATIONS
) -> DataFrame:
    """Aggregates by key, with the last change of each relation beside them.

    Relation changes are few and their structs cannot live in a hash aggregate: apart, they leave the bulk fast.
    """
    names = [f"_{relation}" for relation in relations]
    changed = reduce(or_, (F.col(name).isNotNull() for name in names))
    last = [F.max(name).alias(name) for name in names]
    changes = rows.where(F.col("user_key").isNotNull() & changed).groupBy(*key).agg(*last)
    grouped = rows.groupBy(*key).agg(*aggregates)
    return grouped.join(changes.hint("shuffle_hash"), list(key), "left")


def pair_days(facts: DataFrame) -> DataFrame:
    """Facts -> one row for each merchant, user and business date."""
    sums = [F.sum(c.name).alias(c.name) for c in SUMS]
    words = [F.bit_or(c.name).alias(c.name) for c in WORDS]
    terminal = F.max(GUIDED_TERMINAL.name).alias(GUIDED_TERMINAL.name)
    kept = folded(facts, PAIR_DAY, [*sums, *words, terminal])
    names = (c.name for c in (*SUMS, *WORDS, GUIDED_TERMINAL))
    return kept.select(*PAIR_DAY, *names, *unpacked())


def merged_pair_days(before: DataFrame | None, changes: DataFrame) -> DataFrame:
    """Days as they were and what is added -> days as they are now."""
    if before is None:
        return changes
    return refolded(before.select(*changes.columns).unionByName(changes))


def refolded(days: DataFrame) -> DataFrame:
    """Pair days of which several may have one key -> one row for each."""
    return pair_days(packed(days))


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
