"""What becomes of each parsed row: accepted, duplicate, or rejected with every reason.

Rows that share an id or a trade are few, so only they are ranked: the rest never leave their task.
"""

from collections.abc import Collection

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from ccare.events.forgotten import FORGOTTEN_STAFF
from ccare.tables.streams import Stream

ACCEPTED, DUPLICATE, REJECTED = "accepted", "duplicate", "rejected"
RECORD_CONFLICT = "record_conflict"
SHARED = "_shared"
"""Helper column: the row shares its id or trade with another sound row, now or before (or seems to, by a hash)."""
_ORDER = ("delivery_date", "content_hash", "file_sha256", "position")


def alone(parsed: DataFrame, stream: Stream) -> DataFrame:
    """Parsed rows + ``fate`` and, of events, SHARED, as they are judged where no two share an id or a trade."""
    fate = F.when(F.size("reasons") == 0, ACCEPTED).otherwise(REJECTED)
    told = parsed.withColumn("fate", fate)
    return told.withColumn(SHARED, F.lit(False)) if stream.is_event else told


def judge(
    parsed: DataFrame, stream: Stream, existing: DataFrame | None, off: Collection[str] = ()
) -> DataFrame:
    """Parsed rows + ``fate`` and, of events, SHARED; reasons completed with those that rows give each other.

    ``existing``: rows of the core table taken before (event_id, content_hash and, for payments, event_type,
    merchant_id, trade_no). Of rows with one id the earliest delivery stays, then the smallest content hash; the
    same content again is a duplicate, other content a conflict. Of entities' records with one key and one delivery
    date the greatest content hash stays, as in the table; the same again is a duplicate, another a record_conflict.
    Of another delivery date it takes the other's place, so it is judged alone. ``parsed`` is read several times: it
    should be kept somewhere. Rules in ``off`` refuse nothing.
    """
    if not stream.is_event:
        return alone(parsed, stream) if RECORD_CONFLICT in off else _judge_records(parsed, stream)
    sound = F.size("reasons") == 0
    marked = _mark(parsed, "_same_id", F.xxhash64("event_id"), sound, _ids(existing))
    if stream.name == "payments":
        paid = sound & (F.col("event_type") == "paid")
        marked = _mark(marked, "_same_trade", F.xxhash64("merchant_id", "trade_no"), paid, _trades(existing))
        disputed = F.col("_same_id") | F.col("_same_trade")
    else:
        disputed = F.col("_same_id")
    plain = alone(marked.where(~disputed).select(*parsed.columns), stream)
    ranked = _rank_ids(marked.where(disputed), existing, off)
    if stream.name == "payments" and "duplicate_trade" not in off:
        ranked = _rank_trades(ranked, existing)
    fate = F.when(F.size("reasons") > 0, REJECTED).when(F.col("_repeat"), DUPLICATE).otherwise(ACCEPTED)
    return plain.unionByName(ranked.select(*parsed.columns, fate.alias("fate"), F.lit(True).alias(SHARED)))


def _judge_records(parsed: DataFrame, stream: Stream) -> DataFrame:
    judged = F.size("reasons") == 0
    if stream.has_user:
        # Several people stand behind this one: their records do not contradict each other.
        judged = judged & (F.col("user_key") != FORGOTTEN_STAFF)
    rows = parsed.withColumn("_judged", F.coalesce(judged, F.lit(False)))
    order = (F.desc("content_hash"), "file_sha256", "position")
    same_key = Window.partitionBy("_judged", *stream.key, "delivery_date").orderBy(*order)
    rows = rows.withColumn("_kept", F.first("content_hash").over(same_key))
    rows = rows.withColumn("_again", F.col("_judged") & (F.row_number().over(same_key) > 1))
    same = F.col("content_hash") == F.col("_kept")
    rows = rows.withColumn("reasons", _with(F.col("reasons"), F.col("_again") & ~same, RECORD_CONFLICT))
    fate = F.when(F.size("reasons") > 0, REJECTED).when(F.col("_again") & same, DUPLICATE).otherwise(ACCEPTED)
    return rows.select(*parsed.columns, fate.alias("fate"))


def _ids(existing: DataFrame | None) -> DataFrame | None:
    return None if existing is None else existing.select(F.xxhash64("event_id").alias("_key"))


def _trades(existing: DataFrame | None) -> DataFrame | None:
    if existing is None:
        return None
    paid = existing.where(F.col("event_type") == "paid")
    return paid.select(F.xxhash64("merchant_id", "trade_no").alias("_key"))


def _mark(rows: DataFrame, name: str, key: Column, sound: Column, before: DataFrame | None) -> DataFrame:
    """Mark sound rows whose key another sound row has, now or before. A hash collision only marks too many."""
    keys = rows.where(sound).select(key.alias("_key"))
    shared = keys.groupBy("_key").agg(F.count("*").alias("_n")).where("_n > 1").select("_key")
    if before is not None:
        known = before.join(F.broadcast(keys), "_key", "left_semi")
        shared = shared.unionByName(known).distinct()
    shared = shared.withColumn(name, F.lit(True))
    keyed = rows.withColumn("_key", F.when(sound, key))
    joined = keyed.join(F.broadcast(shared), "_key", "left").drop("_key")
    return joined.withColumn(name, F.coalesce(F.col(name), F.lit(False)))


def _with(reasons: Column, broken: Column, name: str) -> Column:
    return F.when(F.coalesce(broken, F.lit(False)), F.concat(reasons, F.array(F.lit(name)))).otherwise(
        reasons
    )


def _rank_ids(rows: DataFrame, existing: DataFrame | None, off: Collection[str]) -> DataFrame:
    if existing is not None:
        before = existing.select("event_id", F.col("content_hash").alias("_before"))
        wanted = F.broadcast(rows.select("event_id").distinct())
        rows = rows.join(F.broadcast(before.join(wanted, "event_id", "left_semi")), "event_id", "left")
    else:
        rows = rows.withColumn("_before", F.lit(None).cast("string"))
    same_id = Window.partitionBy("event_id").orderBy(*_ORDER)
    rows = rows.withColumn("_place", F.row_number().over(same_id))
    rows = rows.withColumn("_kept", F.coalesce("_before", F.first("content_hash").over(same_id)))
    again = (F.col("_place") > 1) | F.col("_before").isNotNull()
    same = F.col("content_hash") == F.col("_kept")
    if "event_id_conflict" not in off:
        rows = rows.withColumn("reasons", _with(F.col("reasons"), again & ~same, "event_id_conflict"))
    return rows.withColumn("_repeat", again & same).drop("_place", "_kept", "_before")


def _rank_trades(rows: DataFrame, existing: DataFrame | None) -> DataFrame:
    stands = (F.size("reasons") == 0) & ~F.col("_repeat") & (F.col("event_type") == "paid")
    rows = rows.withColumn("_stands", stands)
    trade = Window.partitionBy("merchant_id", "trade_no", "_stands").orderBy(*_ORDER)
    broken = F.row_number().over(trade) > 1
    if existing is not None:
        wanted = F.broadcast(rows.select("merchant_id", "trade_no").distinct())
        paid = existing.where(F.col("event_type") == "paid").select("merchant_id", "trade_no")
        before = paid.join(wanted, ["merchant_id", "trade_no"], "left_semi").withColumn("_paid", F.lit(True))
        rows = rows.join(F.broadcast(before), ["merchant_id", "trade_no"], "left")
        broken = broken | F.coalesce(F.col("_paid"), F.lit(False))
    rows = rows.withColumn("_broken", broken & F.col("_stands"))
    return rows.withColumn("reasons", _with(F.col("reasons"), F.col("_broken"), "duplicate_trade"))
