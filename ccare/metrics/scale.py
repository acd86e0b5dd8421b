"""C, scale: how many users a merchant reaches, and where they come from and go."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from ccare.metrics.bits import low_bits
from ccare.metrics.windows import AsOf, one_if


def pair_sums(as_of: AsOf) -> dict[str, Column]:
    """What one user adds to each count, over the columns of ``pairs_as_of``.

    Growth accounting: active in W28 = new + retained + resurrected, and less those active in P28 it is
    new + resurrected - churned. (Duncan Gilchrist's and Jonathan Hsu's accounting, in users.)
    """
    now, before = F.col("w28") != 0, F.col("p28") != 0
    first_seen = F.col("first_seen_date")
    new = as_of.within(first_seen, 27)
    return {
        "c_dau": one_if(F.col("w28").bitwiseAND(low_bits(1)) != 0),
        "c_wau": one_if(F.col("w28").bitwiseAND(low_bits(7)) != 0),
        "c_mau28": one_if(now),
        "c_new_users": one_if(new),
        "c_new_payers": one_if(as_of.within(F.col("first_paid_date"), 27)),
        "c_reachable": one_if(F.col("reachable")),
        "c_growth_new": one_if(new),
        "c_growth_retained": one_if(now & before),
        "c_growth_resurrected": one_if(now & ~before & (first_seen < F.lit(as_of.back(27)))),
        "c_growth_churned": one_if(~now & before),
    }


def ratios() -> dict[str, tuple[Column, Column]]:
    """Metric -> (numerator, denominator) over the summed columns."""
    gained = F.col("c_growth_new") + F.col("c_growth_resurrected")
    return {"c_quick_ratio": (gained, F.col("c_growth_churned"))}
