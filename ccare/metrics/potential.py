"""R, realised potential: what users buy, and whether they buy again."""

from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.metrics.user_facts import fact, users_if
from ccare.metrics.windows import MONTH, AsOf
from ccare.state.facts import FUTURE_DAYS


def user_sums() -> dict[str, Column]:
    """What users with the same facts add to each count."""
    return {
        "r_payers": users_if(fact("payer") == 1),
        "payers_90": users_if(fact("paid_days_90") >= 1),
        "repeat_payers_90": users_if(fact("paid_days_90") >= 2),
    }


def day_sums(as_of: AsOf) -> dict[str, Column]:
    """What one merchant day adds, over the columns of state_merchant_days."""
    month = as_of.within(F.col("business_date"), 27)
    return {
        "r_gmv": F.when(month, F.col("gmv_fen")),
        "r_orders": F.when(month, F.col("orders")),
        "r_net_gmv": F.when(month, F.coalesce("gmv_fen", F.lit(0)) - F.coalesce("refund_fen", F.lit(0))),
    }


def voucher_sums(events: DataFrame, as_of: AsOf) -> DataFrame:
    """core_voucher_events -> merchant_id, vouchers_received in P28 and vouchers_used of them by d, codes each once.

    A row of P28 was taken after it happened, or FUTURE_DAYS before at most: older partitions hold none.
    """
    first, last = as_of.back(2 * MONTH - 1), as_of.back(MONTH)
    taken = F.col("taken_on").between(F.lit(first - timedelta(days=FUTURE_DAYS)), F.lit(as_of.day))
    code = ("merchant_id", "voucher_code")
    recent = events.where(taken & as_of.within(F.col("business_date"), 2 * MONTH - 1))
    received = recent.where((F.col("event_type") == "received") & (F.col("business_date") <= F.lit(last)))
    turned = recent.where(F.col("event_type").isin("used", "unused"))
    used = F.col("event_type") == "used"
    latest = F.max(F.struct("occurred_at", "event_id", used.alias("used")))["used"]
    turned = turned.groupBy(*code).agg(latest.alias("used"))
    codes = received.select(*code).distinct().join(turned, list(code), "left")
    return codes.groupBy("merchant_id").agg(
        F.count("*").alias("vouchers_received"), F.count_if(F.col("used")).alias("vouchers_used")
    )


def ratios() -> dict[str, tuple[Column, Column]]:
    """Metric -> (numerator, denominator) over the summed columns."""
    mau = F.col("c_mau28")
    return {
        "r_aov": (F.col("r_gmv"), F.col("r_orders")),
        "r_arpu": (F.col("r_net_gmv"), mau),
        "r_pay_conversion": (F.col("r_payers"), mau),
        "r_repurchase_90": (F.col("repeat_payers_90"), F.col("payers_90")),
        "r_realised_ratio": (F.col("r_realised_ratio_num"), F.col("r_realised_ratio_den")),
        "r_voucher_use_rate": (F.col("vouchers_used"), F.col("vouchers_received")),
    }
