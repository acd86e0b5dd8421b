"""A, activity: how often users come, whether they come again, and what they do with what they are shown."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from ccare.metrics.user_facts import AGAIN, NO, RETENTION_AGES, fact, users_if
from ccare.metrics.windows import MONTH

_SHARES = ("viewer", "engaged", "served", "delivered", "clicked")


def user_sums() -> dict[str, Column]:
    """What users with the same facts add to each count."""
    sums = {
        "active_days_28": fact("active_days") * F.col("users"),
        "active_before": users_if(fact("before") == 1),
        **{name: users_if(fact(name) == 1) for name in _SHARES},
    }
    for name in (*(f"retention_d{age}" for age in RETENTION_AGES), "bind"):
        sums |= {f"{name}_cohort": users_if(fact(name) != NO), f"{name}_kept": users_if(fact(name) == AGAIN)}
    return sums


def ratios() -> dict[str, tuple[Column, Column]]:
    """Metric -> (numerator, denominator) over the summed columns. Active days summed = daily users summed."""
    days, mau = F.col("active_days_28"), F.col("c_mau28")
    kept = {
        f"a_retention_d{age}": (F.col(f"retention_d{age}_kept"), F.col(f"retention_d{age}_cohort"))
        for age in RETENTION_AGES
    }
    return kept | {
        "a_stickiness": (days, mau * F.lit(MONTH)),
        "a_l28": (days, mau),
        "a_return_rate": (F.col("c_growth_retained"), F.col("active_before")),
        "a_engagement_rate": (F.col("engaged"), F.col("viewer")),
        "a_message_click_rate": (F.col("clicked"), F.col("delivered")),
        "a_content_to_service": (F.col("served"), F.col("viewer")),
        "a_pay_bind_rate": (F.col("bind_kept"), F.col("bind_cohort")),
    }
