"""C, scale: how many users a merchant reaches, and where they come from and go."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from ccare.metrics.user_facts import fact, users_if


def user_sums() -> dict[str, Column]:
    """What users with the same facts add to each count.

    Growth accounting: active in W28 = new + retained + resurrected, and less those active in P28 it is
    new + resurrected - churned. (Duncan Gilchrist's and Jonathan Hsu's accounting, in users.)
    """
    now, before, new = fact("active_days") > 0, fact("before") == 1, fact("new") == 1
    return {
        "c_dau": users_if(fact("today") == 1),
        "c_wau": users_if(fact("week") == 1),
        "c_mau28": users_if(now),
        "c_new_users": users_if(new),
        "c_new_payers": users_if(fact("new_payer") == 1),
        "c_reachable": users_if(fact("reachable") == 1),
        "reachable_then": users_if(fact("reachable_then") == 1),
        "c_growth_new": users_if(new),
        "c_growth_retained": users_if(now & before),
        "c_growth_resurrected": users_if(now & ~before & ~new),
        "c_growth_churned": users_if(~now & before),
    }


def ratios() -> dict[str, tuple[Column, Column]]:
    """Metric -> (numerator, denominator) over the summed columns."""
    gained = F.col("c_growth_new") + F.col("c_growth_resurrected")
    then = F.col("reachable_then")
    return {
        "c_net_reach_rate": (F.col("c_reachable") - then, then),
        "c_quick_ratio": (gained, F.col("c_growth_churned")),
    }
