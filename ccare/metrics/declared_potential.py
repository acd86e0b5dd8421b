"""R, realised potential: what users buy, and whether they buy again."""

from ccare.metrics.model import Metric

_DAYS = "state_merchant_days"

POTENTIAL = (
    Metric("r_gmv", "potential", "Paid amount.", "fen", 28, source=_DAYS),
    Metric("r_orders", "potential", "Paid trades.", "trades", 28, source=_DAYS),
    Metric("r_payers", "potential", "Distinct users with a paid day.", "users", 28),
    Metric(
        "r_net_gmv",
        "potential",
        "Paid amount less refunds dated in the window; may be negative.",
        "fen",
        28,
        source=_DAYS,
    ),
    Metric("r_aov", "potential", "Paid amount / paid trades.", "fen", 28, source=_DAYS, is_ratio=True),
    Metric(
        "r_arpu",
        "potential",
        "Net paid amount / users active in W28.",
        "fen",
        28,
        "Amounts of everyone, users without staff and without nobody known.",
        source=f"{_DAYS}, state_users",
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
        "r_realised_ratio",
        "potential",
        "Net spend in W28 of users first paid by d-28 / what the model then in force expected of them.",
        "ratio",
        28,
        "Staff left out, spend of trades less their refunds; null where no model fitted by d-28 knows the merchant or "
        "nothing is expected. A late row counts on both sides as if it had been in time.",
        source="core_payments, score_potentials",
        is_ratio=True,
        scoring="identity",
        population="r_realised_ratio_users",
        fixed_k=20,
    ),
    Metric(
        "r_voucher_use_rate",
        "potential",
        "Of voucher codes received in [d-55, d-28]: the share whose last used or unused event by d is used.",
        "share",
        56,
        "Codes of everyone, staff and nobody known included, each once; last by time, then event id. A use dated "
        "before d-55 is of no code received since, and is not looked at.",
        source="core_voucher_events",
        is_ratio=True,
        scoring="identity",
        population="r_voucher_use_rate_den",
    ),
)
