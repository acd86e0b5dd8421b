"""Fees and net of settled trades by the month: what the resource pack gives back of them."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.ledger.frames import beside, between, product, quotient, through
from ccare.ledger.months import first_paid, last_paid, month_of_trade
from ccare.ledger.touched import Inputs, staff_pairs

if TYPE_CHECKING:
    from ccare.runtime.close import Close

_TRADE = ["merchant_id", "trade_no"]


def settled_months(inputs: Inputs, close: "Close", ends: Sequence[date]) -> DataFrame:
    """Grain: merchant and last day of a month in ``ends``. ``net_fen`` and ``fee_fen`` of its settled trades.

    net of a trade = paid - refunded so far; of its fee counts floor(fee x net / paid). Staff payers are out, unknown
    payers in; a trade that was delivered after the late window counts for nothing.
    """
    trades = _trades(inputs["core_payments"], staff_pairs(inputs, close), close, ends)
    part = quotient(product(F.col("fee_fen"), F.col("net_fen")), F.col("paid_fen"))
    # Exact products are dear, and of most trades nothing is returned.
    kept = F.when(F.col("paid_fen") == 0, 0).when(F.col("net_fen") == F.col("paid_fen"), F.col("fee_fen"))
    months = trades.withColumn("kept_fen", kept.otherwise(part))
    return months.groupBy("merchant_id", month_of_trade(F.col("paid_on")).alias("effective_date")).agg(
        F.sum("net_fen").alias("net_fen"), F.sum("kept_fen").alias("fee_fen")
    )


def served_fees(inputs: Inputs, months: DataFrame) -> DataFrame:
    """Grain: service provider and month. ``fee_fen`` of the merchants that it serves on the month's last day."""
    records = inputs["core_merchants"].filter(F.col("service_provider_id").isNotNull())
    records = records.select("merchant_id", "service_provider_id", "valid_from", "valid_to")
    of = months.select("merchant_id", "effective_date", "fee_fen").join(F.broadcast(records), "merchant_id")
    served = of.filter(through("valid_from", "valid_to", F.col("effective_date")))
    return served.groupBy("service_provider_id", "effective_date").agg(F.sum("fee_fen").alias("fee_fen"))


def _trades(payments: DataFrame, staff: DataFrame, close: "Close", ends: Sequence[date]) -> DataFrame:
    """Grain: trade paid in one of the months by no staff, with its paid_on, paid_fen, net_fen and fee_fen."""
    first, last = first_paid(ends), last_paid(ends)
    # A folder holds nothing dated later than minutes after its own day, and is taken the day before at the earliest.
    rows = payments.filter(F.col("taken_on").between(F.lit(first - timedelta(days=2)), F.lit(close.day)))
    paid = rows.filter((F.col("event_type") == "paid") & between(F.col("business_date"), first, last))
    late = F.datediff("delivery_date", "business_date") > close.ledger.late_window_days
    paid = paid.filter(~(late & (F.col("business_date") >= F.lit(close.earn_start))))
    paid = paid.join(F.broadcast(staff), ["merchant_id", "user_key"], "left_anti").select(
        *_TRADE,
        F.col("business_date").alias("paid_on"),
        _fen("amount_fen", "paid_fen"),
        _fen("fee_fen", "fee_fen"),
    )
    returned = rows.filter(F.col("event_type") == "refunded").groupBy(*_TRADE)
    back = returned.agg(F.sum(F.coalesce("amount_fen", F.lit(0))).alias("back_fen"))
    net = F.greatest(F.col("paid_fen") - F.coalesce("back_fen", F.lit(0)), F.lit(0))
    return paid.join(beside(back), _TRADE, "left").withColumn("net_fen", net)


def _fen(name: str, called: str) -> Column:
    return F.coalesce(name, F.lit(0)).alias(called)
