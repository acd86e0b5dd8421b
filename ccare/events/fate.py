"""What becomes of each parsed row: accepted, duplicate, or rejected with every reason."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from ccare.tables.streams import PARTYLESS, Stream

ACCEPTED, DUPLICATE, REJECTED = "accepted", "duplicate", "rejected"


def judge(parsed: DataFrame, stream: Stream, merchants: DataFrame | None, existing: DataFrame | None) -> DataFrame:
    """Parsed rows + ``fate``; reasons completed with unknown_merchant, event_id_conflict, duplicate_trade.

    ``merchants``: known merchant ids, one column; None where the stream names none. ``existing``: rows of the
    core table taken before (event_id, content_hash and, for payments, event_type, merchant_id, trade_no).
    Of rows with one id the earliest delivery stays, then the smallest content hash; the same content again is a
    duplicate, other content a conflict.
    """
    rows = parsed
    if merchants is not None and stream.name not in PARTYLESS:
        rows = _known_merchants(rows, merchants)
    rows = rows.withColumn("_valid", F.size("reasons") == 0)
    if not stream.is_event:
        return rows.withColumn("fate", F.when(F.col("_valid"), ACCEPTED).otherwise(REJECTED)).drop("_valid")
    rows = _by_event_id(rows, existing)
    if stream.name == "payments":
        rows = _by_trade(rows, existing)
    fate = F.when(F.size("reasons") > 0, REJECTED).when(F.col("_repeat"), DUPLICATE).otherwise(ACCEPTED)
    return rows.withColumn("fate", fate).drop("_valid", "_repeat")


def _known_merchants(rows: DataFrame, merchants: DataFrame) -> DataFrame:
    known = merchants.select("merchant_id").distinct().withColumn("_known", F.lit(True))
    joined = rows.join(F.broadcast(known), "merchant_id", "left")
    stranger = (F.size("reasons") == 0) & F.col("_known").isNull()
    return joined.withColumn("reasons", _with(F.col("reasons"), stranger, "unknown_merchant")).drop("_known")


def _with(reasons: Column, broken: Column, name: str) -> Column:
    return F.when(F.coalesce(broken, F.lit(False)), F.concat(reasons, F.array(F.lit(name)))).otherwise(reasons)


def _by_event_id(rows: DataFrame, existing: DataFrame | None) -> DataFrame:
    order = ["delivery_date", "content_hash", "path", "position"]
    alone = F.concat(F.lit("!"), F.col("path"), F.lit("!"), F.col("position"))
    rows = rows.withColumn("_id", F.when(F.col("_valid"), F.col("event_id")).otherwise(alone))
    if existing is not None:
        before = existing.select(F.col("event_id").alias("_id"), F.col("content_hash").alias("_before"))
        rows = rows.join(before, "_id", "left")
    else:
        rows = rows.withColumn("_before", F.lit(None).cast("string"))
    same_id = Window.partitionBy("_id").orderBy(*order)
    rows = rows.withColumn("_rank", F.row_number().over(same_id))
    rows = rows.withColumn("_kept", F.coalesce("_before", F.first("content_hash").over(same_id)))
    again = F.col("_valid") & ((F.col("_rank") > 1) | F.col("_before").isNotNull())
    same = F.col("content_hash") == F.col("_kept")
    rows = rows.withColumn("reasons", _with(F.col("reasons"), again & ~same, "event_id_conflict"))
    return rows.withColumn("_repeat", again & same).drop("_id", "_rank", "_kept", "_before")


def _by_trade(rows: DataFrame, existing: DataFrame | None) -> DataFrame:
    stands = (F.size("reasons") == 0) & ~F.col("_repeat") & (F.col("event_type") == "paid")
    alone = F.concat(F.lit("!"), F.col("path"), F.lit("!"), F.col("position"))
    trade = F.concat_ws("\u001f", "merchant_id", "trade_no")
    rows = rows.withColumn("_trade", F.when(stands, trade).otherwise(alone))
    order = Window.partitionBy("_trade").orderBy("delivery_date", "content_hash", "path", "position")
    broken = F.row_number().over(order) > 1
    if existing is not None:
        paid = existing.where(F.col("event_type") == "paid")
        before = paid.select(trade.alias("_trade"), F.lit(True).alias("_paid")).distinct()
        rows = rows.join(before, "_trade", "left")
        broken = broken | F.coalesce(F.col("_paid"), F.lit(False))
    rows = rows.withColumn("_broken", broken & stands)
    rows = rows.withColumn("reasons", _with(F.col("reasons"), F.col("_broken"), "duplicate_trade"))
    return rows.drop("_trade", "_broken", "_paid")
