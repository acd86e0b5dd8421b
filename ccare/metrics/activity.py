"""A, activity: how often users come, and whether they come again."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from ccare.metrics.bits import count_days
from ccare.metrics.windows import MONTH, AsOf, one_if


def pair_sums(as_of: AsOf) -> dict[str, Column]:
    """What one user adds to each count, over the columns of ``pairs_as_of``."""
    return {"active_days_28": count_days(F.col("w28")), "active_before": one_if(F.col("p28") != 0)}


def ratios() -> dict[str, tuple[Column, Column]]:
    """Metric -> (numerator, denominator) over the summed columns. Active days summed = daily users summed."""
    days, mau = F.col("active_days_28"), F.col("c_mau28")
    return {
        "a_stickiness": (days, mau * F.lit(MONTH)),
        "a_l28": (days, mau),
        "a_return_rate": (F.col("c_growth_retained"), F.col("active_before")),
    }
