"""Net sales of a merchant and date, in fen: what rule kind trade_net counts."""

from datetime import date, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.ledger.frames import between, by_merchant
from ccare.ledger.touched import KEY, Inputs, as_effective, staff_pairs
from ccare.ledger.transfers import together

if TYPE_CHECKING:
    from ccare.runtime.close import Close


def trade_nets(inputs: Inputs, close: "Close", touched: DataFrame) -> DataFrame:
    """Grain: touched key. ``units`` in fen = paid - refunds of those trades; staff payers out, null users in.

    A staff pair acts on all of its rows, old ones too, from the close that takes it.
    """
    rows = net_parts(inputs, close, close.earn_start, close.day).join(F.broadcast(touched), KEY, "left_semi")
    staff = staff_pairs(inputs, close)
    rows = rows.join(F.broadcast(staff), ["merchant_id", "user_key"], "left_anti").drop("user_key")
    # A key all of whose rows are staff's now still has to be seen falling to nothing.
    known = by_merchant(rows).unionByName(touched.withColumn("units", F.lit(0).cast("bigint")))
    return known.groupBy(*KEY).agg(F.sum("units").alias("units"))


def net_parts(inputs: Inputs, close: "Close", first: date, last: date) -> DataFrame:
    """What adds up to the net of trades paid from ``first`` to ``last``, in fen.

    Columns: merchant_id, user_key (the payer), effective_date, units. Staff is in it still. Late trades are
    taken out whenever they were paid.
    """
    paid = inputs["state_user_days"].filter(between(F.col("business_date"), first, last))
    paid = paid.filter(F.coalesce("orders", F.lit(0)) > 0)
    given_back = inputs["state_refund_days"].filter(between(F.col("paid_date"), first, last))
    parts = [
        _part(paid, "business_date", F.col("gmv_fen")),
        _part(given_back, "paid_date", -F.col("refund_fen")),
    ]
    start, late_days = close.earn_start, close.ledger.late_window_days
    # Before that day no row can be late for a key that earns, so the payments are not read at all.
    if close.day >= start + timedelta(days=late_days):
        taken = inputs["core_payments"].filter(F.greatest("taken_on", "business_date") <= F.lit(close.day))
        parts.append(_late_trades(taken, start, late_days))
    return together(parts)


def _late_trades(payments: DataFrame, start: date, late_days: int) -> DataFrame:
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
    return _part(late, "business_date", -F.col("amount_fen")).unionByName(
        _part(of_late, "paid_date", F.col("amount_fen"))
    )


def _part(frame: DataFrame, day: str, amount: Column) -> DataFrame:
    counted = F.coalesce(amount, F.lit(0)).cast("bigint").alias("units")
    return frame.select("merchant_id", "user_key", as_effective(day), counted)
