"""C, scale: how many users a merchant reaches, and where they come from and go."""

from ccare.metrics.model import Metric

SCALE = (
    Metric("c_dau", "scale", "Distinct users active on the day.", "users", 1),
    Metric("c_wau", "scale", "Distinct users active in the last 7 days.", "users", 7),
    Metric("c_mau28", "scale", "Distinct users active in the last 28 days.", "users", 28, scoring="log1p"),
    Metric(
        "c_new_users",
        "scale",
        "Users whose first active day ever is in the window.",
        "users",
        28,
        "The first day ever, not the first in a window: old days that come in late never make an old user new.",
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
    Metric(
        "c_reachable",
        "scale",
        "Users with a relation on at the end of the day.",
        "users",
        1,
        "Follow, collect, membership or subscription; of each the last change by time, then event id, counts.",
    ),
    Metric(
        "c_net_reach_rate",
        "scale",
        "(reachable on d - reachable on d-28) / reachable on d-28.",
        "ratio",
        28,
        "Both ends by what is known at the day's close, who is staff included; may be negative.",
        is_ratio=True,
        population="c_net_reach_rate_den",
        fixed_k=20,
    ),
    Metric("c_growth_new", "scale", "First active day in W28.", "users", 28),
    Metric("c_growth_retained", "scale", "Active in W28 and in the 28 days before.", "users", 56),
    Metric(
        "c_growth_resurrected",
        "scale",
        "Active in W28, not in the 28 days before, first active earlier.",
        "users",
        56,
        "Active in W28 = new + retained + resurrected.",
    ),
    Metric(
        "c_growth_churned",
        "scale",
        "Active in the 28 days before W28, not in W28.",
        "users",
        56,
        "Active in W28 less active in the 28 days before = new + resurrected - churned.",
    ),
    Metric("c_quick_ratio", "scale", "(new + resurrected) / churned.", "ratio", 56, is_ratio=True),
)
