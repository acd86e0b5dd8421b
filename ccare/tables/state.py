"""Compact state folded from core rows: user days, users, merchant days. Each fold is commutative."""

from ccare.tables import columns as c
from ccare.tables.model import Column, Table, WriteStyle

LAYOUT = 1
"""What the bits and sums of state mean; raise it whenever the same columns would hold something else.

Every state table carries it, one without a number is of layout 1, and one of another layout is refused until it is
derived again (ccare/runtime/outdated.py). A test pins the order of bits and the lists of events to it."""

RELATIONS = {
    "follow": ("follow", "unfollow"),
    "collect": ("collect", "uncollect"),
    "member": ("member_join", "member_leave"),
    "subscription": ("subscribe", "refuse"),
}
"""Relation -> (event that turns it on, event that turns it off)."""

SUMS = (
    c.count("events", "Events of every kind, qualifying or not.", "events"),
    c.count("active_events", "Events that make a day active.", "events"),
    c.count("orders", "Paid trades.", "trades"),
    c.fen("gmv_fen", "Paid amount."),
    c.count("refunds", "Refunds, by refund day.", "refunds"),
    c.fen("refund_fen", "Refunded amount, by refund day."),
    c.fen("merchant_discount_fen", "Discount borne by the merchant on paid trades."),
    c.fen("platform_discount_fen", "Discount borne by the platform on paid trades."),
    c.fen("fee_fen", "Fee of paid trades."),
    c.count("launches", "Mini-program launches.", "events"),
    c.count("content_views", "Life-account views.", "events"),
    c.count("vouchers_received", "Vouchers received.", "vouchers"),
    c.count("vouchers_used", "Vouchers used.", "vouchers"),
    c.count("impressions", "Public impressions delivered (rows without a user).", "impressions"),
    c.count("clicks", "Clicks on them.", "clicks"),
    c.count("public_orders", "Paid trades with a public slot.", "trades"),
    c.fen("private_gmv_fen", "Paid amount with slot private or offline_scan."),
    c.fen("known_slot_gmv_fen", "Paid amount with a slot other than unknown."),
    c.count(
        "public_impressions", "Impressions served in public slots; holdout hours left out.", "impressions"
    ),
    c.count(
        "points_traffic_mfen", "Cost of impressions that points paid for, at the slot's price.", "fen / 1000"
    ),
    c.count("simulated_events", "Of events, those with origin simulated.", "events"),
)
"""Additive partials, named alike in state_user_days and state_merchant_days."""

MARKS = ("viewed", "engaged", "delivered", "clicked", "served", "bound")
"""What a user did on a day, bit by bit of ``marks``: viewed content; liked, commented or shared it; had a message
delivered; clicked one; went from content to a service; did what binds a payer to the mini-program."""

FUNNEL_STEPS = ("impression", "click", "active", "order", "pay")
FUNNEL_SLOTS = (
    "search_box",
    "app_centre",
    "message_reminder",
    "recommendation_card",
    "payment_success",
    "life_channel",
    "coupon_channel",
    "membership_channel",
    "paid_ad",
    "offline_scan",
    "private",
    "unknown",
)
"""Slot i has bits 5i to 5i + 4 of ``slot_steps``: never reorder them. A slot that is not among them is unknown's."""

TASKS = ("followed", "joined", "private", "guided")
"""What programmes look at, bit by bit of ``tasks``: followed the life account; joined as a member; had an event that
makes a day active from slot private; had one from an offline scan or at a position guide:…. Never reorder them."""

WORDS = (
    c.count("marks", f"What the user did: bit i stands for {', '.join(MARKS)} (from 0).", "bits"),
    c.count(
        "slot_steps",
        "Furthest step in each slot: bits 5i to 5i + k are set where the user came to step k of slot i.",
        "bits",
    ),
    c.count("tasks", f"What programmes look at: bit i stands for {', '.join(TASKS)} (from 0).", "bits"),
)
"""Words of bits of a user's day: parts of a day are joined by or."""

GUIDED_TERMINAL = c.text(
    "guided_terminal", "Terminal of the day's guided visit; the greatest where there were several."
)


LAG_DAYS = 28
"""How far back state_users also knows each relation: what reach is compared with."""
THEN = {name: f"{name}_then" for name in RELATIONS}
"""Relation -> prefix of its columns as of LAG_DAYS ago."""


def _relation_columns(name: str, change: str) -> tuple[Column, ...]:
    return (
        Column(f"{name}_at", "timestamp", f"{change} (UTC)."),
        Column(f"{name}_event_id", "string", "Event of that change; breaks ties."),
        Column(f"{name}_on", "boolean", "Whether that change turned it on."),
    )


RELATION_COLUMNS = tuple(
    column for name in RELATIONS for column in _relation_columns(name, f"Last {name} change")
)
_THEN_COLUMNS = tuple(
    column
    for name, then in THEN.items()
    for column in _relation_columns(
        then, f"Last {name} change {LAG_DAYS} days before or earlier, where it is not the last of all"
    )
)

_PAIR_DAY = (c.MERCHANT_ID, c.USER_KEY, c.BUSINESS_DATE)
_CHANGES = (*_PAIR_DAY, *SUMS, *WORDS, GUIDED_TERMINAL, *RELATION_COLUMNS)

STATE_CHANGES = Table(
    "state_changes",
    "What the day being closed adds to each merchant, user and business date.",
    "one row for each merchant, user (or none) and business date touched",
    ("merchant_id", "user_key", "business_date"),
    _CHANGES,
    inputs=(
        "core_payments",
        "core_mini_program_events",
        "core_life_account_events",
        "core_voucher_events",
        "core_traffic_hours",
    ),
    write=WriteStyle.TRANSIENT,
    engine="duckdb",
)

STATE_USER_DAYS = Table(
    "state_user_days",
    "Counts and amounts of one user at one merchant on one day.",
    "one row for each merchant, user and business date; a null user holds what nobody is known for",
    ("merchant_id", "user_key", "business_date"),
    _CHANGES,
    inputs=("state_changes",),
    partition_by=("business_date",),
    engine="duckdb",
    caveats="Staff are kept here and left out where users are counted.",
)

STATE_REFUND_DAYS = Table(
    "state_refund_days",
    "Refunds by the day their trade was paid.",
    "one row for each merchant, payer (or none), paid date and refund date",
    ("merchant_id", "user_key", "paid_date", "refund_date"),
    (
        c.MERCHANT_ID,
        c.USER_KEY,
        Column("paid_date", "date", "Business date of the refunded trade's payment.", nullable=False),
        Column("refund_date", "date", "Business date of the refund.", nullable=False),
        c.fen("refund_fen", "Refunded amount."),
        c.count("refunds", "Refunds.", "refunds"),
    ),
    inputs=("core_payments",),
    write=WriteStyle.MERGE_STATE,
    engine="duckdb",
    caveats="A refund whose trade is not known yet joins when the trade arrives.",
)

STATE_MERCHANT_DAYS = Table(
    "state_merchant_days",
    "Additive partials of one merchant's day.",
    "one row for each merchant and business date",
    ("merchant_id", "business_date"),
    (
        c.MERCHANT_ID,
        c.BUSINESS_DATE,
        c.count("dau", "Distinct users with an active day, staff left out.", "users"),
        c.count("payers", "Distinct users with a paid trade, staff left out.", "users"),
        *SUMS,
    ),
    inputs=("state_user_days", "core_staff"),
    partition_by=("business_date",),
    engine="duckdb",
)

STATE_USERS = Table(
    "state_users",
    "Lifetime of one user at one merchant: first and last dates, activity bits, relations.",
    "one row for each merchant and user",
    ("merchant_id", "user_key"),
    (
        c.MERCHANT_ID,
        c.USER_KEY.required(),
        c.day("first_seen_date", "First active day ever."),
        c.day("last_seen_date", "Last active day; anchor of active_bits."),
        c.day("first_paid_date", "First paid day ever."),
        c.day("last_paid_date", "Last paid day; anchor of both paid words."),
        c.count("active_bits", "Bit i: active i days before last_seen_date, i in 0..63.", "bits"),
        c.count("paid_bits", "Bit i: paid i days before last_paid_date, i in 0..63.", "bits"),
        c.count("paid_bits_older", "Bit i: paid 64 + i days before last_paid_date.", "bits"),
        c.count("orders", "Paid trades ever.", "trades"),
        c.fen("gmv_fen", "Paid amount ever."),
        c.fen("refund_fen", "Refunded amount ever."),
        c.day("first_bound_date", "First launch, collect, subscribe, member_join or follow ever."),
        c.day("last_viewed_date", "Last life-account view."),
        c.day("last_engaged_date", "Last like, comment or share in the life account."),
        c.day("last_served_date", "Last mini_program_click, voucher_click or launch from the life channel."),
        c.day("last_delivered_date", "Last message delivered."),
        c.day("last_clicked_date", "Last message clicked."),
        *RELATION_COLUMNS,
        *_THEN_COLUMNS,
        Column("stage", "string", "reached, visited, paid or repeat: the furthest the user has come."),
    ),
    inputs=("state_changes",),
    previous=("state_user_days",),
    write=WriteStyle.MERGE_STATE,
    engine="duckdb",
    caveats="The _then columns and stages move with the day: those here are the last closed day's. Stages that "
    "depend on how long ago (loyal, at risk, dormant) are counted in metric_stages.",
)

TABLES = (
    STATE_CHANGES,
    STATE_USER_DAYS,
    STATE_REFUND_DAYS,
    STATE_MERCHANT_DAYS,
    STATE_USERS,
)
