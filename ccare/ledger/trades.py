"""Net sales of a merchant and date, in fen: what rule kind trade_net counts."""

from datetime import date, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.ledger.frames import between, by_merchant
from ccare.ledger.touched import KEY, Inputs, as_effective, earn_start, staff_pairs

if TYPE_CHECKING:
    from ccare.runtime.close import Close


def trade_nets(inputs: Inputs, close: "Close", touched: DataFrame) -> DataFrame:
    """Grain: touched key. ``units`` in fen = paid - refunds of those trades; staff payers out, null users in.

    A staff pair acts on all of its rows, old ones too, from the close that takes it.
    """
    start = earn_start(close)
    paid = inputs["state_user_days"].filter(between(F.col("business_date"), start, close.day))
    given_back = inputs["state_refund_days"].filter(between(F.col("paid_date"), start, close.day))
    late_days = close.ledger.late_window_days
    parts = [
        part(paid, "business_date", F.col("gmv_fen")),
        part(given_back, "paid_date", -F.col("refund_fen")),
    ]
    # Before that day no row can be late for a key that earns, so the payments are not read at all.
    if close.day >= start + timedelta(days=late_days):
        taken = inputs["core_payments"].filter(F.greatest("taken_on", "business_date") <= F.lit(close.day))
        parts.append(late_trades(taken, start, late_days))
    rows = parts[0]
    for other in parts[1:]:
        rows = rows.unionByName(other)
    rows = rows.join(F.broadcast(touched), KEY, "left_semi")
    staff = staff_pairs(inputs, close)
    rows = rows.join(F.broadcast(staff), ["merchant_id", "user_key"], "left_anti").drop("user_key")
    # A key all of whose rows are staff's now still has to be seen falling to nothing.
    known = by_merchant(rows).unionByName(touched.withColumn("units", F.lit(0).cast("bigint")))
    return known.groupBy(*KEY).agg(F.sum("units").alias("units"))


def late_trades(payments: DataFrame, start: date, late_days: int) -> DataFrame:
    """Takes out again what was delivered after the late window: the trades, and their refunds.

    A refund that is late itself still counts against its trade: the window bounds what may earn.
    """
    first = start + timedelta(days=late_days)
    recent = payments.filter(F.col("taken_on") >= F.lit(first))
    days_late = F.datediff("delivery_date", "business_date")
    late = recent.filter((F.col("event_type") == "paid") & (days_late > late_days))
    late = late.filter(F.col("business_date") >= F.lit(start))
    trades = late.select(
        "merchant_id",
        "trade_no",
        F.col("user_key").alias("payer"),
        F.col("business_date").alias("paid_date"),
    )
    refunds = payments.filter(F.col("event_type") == "refunded").select(
        "merchant_id", "trade_no", "amount_fen"
    )
    of_late = refunds.join(F.broadcast(trades), ["merchant_id", "trade_no"]).select(
        "merchant_id", F.col("payer").alias("user_key"), "paid_date", "amount_fen"
    )
    return part(late, "business_date", -F.col("amount_fen")).unionByName(
        part(of_late, "paid_date", F.col("amount_fen"))
    )


def part(frame: DataFrame, day: str, amount: Column) -> DataFrame:
    """``amount`` as units of a merchant, payer and effective date."""
    counted = F.coalesce(amount, F.lit(0)).cast("bigint").alias("units")
    return frame.select("merchant_id", "user_key", as_effective(day), counted)
