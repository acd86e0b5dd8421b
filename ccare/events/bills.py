"""Parsed bill lines to rows with a fate: a line delivered again is a duplicate, one that says otherwise a conflict."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from ccare.events.fate import ACCEPTED, DUPLICATE, REJECTED
from ccare.events.masking import masked, private, without_numbers
from ccare.events.rules import FUTURE_MINUTES
from ccare.runtime.close import Close
from ccare.tables import table
from ccare.tables.streams import MASK, MOST_UNITS

KEY = ("channel", "merchant_id", "line_key")
_SAID = (
    *("channel", "merchant_id", "kind", "trade_no", "refund_no", "merchant_order_no", "occurred_at"),
    *("amount_fen", "receipt_fen", "merchant_discount_fen", "platform_discount_fen", "fee_fen"),
)
_ORDER = ("delivery_date", "content_hash", "path", "position")


def bill_fates(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """Every line of ``inputs['landing']`` (as ccare/runtime/bills.py stages it) with ``fate`` and ``reasons``.

    ``inputs['core_bill_lines']`` holds lines taken before, where there are any. Of lines with one key the one
    taken before stays, then that of the earliest delivery, then the smallest content hash.
    """
    # An order number is the merchant's own text: one that may be a person's number or address goes no further.
    order_no = F.col("merchant_order_no")
    lines = inputs["landing"].withColumn(
        "merchant_order_no", F.when(private(order_no), F.lit(MASK)).otherwise(order_no)
    )
    lines = lines.withColumns(
        {
            "business_date": F.to_date(F.from_utc_timestamp("occurred_at", close.timezone)),
            "content_hash": _content_hash(),
            "origin": F.lit("real"),
        }
    )
    end = F.to_utc_timestamp(F.date_add("delivery_date", 1).cast("timestamp"), close.timezone)
    future = F.col("occurred_at") > end + F.expr(f"interval {FUTURE_MINUTES} minutes")
    lines = _with_reason(lines, future, "occurred_in_future")
    # A line may become a payment, which says no more than this.
    most = F.greatest(*(name for name in _SAID if name.endswith("_fen")))
    lines = _with_reason(lines, most > MOST_UNITS, "bad_amount_fen")
    sound = F.size("reasons") == 0
    again = Window.partitionBy(*KEY).orderBy(*_ORDER)
    judged = lines.where(sound).withColumn("_place", F.row_number().over(again))
    judged = judged.withColumn("_kept", F.first("content_hash").over(again))
    before = inputs.get("core_bill_lines")
    if before is not None:
        known = before.select(*KEY, F.col("content_hash").alias("_before"))
        judged = judged.join(known, list(KEY), "left")
    else:
        judged = judged.withColumn("_before", F.lit(None).cast("string"))
    repeated = (F.col("_place") > 1) | F.col("_before").isNotNull()
    same = F.col("content_hash") == F.coalesce("_before", "_kept")
    judged = _with_reason(judged, repeated & ~same, "bill_line_conflict")
    fate = F.when(repeated & same, DUPLICATE).when(repeated, REJECTED).otherwise(ACCEPTED)
    names = [*lines.columns, "fate"]
    refused = lines.where(~sound).withColumn("fate", F.lit(REJECTED))
    return judged.withColumn("fate", fate).select(*names).unionByName(refused.select(*names))


def accepted_lines(rows: DataFrame) -> DataFrame:
    """The accepted rows in the columns of core_bill_lines."""
    return rows.where(F.col("fate") == ACCEPTED).select(*table("core_bill_lines").column_names)


def rejected_lines(rows: DataFrame, channel: str) -> DataFrame:
    """The refused rows of a channel's bills as core_rejected_events keeps them."""
    told = F.to_json(F.struct(*(F.col(name) for name in _SAID)))
    return rows.where((F.col("fate") == REJECTED) & (F.col("channel") == channel)).select(
        F.lit(f"{channel}_bill").alias("stream"),
        "file_sha256",
        F.coalesce("digest", "content_hash").alias("row_digest"),
        "position",
        "reasons",
        F.coalesce(without_numbers(F.col("payload")), masked(told)).alias("payload"),
        "merchant_id",
        "amount_fen",
        "delivery_date",
        "taken_on",
    )


def _content_hash() -> Column:
    parts = [F.coalesce(F.col(name).cast("string"), F.lit("\u0000")) for name in _SAID]
    return F.sha2(F.concat_ws("\u001f", *parts), 256)


def _with_reason(rows: DataFrame, broken: Column, name: str) -> DataFrame:
    told = F.concat("reasons", F.array(F.lit(name)))
    return rows.withColumn(
        "reasons", F.when(F.coalesce(broken, F.lit(False)), told).otherwise(F.col("reasons"))
    )
