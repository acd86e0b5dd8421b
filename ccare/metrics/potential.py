"""R, realised potential: what users buy, and whether they buy again."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from ccare.metrics.windows import AsOf, one_if


def pair_sums(as_of: AsOf) -> dict[str, Column]:
    """What one user adds to each count, over the columns of ``pairs_as_of``."""
    return {
        "r_payers": one_if(F.col("paid28") != 0),
        "payers_90": one_if(F.col("paid_days_90") >= 1),
        "repeat_payers_90": one_if(F.col("paid_days_90") >= 2),
    }


def day_sums(as_of: AsOf) -> dict[str, Column]:
    """What one merchant day adds, over the columns of state_merchant_days."""
    month = as_of.within(F.col("business_date"), 27)
    return {
        "r_gmv": F.when(month, F.col("gmv_fen")),
        "r_orders": F.when(month, F.col("orders")),
        "r_net_gmv": F.when(month, F.coalesce("gmv_fen", F.lit(0)) - F.coalesce("refund_fen", F.lit(0))),
    }


def ratios() -> dict[str, tuple[Column, Column]]:
    """Metric -> (numerator, denominator) over the summed columns."""
    mau = F.col("c_mau28")
    return {
        "r_aov": (F.col("r_gmv"), F.col("r_orders")),
        "r_arpu": (F.col("r_net_gmv"), mau),
        "r_pay_conversion": (F.col("r_payers"), mau),
        "r_repurchase_90": (F.col("repeat_payers_90"), F.col("payers_90")),
    }
