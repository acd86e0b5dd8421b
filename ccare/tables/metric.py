"""Metrics of each merchant on each as-of day."""

from ccare.metrics.definitions import ESTIMATES, METRICS
from ccare.tables import columns as c
from ccare.tables.model import Column, Table, WriteStyle
from ccare.tables.state import FUNNEL_SLOTS, FUNNEL_STEPS


def _metric_columns() -> tuple[Column, ...]:
    columns: list[Column] = []
    for m in METRICS:
        if m.is_ratio:
            columns += [
                Column(m.id, "double", m.documented, unit=m.unit),
                Column(f"{m.id}_num", "bigint", f"Numerator of {m.id}."),
                Column(f"{m.id}_den", "bigint", f"Denominator of {m.id}."),
            ]
        else:
            columns.append(Column(m.id, "bigint", m.documented, unit=m.unit, nullable=False))
    return tuple(columns)


def _estimate_columns() -> tuple[Column, ...]:
    columns: list[Column] = []
    for m in ESTIMATES:
        columns += [
            Column(m.id, "double", m.documented, unit=m.unit),
            *(
                Column(f"{m.id}_{end}", "double", f"{which} end of its 90 % interval.", unit=m.unit)
                for end, which in (("low", "Lower"), ("high", "Upper"))
            ),
        ]
        for arm, told in ARMS.items():
            columns += [
                c.count(
                    f"{m.id}_{arm}_orders", f"Paid trades in {told} hours, once for each slot.", "trades"
                ),
                c.count(f"{m.id}_{arm}_shown", f"Impressions of {told} hours.", "impressions"),
            ]
    return tuple(columns)


ARMS = {"treated": "treated", "holdout": "withheld"}
_EXPECTED = (
    Column("r_realised_ratio_num", "bigint", "Numerator of r_realised_ratio.", "fen"),
    Column("r_realised_ratio_den", "bigint", "Denominator of r_realised_ratio.", "fen"),
    c.count("r_realised_ratio_users", "Users that r_realised_ratio is about; 0 without a model.", "users"),
)

METRIC_MERCHANT_FACTS = Table(
    "metric_merchant_facts",
    "What is told of a merchant on the day from core rows by the hour and by the model in force: spend beside what was "
    "expected, sales in treated and withheld hours.",
    "one row for each merchant that either is known of",
    ("merchant_id",),
    (c.MERCHANT_ID, *_EXPECTED, *_estimate_columns()),
    inputs=("core_payments", "core_staff", "core_traffic_hours"),
    previous=("score_potentials",),
    write=WriteStyle.TRANSIENT,
    engine="duckdb",
)

METRIC_USER_FACTS = Table(
    "metric_user_facts",
    "How many users of a merchant share the same facts on the day: what every count of users is added up from.",
    "one row for each merchant and number of packed facts",
    ("merchant_id", "facts"),
    (
        c.MERCHANT_ID,
        c.count(
            "facts", "Facts of one user, packed as ccare/metrics/user_facts.py says.", "bits", nullable=False
        ),
        c.count("users", "Users with them, staff left out.", "users", nullable=False),
    ),
    inputs=("state_users", "core_staff"),
    write=WriteStyle.TRANSIENT,
    engine="duckdb",
)

METRIC_MERCHANTS = Table(
    "metric_merchants",
    "Every metric of a merchant, its ratios with numerator and denominator.",
    "one row for each merchant and as-of date",
    ("merchant_id", "as_of_date"),
    (
        c.MERCHANT_ID,
        c.AS_OF_DATE,
        Column("industry", "string", "Industry in force on the day."),
        *_metric_columns(),
        c.count("e_refund_rate_orders", "Trades paid in the refund rate's window.", "trades"),
        _EXPECTED[-1],
        c.count(
            "events_56d",
            "Active events in the last 56 days, whoever's, and relations that a user last turned off in them.",
            "events",
        ),
        c.count("public_kiloimpressions_28d", "Whole thousands of impressions in W28.", "1,000 impressions"),
        c.count("simulated_events_56d", "Events of any kind with origin simulated in 56 days.", "events"),
        *_estimate_columns(),
    ),
    inputs=(
        "metric_user_facts",
        "metric_merchant_facts",
        "state_merchant_days",
        "state_refund_days",
        "core_merchants",
        "core_voucher_events",
    ),
    partition_by=("as_of_date",),
    caveats="A ratio is null where its denominator is 0; counts are then 0.",
)

_USERS = c.count("users", "Users, staff left out.", "users", nullable=False)

METRIC_ACTIVITY_DAYS = Table(
    "metric_activity_days",
    "Histogram of active days: how many users were active on exactly so many of the last 28 days.",
    "one row for each merchant, as-of date and number of active days that some user has",
    ("merchant_id", "as_of_date", "active_days"),
    (
        c.MERCHANT_ID,
        c.AS_OF_DATE,
        c.count("active_days", "Active days in W28, 1 to 28.", "days", nullable=False),
        _USERS,
    ),
    inputs=("metric_user_facts",),
    partition_by=("as_of_date",),
    caveats="Users of a merchant sum to c_mau28, users x active_days to a_l28_num.",
)

STAGES = {
    "reached": "no active day yet: shown something, sent a message, or known by a refund",
    "visited": "active in W28, never paid",
    "paid": "active in W28, one paid day ever",
    "repeat": "active in W28, two paid days or more ever, not loyal",
    "loyal": "active in W28, three paid days or more in the last 90",
    "at_risk": "active before, not in W28, but in the 28 days before",
    "dormant": "active before, not in the last 56 days",
}
"""Stage of a user's life with a merchant -> who is in it. Each user is in exactly one."""

METRIC_STAGES = Table(
    "metric_stages",
    "Users by the stage of their life with the merchant.",
    "one row for each merchant with a user, as-of date and stage",
    ("merchant_id", "as_of_date", "stage"),
    (
        c.MERCHANT_ID,
        c.AS_OF_DATE,
        Column("stage", "string", "; ".join(f"{k}: {v}" for k, v in STAGES.items()) + ".", nullable=False),
        _USERS,
    ),
    inputs=("metric_user_facts",),
    partition_by=("as_of_date",),
    caveats="All seven stages stand, 0 included; they sum to all users of the merchant known by the day.",
)

METRIC_RETENTION = Table(
    "metric_retention",
    "Weekly cohorts: of the users first active in a week, those active again so many weeks later.",
    "one row for each merchant, cohort week and age in weeks",
    ("merchant_id", "cohort_week", "age"),
    (
        c.MERCHANT_ID,
        c.AS_OF_DATE,
        c.day("cohort_week", "Monday of the week of the users' first active day.").required(),
        c.count(
            "age",
            "Weeks from the cohort's week to the one that users are counted in.",
            "weeks",
            nullable=False,
        ),
        c.count("cohort_users", "Users of the cohort, staff left out.", "users", nullable=False),
        c.count("users", "Of them, those active in the week.", "users", nullable=False),
    ),
    inputs=("state_users", "core_staff"),
    partition_by=("as_of_date",),
    caveats="Told once, by the close of the week's Sunday; the first close ever tells the eight weeks before it.",
)

METRIC_FUNNELS = Table(
    "metric_funnels",
    f"Users by the furthest step they came to in a slot in the last 7 days: {' -> '.join(FUNNEL_STEPS)}.",
    "one row for each merchant, as-of date, slot with a user or traffic, and step",
    ("merchant_id", "as_of_date", "slot", "step"),
    (
        c.MERCHANT_ID,
        c.AS_OF_DATE,
        Column("slot", "string", f"{', '.join(FUNNEL_SLOTS)}.", nullable=False),
        Column(
            "step",
            "string",
            "impression: expose, message_delivered; click: message_click, voucher_click, mini_program_click; active: "
            "any other event that makes a day active; order: order_submit; pay: paid.",
            nullable=False,
        ),
        c.count("step_number", "Place of the step, 1 to 5.", "steps", nullable=False),
        c.count("users", "Users who came to the step or beyond it, staff left out.", "users", nullable=False),
        c.count(
            "traffic",
            "Impressions and clicks told by the traffic stream, nobody's; null for later steps.",
            "",
        ),
    ),
    inputs=("state_user_days", "core_staff", "core_traffic_hours"),
    partition_by=("as_of_date",),
    caveats="A later step stands for the earlier ones, which are not told of every user: users never grow. Each "
    "event counts in its own slot; holdout hours are no traffic.",
)

TABLES = (
    METRIC_USER_FACTS,
    METRIC_MERCHANT_FACTS,
    METRIC_MERCHANTS,
    METRIC_ACTIVITY_DAYS,
    METRIC_STAGES,
    METRIC_RETENTION,
    METRIC_FUNNELS,
)
