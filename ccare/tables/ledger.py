"""The point ledger: transfers that only grow, and caches that can be rebuilt from them."""

from ccare.tables import columns as c
from ccare.tables.model import Column, Table, WriteStyle

ASSETS = ("POINT", "IMPRESSION", "FEN")
CODES = ("fund", "earn", "activate", "expire", "fall", "debt", "repay", "reserve", "settle", "void", "adjust")
REFUSALS = (
    *("duplicate_request", "unknown_slot", "merchant_blocked", "not_served", "below_minimum"),
    *("insufficient", "slot_full"),
)
"""Why a redemption is refused, in the order in which it is asked."""
ADJUSTMENT_REFUSALS = (
    *("unknown_transfer", "not_adjustable", "already_offset", "more_than_the_transfer", "insufficient"),
)

NOT_GRANTED = (
    *("no_mini_program", "industry_not_admitted", "not_enrolled", "merchants_full", "industries_full"),
    *("private_share_low", "beyond_top_share", "terminal_cap", "day_cap", "month_cap", "cut_by_pool"),
    *("pool_closed", "too_late", "withheld", "providers_full", "unknown_pool", "bad_amount"),
    *("already_funded", "stale_approval", "approved_by_asker"),
)
"""Why a programme grants nothing, or less than was earned; ccare.ledger.reasons says each in words."""

_PARTY = (
    Column("merchant_id", "string", "Merchant that it is about; null for a provider's and for fundings."),
    Column("service_provider_id", "string", "Service provider that it is about; null for a merchant's."),
)
"""One of the two, or none."""
_LOT_ID = Column("lot_id", "string", "Lot that the amount belongs to: transfer_id of the earning.")
_ASSET = Column("asset", "string", "POINT, IMPRESSION or FEN.", nullable=False)
_PROGRAMME = Column("programme", "string", "Programme.", nullable=False)
_BUSINESS_KEY = Column("business_key", "string", "programme|rule|party|effective date.", nullable=False)
_BOOKED = Column("booked_date", "date", "Business day whose close booked it.", nullable=False)
_POOL = Column("pool", "string", "Pool that granted it.")
_EFFECTIVE = Column("effective_date", "date", "Business date that it was earned for.", nullable=False)

_MEASURE = Column("measure", "string", "Kind and parameters of the rules that count so.", nullable=False)
LEDGER_TRANSFERS = Table(
    "ledger_transfers",
    "Every movement of points: one row moves one amount between two accounts.",
    "one row for each transfer between two accounts",
    ("transfer_id",),
    (
        Column(
            "transfer_id",
            "string",
            "SHA-256 of programme, code, business key, leg, revision.",
            nullable=False,
        ),
        Column("content_hash", "string", "SHA-256 of everything that must never differ.", nullable=False),
        Column("debit_account", "string", "Account that gives.", nullable=False),
        Column("credit_account", "string", "Account that receives.", nullable=False),
        Column("amount", "bigint", "Units of the asset, above 0.", nullable=False),
        _ASSET,
        _PROGRAMME,
        Column("code", "string", "Kind of movement: " + ", ".join(CODES) + ".", nullable=False),
        Column("reason", "string", "Why, in a few words."),
        *_PARTY,
        _LOT_ID,
        Column("effective_date", "date", "Business date that it is about.", nullable=False),
        Column("matures_on", "date", "Day that the lot becomes active."),
        Column("expires_on", "date", "Last day that the lot can be used."),
        _BOOKED,
        Column("posted_at", "timestamp", "Wall clock of the posting (UTC).", volatile=True),
        c.RUN_ID,
        c.POLICY_VERSION,
        Column("source_digest", "string", "Digest of the inputs that it was computed from.", volatile=True),
        _BUSINESS_KEY,
        Column("leg", "int", "Place in debit order.", nullable=False),
        Column(
            "revision",
            "int",
            "Times that the key's entitlement had been booked before, plus 1.",
            nullable=False,
        ),
        Column("asked", "bigint", "Entitlement behind it, before the pool."),
        Column("multiplier_milli", "int", "500 + tenths of the total score."),
    ),
    inputs=(
        "ledger_touched_keys",
        "ledger_user_counts",
        "ledger_trade_counts",
        "core_merchants",
        "core_enrolments",
        "score_merchants",
        "score_drivers",
        "score_evidence",
        "core_redemption_requests",
        "core_traffic_hours",
        "core_fundings",
        "core_adjustments",
        "core_approvals",
    ),
    previous=(
        *("ledger_lots", "ledger_positions", "ledger_balances", "ledger_requests", "ledger_allocations"),
        "ledger_transfers",
    ),
    partition_by=("booked_date",),
    write=WriteStyle.MERGE_NEW,
    append_only=True,
    checks={
        "amount_positive": "amount > 0",
        "two_accounts": "debit_account <> credit_account",
        "id_is_sha256": "length(transfer_id) = 64",
        "known_asset": "asset in ('" + "', '".join(ASSETS) + "')",
        "known_code": "code in ('" + "', '".join(CODES) + "')",
    },
    owner="ledger",
)

LEDGER_POSITIONS = Table(
    "ledger_positions",
    "What each business key was last entitled to, and what it keeps.",
    "one row for each business key: of an entitlement, or of a funding",
    ("business_key",),
    (
        _BUSINESS_KEY,
        _PROGRAMME,
        Column("rule", "string", "Earning rule.", nullable=False),
        *_PARTY,
        Column("effective_date", "date", "Business date that it is about.", nullable=False),
        _ASSET,
        _POOL,
        Column("revision", "int", "Latest revision; 0 before anything was booked.", nullable=False),
        Column("asked", "bigint", "Entitlement last booked, before the pool.", nullable=False),
        Column("granted", "bigint", "Units ever granted to it.", nullable=False),
        Column("net", "bigint", "granted - given back (lapsed, forgiven, taken or owed).", nullable=False),
        Column(
            "lapsed", "bigint", "Given back by lots that had expired unused: no transfer.", nullable=False
        ),
        Column("forgiven", "bigint", "Given back by policy only_pending: no transfer.", nullable=False),
        Column(
            "cut_by_pool",
            "bigint",
            "Asked and not granted because the pool was short or closed.",
            nullable=False,
        ),
        Column("debt", "bigint", "Fallen, already spent and not yet repaid.", nullable=False),
        Column("repayments", "int", "Transfers that have repaid its debt so far.", nullable=False),
        Column("multiplier_milli", "int", "Fixed by the first close that booked the key.", nullable=False),
        Column("matures_on", "date", "Day that its lots become active."),
        Column("expires_on", "date", "Last day that its lots can be used."),
        Column("updated_on", "date", "Business day that last changed it."),
        c.POLICY_VERSION,
    ),
    inputs=("ledger_transfers",),
    write=WriteStyle.MERGE_STATE,
    producer="ledger_transfers",
    owner="ledger",
)

LEDGER_LOTS = Table(
    "ledger_lots",
    "What is left of every lot: amount = pending + active + reserved + redeemed + expired + taken.",
    "one row for each lot",
    ("lot_id",),
    (
        _LOT_ID.required(),
        _BUSINESS_KEY,
        _PROGRAMME,
        *_PARTY,
        _ASSET,
        _POOL,
        _EFFECTIVE,
        Column("revision", "int", "Revision of its key that granted it.", nullable=False),
        Column("booked_date", "date", "Business day that granted it.", nullable=False),
        Column("matures_on", "date", "Day that it becomes active.", nullable=False),
        Column("expires_on", "date", "Last day that it can be used.", nullable=False),
        Column("amount", "bigint", "Units granted.", nullable=False),
        *(
            Column(name, "bigint", f"Units {name}.", nullable=False)
            for name in ("pending", "active", "reserved", "redeemed", "expired", "taken")
        ),
    ),
    inputs=("ledger_transfers",),
    write=WriteStyle.MERGE_STATE,
    producer="ledger_transfers",
    owner="ledger",
)

LEDGER_BALANCES = Table(
    "ledger_balances",
    "Balance of every account and asset at the end of the last closed day.",
    "one row for each account and asset",
    ("account", "asset"),
    (
        Column("account", "string", "Account.", nullable=False),
        _ASSET,
        Column("balance", "bigint", "Credits - debits.", nullable=False),
        Column("credits", "bigint", "Units received ever.", nullable=False),
        Column("debits", "bigint", "Units given ever.", nullable=False),
        Column("transfers", "bigint", "Transfers that touch it.", nullable=False),
        Column("folded_to", "date", "Booked date of the last transfer folded in.", nullable=False),
    ),
    inputs=("ledger_transfers",),
    write=WriteStyle.MERGE_STATE,
    producer="ledger_transfers",
    owner="ledger",
)

LEDGER_REQUESTS = Table(
    "ledger_requests",
    "What merchants and service providers asked for their points, what became of it, and why where it was refused.",
    "one row for each request and content that was asked under its number",
    ("request_id", "content_hash"),
    (
        c.text("request_id", "Number of the request; its grant's number too.").required(),
        c.text("content_hash", "SHA-256 of what was asked, as delivered.").required(),
        c.MERCHANT_ID,
        c.text("service_provider_id", "Provider that asked with its own points."),
        c.text("slot", "Traffic slot asked for.").required(),
        Column("points", "bigint", "Points offered.", nullable=False),
        Column("requested_at", "timestamp", "When it was asked (UTC).", nullable=False),
        Column("decided_on", "date", "Business day whose close decided it.", nullable=False),
        c.text("status", "refused, reserved, settled (any part of it) or voided (all of it).").required(),
        c.text("refusal", "Why it was refused: " + ", ".join(REFUSALS) + "."),
        Column("price", "bigint", "Points for 1,000 impressions on that day."),
        Column("impressions", "bigint", "Impressions granted: floor(points x 1,000 / price)."),
        c.text("pool", "Pool that granted the impressions."),
        c.text("programme", "That pool's programme."),
        c.day("starts_on", "First day that the grant runs."),
        c.day("ends_on", "Last day that the grant runs."),
        c.day("settles_on", "Day whose close resolves it at the latest."),
        Column("delivered", "bigint", "Treated impressions counted, at most those granted."),
        Column("settled", "bigint", "Points spent: ceil(delivered x points / impressions)."),
        Column("voided", "bigint", "Points given back to their lots."),
        c.day("resolved_on", "Business day whose close resolved it."),
        c.text("slots_version", "Version of the slot policy that decided it."),
    ),
    inputs=("core_redemption_requests", "ledger_transfers"),
    partition_by=("decided_on",),
    producer="ledger_transfers",
    owner="ledger",
)

LEDGER_ALLOCATIONS = Table(
    "ledger_allocations",
    "Which lots a reservation took its points from, in debit order.",
    "one row for each reservation and lot",
    ("business_key", "leg"),
    (
        _BUSINESS_KEY,
        Column("leg", "int", "Place in debit order.", nullable=False),
        _LOT_ID.required(),
        *_PARTY,
        _PROGRAMME,
        Column("amount", "bigint", "Units reserved of the lot.", nullable=False),
        Column("settled", "bigint", "Units of them spent."),
        Column("voided", "bigint", "Units of them given back."),
        _BOOKED,
        c.day("resolved_on", "Business day whose close resolved it."),
        Column("effective_date", "date", "Business date that the lot was earned for.", nullable=False),
        c.day("lot_booked_on", "Business day that granted the lot.").required(),
        c.day("matures_on", "Day that the lot became active.").required(),
        c.day("expires_on", "Last day that the lot can be used.").required(),
    ),
    inputs=("ledger_transfers",),
    partition_by=("booked_date",),
    producer="ledger_transfers",
    owner="ledger",
)

LEDGER_ADJUSTMENTS = Table(
    "ledger_adjustments",
    "Approved adjustments: the transfer that each offsets, and why where it was refused.",
    "one row for each approved reference and transfer",
    ("approval", "transfer_id"),
    (
        c.text("approval", "Reference that was approved.").required(),
        c.text("transfer_id", "Transfer to offset.").required(),
        Column("amount", "bigint", "Units to offset.", nullable=False),
        c.text("status", "booked or refused.").required(),
        c.text("refusal", "Why it was refused: " + ", ".join(ADJUSTMENT_REFUSALS) + "."),
        c.text("asked_by", "Who asked for it.").required(),
        c.text("approved_by", "Who approved it.").required(),
        c.text("note", "Why it was asked, in words."),
        Column("decided_on", "date", "Business day whose close decided it.", nullable=False),
    ),
    inputs=("core_adjustments", "core_approvals", "ledger_transfers"),
    partition_by=("decided_on",),
    producer="ledger_transfers",
    owner="ledger",
)

LEDGER_REFUSALS = Table(
    "ledger_refusals",
    "What closes did not grant, and why.",
    "one row for each close, business key and reason",
    ("decided_on", "business_key", "reason"),
    (
        _BUSINESS_KEY,
        _PROGRAMME,
        Column("rule", "string", "Earning rule.", nullable=False),
        *_PARTY,
        Column("effective_date", "date", "Business date that it is about.", nullable=False),
        _ASSET,
        Column("reason", "string", "Why, by name: " + ", ".join(NOT_GRANTED) + ".", nullable=False),
        Column("amount", "bigint", "Units of the asset not granted for this reason.", nullable=False),
        c.text("against", "Abuse rules that withhold it: score_evidence holds what they found."),
        Column("decided_on", "date", "Business day whose close decided it.", nullable=False),
    ),
    inputs=("ledger_transfers",),
    partition_by=("decided_on",),
    producer="ledger_transfers",
    owner="ledger",
    caveats="A key that is looked at again by a later close has a row of that close too; the last one holds. Fundings "
    "that were refused are here with rule funding, and the pool's own name where no programme declares it.",
)

LEDGER_PROMOTIONS = Table(
    "ledger_promotions",
    "Daily promotion: impressions of a day that nobody bought, given to enrolled merchants for nothing.",
    "one row for each day, slot and merchant",
    ("runs_on", "slot", "merchant_id"),
    (
        c.MERCHANT_ID,
        c.text("slot", "Traffic slot.").required(),
        Column("runs_on", "date", "Day on which they run.", nullable=False),
        c.count("impressions", "Impressions given, traffic source free.", "impressions", nullable=False),
        Column("activity_score", "double", "Score that the share follows.", "points", nullable=False),
        Column("decided_on", "date", "Business day whose close decided it.", nullable=False),
    ),
    inputs=("core_enrolments", "score_merchants", "ledger_requests"),
    partition_by=("decided_on",),
    producer="ledger_transfers",
    owner="ledger",
    caveats="No points, no pool and no transfer: it is spare capacity. What was served stands in core_traffic_hours.",
)

LEDGER_TOUCHED_KEYS = Table(
    "ledger_touched_keys",
    "Merchants and effective dates whose entitlements the close looks at again.",
    "one row for each merchant and effective date",
    ("merchant_id", "effective_date"),
    (c.MERCHANT_ID, _EFFECTIVE),
    inputs=(
        *("state_changes", "state_user_days", "state_refund_days"),
        *("core_staff", "core_merchants", "core_enrolments"),
    ),
    previous=("ledger_positions",),
    write=WriteStyle.TRANSIENT,
    owner="ledger",
    engine="duckdb",
)

LEDGER_USER_COUNTS = Table(
    "ledger_user_counts",
    "Users who count for rules, by what their days say.",
    "one row for each measure, merchant and effective date looked at that counts or is booked",
    ("measure", "merchant_id", "effective_date"),
    (
        _MEASURE,
        c.MERCHANT_ID,
        _EFFECTIVE,
        c.count("units", "Users who count.", "users", nullable=False),
        c.count("over", "Users that a cap of the rule's own left out.", "users", nullable=False),
    ),
    inputs=("ledger_touched_keys", "state_user_days", "core_voucher_events", "core_staff"),
    previous=("ledger_positions",),
    write=WriteStyle.TRANSIENT,
    owner="ledger",
    engine="duckdb",
)

LEDGER_TRADE_COUNTS = Table(
    "ledger_trade_counts",
    "What trades count for rules, by the day and by the month.",
    "one row for each measure, merchant or service provider, and effective date looked at that counts or is booked",
    ("measure", "merchant_id", "service_provider_id", "effective_date"),
    (
        _MEASURE,
        *_PARTY,
        _EFFECTIVE,
        c.fen("units", "What counts.", nullable=False),
        Column("refusal", "string", "Why it counts for nothing; null where it does."),
    ),
    inputs=(
        *("ledger_touched_keys", "state_user_days", "state_refund_days", "core_payments", "core_staff"),
        *("core_merchants", "core_service_providers", "core_solutions", "core_solution_adoptions"),
        "score_merchants",
    ),
    previous=("ledger_positions",),
    write=WriteStyle.TRANSIENT,
    owner="ledger",
    engine="duckdb",
)

TABLES = (
    *(LEDGER_TOUCHED_KEYS, LEDGER_USER_COUNTS, LEDGER_TRADE_COUNTS),
    *(LEDGER_TRANSFERS, LEDGER_POSITIONS, LEDGER_LOTS, LEDGER_BALANCES),
    *(LEDGER_REQUESTS, LEDGER_ALLOCATIONS, LEDGER_ADJUSTMENTS, LEDGER_REFUSALS),
    LEDGER_PROMOTIONS,
)
