"""Every metric declared once: table columns, scores, docs and catalogue comments derive from here.

The model's public sources name dimensions and give no formulas; these are this project's own.
"""

from dataclasses import dataclass

DIMENSIONS = ("scale", "activity", "potential", "efficiency")


@dataclass(frozen=True)
class Metric:
    """One metric.

    ``population`` names what n counts when a ratio is shrunk (people or orders, never money).
    ``scoring`` is the transform before percentiles: log1p, signed_log1p or identity; empty = shown only.
    """

    id: str
    dimension: str
    definition: str
    unit: str
    window_days: int
    is_ratio: bool = False
    scoring: str = ""
    lower_is_better: bool = False
    population: str = ""
    fixed_k: float | None = None

    @property
    def scored(self) -> bool:
        """Whether it can carry weight in a score."""
        return bool(self.scoring)

    @property
    def is_proportion(self) -> bool:
        """A ratio of people, trades or amounts to a whole: its interval is taken on the logit."""
        return self.is_ratio and self.unit == "share"


METRICS = (
    Metric("c_dau", "scale", "Distinct users active on the day.", "users", 1),
    Metric("c_wau", "scale", "Distinct users active in the last 7 days.", "users", 7),
    Metric("c_mau28", "scale", "Distinct users active in the last 28 days.", "users", 28, scoring="log1p"),
    Metric(
        "c_new_users",
        "scale",
        "Users whose first active day ever is in the window.",
        "users",
        28,
        scoring="log1p",
    ),
    Metric(
        "c_new_payers",
        "scale",
        "Users whose first paid day ever is in the window.",
        "users",
        28,
        scoring="log1p",
    ),
    Metric("c_reachable", "scale", "Users with a relation on at the end of the day.", "users", 1),
    Metric("c_growth_new", "scale", "First active day in W28.", "users", 28),
    Metric("c_growth_retained", "scale", "Active in W28 and in the 28 days before.", "users", 56),
    Metric(
        "c_growth_resurrected",
        "scale",
        "Active in W28, not in the 28 days before, first active earlier.",
        "users",
        56,
    ),
    Metric("c_growth_churned", "scale", "Active in the 28 days before W28, not in W28.", "users", 56),
    Metric("c_quick_ratio", "scale", "(new + resurrected) / churned.", "ratio", 56, is_ratio=True),
    Metric(
        "a_stickiness",
        "activity",
        "Mean daily active users over W28 / users active in W28.",
        "share",
        28,
        is_ratio=True,
        scoring="identity",
        population="c_mau28",
        fixed_k=20,
    ),
    Metric("a_l28", "activity", "Active days per active user in W28.", "days", 28, is_ratio=True),
    Metric(
        "a_return_rate",
        "activity",
        "Users active in W28 and in the 28 days before / users active in the 28 days before.",
        "share",
        56,
        is_ratio=True,
        scoring="identity",
        population="a_return_rate_den",
    ),
    Metric("r_gmv", "potential", "Paid amount.", "fen", 28),
    Metric("r_orders", "potential", "Paid trades.", "trades", 28),
    Metric("r_payers", "potential", "Distinct users with a paid day.", "users", 28),
    Metric(
        "r_net_gmv", "potential", "Paid amount less refunds dated in the window; may be negative.", "fen", 28
    ),
    Metric("r_aov", "potential", "Paid amount / paid trades.", "fen", 28, is_ratio=True),
    Metric(
        "r_arpu",
        "potential",
        "Net paid amount / users active in W28.",
        "fen",
        28,
        is_ratio=True,
        scoring="signed_log1p",
        population="c_mau28",
        fixed_k=20,
    ),
    Metric(
        "r_pay_conversion",
        "potential",
        "Users with a paid day / users active, both in W28.",
        "share",
        28,
        is_ratio=True,
        scoring="identity",
        population="c_mau28",
    ),
    Metric(
        "r_repurchase_90",
        "potential",
        "Users with two or more paid days / users with one or more, in 90 days.",
        "share",
        90,
        is_ratio=True,
        scoring="identity",
        population="r_repurchase_90_den",
    ),
    Metric(
        "e_refund_rate",
        "efficiency",
        "Of trades paid 15 to 42 days ago: refunded amount so far / paid amount.",
        "share",
        28,
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
        is_ratio=True,
        scoring="identity",
        lower_is_better=True,
        population="r_orders",
        fixed_k=20,
    ),
    Metric("e_fee_rate", "efficiency", "Fees / paid amount.", "share", 28, is_ratio=True),
)

METRIC_BY_ID = {metric.id: metric for metric in METRICS}
SCORED_METRICS = tuple(metric for metric in METRICS if metric.scored)


def metric(metric_id: str) -> Metric:
    """The metric called ``metric_id``; KeyError names the known ones."""
    try:
        return METRIC_BY_ID[metric_id]
    except KeyError:
        known = ", ".join(METRIC_BY_ID)
        raise KeyError(f"unknown metric {metric_id}; known are {known}") from None
