"""E, efficiency: what sales cost in refunds, discounts, fees and traffic."""

from ccare.metrics.model import Metric

_DAYS = "state_merchant_days"

EFFICIENCY = (
    Metric(
        "e_refund_rate",
        "efficiency",
        "Of trades paid 15 to 42 days ago: refunded amount so far / paid amount.",
        "share",
        28,
        source=f"state_refund_days, {_DAYS}",
        is_ratio=True,
        scoring="identity",
        lower_is_better=True,
        population="e_refund_rate_orders",
        fixed_k=20,
    ),
    Metric(
        "e_discount_rate",
        "efficiency",
        "Discount borne by the merchant / paid amount.",
        "share",
        28,
        source=_DAYS,
        is_ratio=True,
        scoring="identity",
        lower_is_better=True,
        population="r_orders",
        fixed_k=20,
    ),
    Metric("e_fee_rate", "efficiency", "Fees / paid amount.", "share", 28, source=_DAYS, is_ratio=True),
    Metric(
        "e_private_share",
        "efficiency",
        "Paid amount with slot private or offline_scan / paid amount with a slot other than unknown.",
        "share",
        28,
        source=_DAYS,
        is_ratio=True,
        scoring="identity",
        population="r_orders",
        fixed_k=20,
    ),
    Metric(
        "e_public_conversion",
        "efficiency",
        "1,000 x paid trades with one of the eight public slots / impressions in them.",
        "trades per 1,000 impressions",
        28,
        "A holdout hour's impressions were not served and do not count.",
        source=_DAYS,
        is_ratio=True,
        scoring="identity",
        population="public_kiloimpressions_28d",
        fixed_k=20,
    ),
    Metric(
        "e_cost_per_new_payer",
        "efficiency",
        "(Discount borne by the merchant + impressions that points paid for, at the slot's price) / users whose "
        "first paid day ever is in W28.",
        "fen",
        28,
        "Points count at what a point costs (conf/slots.toml) on the day that takes the row; the cost is rounded "
        "half up to a fen once.",
        source=f"{_DAYS}, state_users",
        is_ratio=True,
        scoring="identity",
        lower_is_better=True,
        population="c_new_payers",
        fixed_k=20,
        scored_as="cost_per_result",
    ),
)

LIFT = Metric(
    "e_points_lift",
    "efficiency",
    "Paid trades of the merchant (any slot) in hours that points paid for, per 1,000 opportunities: treated hours - "
    "withheld ones.",
    "trades per 1,000 impressions",
    28,
    "An hour counts once for each of its slots; a withheld hour's impressions are opportunities. 90 % interval by a "
    "seeded bootstrap over days, null with fewer than five of them; null without opportunities in both arms.",
    source="core_traffic_hours, core_payments",
    is_estimate=True,
)
