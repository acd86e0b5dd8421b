"""E, efficiency: what sales cost in refunds, discounts and fees."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from ccare.metrics.windows import REFUND_WINDOW, AsOf

_MONTHLY = (
    "private_gmv_fen",
    "known_slot_gmv_fen",
    "public_orders",
    "public_impressions",
    "points_traffic_mfen",
)


def day_sums(as_of: AsOf) -> dict[str, Column]:
    """What one merchant day adds, over the columns of state_merchant_days."""
    month = as_of.within(F.col("business_date"), 27)
    matured = as_of.within(F.col("business_date"), *REFUND_WINDOW)
    return {
        "discount_28": F.when(month, F.col("merchant_discount_fen")),
        "fee_28": F.when(month, F.col("fee_fen")),
        "matured_gmv": F.when(matured, F.col("gmv_fen")),
        "e_refund_rate_orders": F.when(matured, F.col("orders")),
        **{f"{name}_28": F.when(month, F.col(name)) for name in _MONTHLY},
    }


def refund_sums(as_of: AsOf) -> dict[str, Column]:
    """What one row of state_refund_days adds: refunds by d of trades paid in the refund window."""
    counted = as_of.within(F.col("paid_date"), *REFUND_WINDOW) & (F.col("refund_date") <= F.lit(as_of.day))
    return {"matured_refunds": F.when(counted, F.col("refund_fen"))}


def ratios() -> dict[str, tuple[Column, Column]]:
    """Metric -> (numerator, denominator) over the summed columns."""
    gmv = F.col("r_gmv")
    traffic = F.expr("(points_traffic_mfen_28 + 500) div 1000")
    return {
        "e_refund_rate": (F.col("matured_refunds"), F.col("matured_gmv")),
        "e_discount_rate": (F.col("discount_28"), gmv),
        "e_fee_rate": (F.col("fee_28"), gmv),
        "e_private_share": (F.col("private_gmv_fen_28"), F.col("known_slot_gmv_fen_28")),
        "e_public_conversion": (F.col("public_orders_28") * 1000, F.col("public_impressions_28")),
        "e_cost_per_new_payer": (F.col("discount_28") + traffic, F.col("c_new_payers")),
    }
