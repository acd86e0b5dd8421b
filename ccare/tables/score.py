"""Benchmarks, drivers, scores, and what speaks against a merchant."""

from ccare.metrics.definitions import DIMENSIONS
from ccare.tables import columns as c
from ccare.tables.model import Column, Table

_METRIC_ID = Column("metric_id", "string", "Metric.", nullable=False)


def _score(name: str, what: str) -> tuple[Column, ...]:
    return (
        Column(
            f"{name}_score", "double", f"{what}, 0 to 100, one decimal; null where it is not known.", "points"
        ),
        Column(f"{name}_score_low", "double", f"10 % bound of {name}_score.", "points"),
        Column(f"{name}_score_high", "double", f"90 % bound of {name}_score.", "points"),
    )


SCORE_BENCHMARKS = Table(
    "score_benchmarks",
    "Frozen month by month: what a merchant's metric is compared with.",
    "one row for each month, peer group and metric",
    ("month", "peer_group", "metric_id"),
    (
        Column("month", "string", "Month that it serves, YYYY-MM.", nullable=False),
        c.PEER_GROUP.required(),
        _METRIC_ID,
        Column("industry", "string", "Industry of the group; * compares with everyone.", nullable=False),
        Column("tier", "string", "Size tier of the group: small, mid or large.", nullable=False),
        c.count(
            "members", "Active merchants in the group itself; everyone where the industry is *.", "merchants"
        ),
        Column("quantiles", "array<double>", "101 quantiles of the shrunk, transformed metric."),
        Column("prior_mean", "double", "Peers' sum of numerators / sum of denominators."),
        Column("prior_strength", "double", "k of the shrinkage, in units of n."),
        c.count("peers", "Peers with n > 0 that the quantiles come from; for counts all.", "merchants"),
        Column("compared_with", "string", "Group that the quantiles come from: group, industry or all."),
        Column("tier_low", "double", "mau28 at the first tercile cut of the industry."),
        Column("tier_high", "double", "mau28 at the second tercile cut of the industry."),
        Column("frozen_on", "date", "As-of day of the metrics that were frozen.", nullable=False),
        Column("status", "string", "monthly or bootstrap.", nullable=False),
        c.POLICY_VERSION,
    ),
    inputs=("metric_merchants",),
    previous=("score_benchmarks",),
    partition_by=("month",),
    engine="duckdb",
)

SCORE_DRIVERS = Table(
    "score_drivers",
    "Why a score is what it is, metric by metric, in account-health form.",
    "one row for each merchant, as-of date and metric",
    ("merchant_id", "as_of_date", "metric_id"),
    (
        c.MERCHANT_ID,
        c.AS_OF_DATE,
        _METRIC_ID,
        Column("dimension", "string", "Dimension that it weighs in.", nullable=False),
        Column("value", "double", "The metric as measured."),
        c.count("numerator", "Numerator; the count itself where the metric is one.", ""),
        c.count("denominator", "Denominator; null where the metric is a count.", ""),
        c.count("n", "People or orders behind the value; null for a count, which is always known.", ""),
        Column("shrunk_value", "double", "Value pulled towards the peers by how little is known."),
        Column("percentile", "double", "Place among peers, 0 to 100, higher is better."),
        Column("percentile_low", "double", "Percentile at the 10 % point of the value."),
        Column("percentile_high", "double", "Percentile at the 90 % point of the value."),
        Column("weight", "double", "Share in its dimension.", nullable=False),
        Column("contribution", "double", "weight x percentile: points of the dimension's score.", "points"),
        Column(
            "target",
            "double",
            "Least value (most, where lower is better) whose place reaches the policy's target percentile.",
        ),
        Column("target_condition", "string", "at_least or at_most."),
        Column("target_status", "string", "reachable, or ceiling where ties leave none."),
        Column("driver_status", "string", "good, watch, bad, or none without data.", nullable=False),
        Column("window_days", "int", "Days that the metric looks back.", "days"),
        c.PEER_GROUP,
        c.POLICY_VERSION,
        c.RUN_ID,
    ),
    inputs=("metric_merchants", "score_benchmarks"),
    previous=("score_merchants",),
    partition_by=("as_of_date",),
    engine="duckdb",
)

SCORE_MERCHANTS = Table(
    "score_merchants",
    "C-CARE scores of a merchant.",
    "one row for each merchant and as-of date",
    ("merchant_id", "as_of_date"),
    (
        c.MERCHANT_ID,
        c.AS_OF_DATE,
        *(column for d in DIMENSIONS for column in _score(d, f"Score of {d}")),
        *_score("total", "Weighted geometric mean of the four"),
        *(Column(f"{d}_coverage", "double", f"Weight of {d} with data, 0 to 1.") for d in DIMENSIONS),
        Column(
            "score_status", "string", "full, partial, insufficient, inactive or unreconciled.", nullable=False
        ),
        c.PEER_GROUP,
        c.count("peers", "Active merchants in the peer group when it was frozen.", "merchants"),
        Column(
            "benchmark_status",
            "string",
            "monthly, bootstrap, or last_frozen where the month has none and the last frozen stand in.",
        ),
        c.POLICY_VERSION,
        c.RUN_ID,
    ),
    inputs=("score_drivers", "score_benchmarks", "metric_merchants"),
    partition_by=("as_of_date",),
    engine="duckdb",
)

_STATUS = "fitted to its own users, or the peers' where that fit failed"

SCORE_POTENTIALS = Table(
    "score_potentials",
    "What the users of a merchant are expected to do next: BG/NBD on paid days, Gamma-Gamma on net spend a paid day.",
    "one row for each merchant with a paying user and each day that models were fitted as of",
    ("merchant_id", "as_of_date"),
    (
        c.MERCHANT_ID,
        c.AS_OF_DATE,
        Column("industry", "string", "Industry in force on the day: the peers that the prior is centred on."),
        c.count("users", "Users first paid by the day, staff left out.", "users", nullable=False),
        c.count("repeaters", "Of them, those with two paid days or more.", "users", nullable=False),
        Column(
            "horizon_days", "int", "Days that expected and realised figures span.", "days", nullable=False
        ),
        Column(
            "expected_orders",
            "double",
            "Paid days expected in the horizon after the day.",
            "paid days",
            nullable=False,
        ),
        c.fen("expected_value_fen", "Net spend expected on them, rounded.", nullable=False),
        Column(
            "expected_orders_90d", "double", "Paid days expected in 90 days.", "paid days", nullable=False
        ),
        c.fen("expected_value_90d_fen", "Net spend expected on them, rounded.", nullable=False),
        c.fen(
            "realised_value_fen",
            "Paid less refunded in the horizon up to the day, of users first paid before it.",
            nullable=False,
        ),
        Column(
            "p_alive_mean", "double", "Mean probability that a user still comes.", "share", nullable=False
        ),
        Column(
            "calibration",
            "double",
            "Factor in every expected figure: what came of the past quarter's forecast, drawn to all merchants'; 1 "
            "where there was no quarter to learn from.",
            nullable=False,
        ),
        Column("model_status", "string", f"fitted or peers: {_STATUS}.", nullable=False),
        Column(
            "spend_status",
            "string",
            f"fitted, peers or none: {_STATUS}; none without any net spend.",
            nullable=False,
        ),
        Column("r", "double", "BG/NBD: shape of the paying rate.", nullable=False),
        Column("alpha_days", "double", "BG/NBD: scale of the paying rate.", "days", nullable=False),
        Column("a", "double", "BG/NBD: first shape of the leaving probability.", nullable=False),
        Column("b", "double", "BG/NBD: second shape of the leaving probability.", nullable=False),
        Column("spend_p", "double", "Gamma-Gamma: shape of a day's spend."),
        Column("spend_q", "double", "Gamma-Gamma: shape of what users differ by; above 1."),
        Column("spend_v", "double", "Gamma-Gamma: scale of what users differ by.", "fen"),
        Column("model_version", "string", "Model and choices that it was fitted by.", nullable=False),
    ),
    inputs=("core_payments", "core_staff", "core_merchants"),
    partition_by=("as_of_date",),
    engine="duckdb",
    caveats="Written by ccare fit-potential, not by a close; merchants over a million users are fitted in whole weeks.",
)

SCORE_EVIDENCE = Table(
    "score_evidence",
    "What the rows up to an effective date say against a merchant, by the rules of conf/abuse.toml.",
    "one row for each merchant, effective date and rule that speaks",
    ("merchant_id", "effective_date", "rule"),
    (
        c.MERCHANT_ID,
        Column(
            "effective_date", "date", "Effective date judged: rows dated later are not read.", nullable=False
        ),
        Column("rule", "string", "Rule.", nullable=False),
        Column(
            "family",
            "string",
            "What it looks at: payer_mix, timing, identity, money_flow or after_behaviour.",
            nullable=False,
        ),
        Column("effect", "string", "withhold (with another family), or flag.", nullable=False),
        Column(
            "programmes", "array<string>", "Programmes that it counts for; none means all.", nullable=False
        ),
        Column("value", "double", "What was measured: a share, or effective payers.", nullable=False),
        Column("test", "string", "at_least or at_most.", nullable=False),
        Column("threshold", "double", "What the value was held against.", nullable=False),
        Column(
            "counted",
            "bigint",
            "Trades, refunds, users or events that the value is of.",
            unit="rows",
            nullable=False,
        ),
        Column("least", "bigint", "Fewer of them say nothing.", unit="rows", nullable=False),
        c.fen("amount_fen", "Amount that the rule is about; 0 where it is about none.", nullable=False),
        Column(
            "window_days",
            "int",
            "Days looked at, the last of them the effective date.",
            "days",
            nullable=False,
        ),
        Column("found_on", "date", "Business day whose close found it.", nullable=False),
        c.day("cleared_on", "Business day whose close no longer found it; null while it speaks."),
        c.POLICY_VERSION,
        c.RUN_ID,
    ),
    inputs=(
        *("state_changes", "state_user_days", "state_refund_days"),
        *("core_payments", "core_mini_program_events", "core_life_account_events", "core_staff"),
    ),
    partition_by=("effective_date",),
    caveats="Found by the close of the date and again by later ones until its points mature, where rows come late; "
    "from then on it stands.",
)

TABLES = (SCORE_BENCHMARKS, SCORE_DRIVERS, SCORE_MERCHANTS, SCORE_POTENTIALS, SCORE_EVIDENCE)
