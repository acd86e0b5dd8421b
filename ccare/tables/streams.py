"""The streams that land, field by field: parsing, core tables and reject reasons all derive from here."""

from dataclasses import dataclass

ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
EVENT_ID_PATTERN = r"^[A-Za-z0-9_.:-]{1,64}$"
MOST_UNITS = 10**15
"""The largest number that a line may say: thousands of them still add up, times a multiplier, within 64 bits."""
MASK = "***"
"""What stands for a text that may be personal."""
OWN_ID_CHARACTERS = 6
"""A user's own id is looked for in other fields of the row from this length on; a shorter one is in many words."""


@dataclass(frozen=True)
class Field:
    """One field of a landing line. ``kind`` is id, text, fen, count, ms, flag, date or instant.

    ``holds`` says what a text is kept as: a "code" is starred where it is none, a "number" that joins rows turns
    into a token where it looks personal, a "trace" also where it names the row's own user, a "person" always does,
    and "words" are for people to read. A number is from ``least`` to MOST_UNITS.
    """

    name: str
    kind: str
    description: str
    required: bool = False
    only_for: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    holds: str = "code"
    least: int = 0


@dataclass(frozen=True)
class Stream:
    """A landing folder and the core table it feeds.

    ``clock`` is the field that dates an event; entity streams (merchants, staff) have none. Of entities of one key
    the latest delivery stands, with ``keeps_first`` the earliest.
    """

    name: str
    table: str
    description: str
    fields: tuple[Field, ...]
    event_types: tuple[str, ...] = ()
    clock: str = ""
    key: tuple[str, ...] = ("event_id",)
    has_user: bool = True
    required_daily: bool = False
    keeps_first: bool = False

    @property
    def is_event(self) -> bool:
        """Whether its rows are dated events rather than entities."""
        return bool(self.clock)


def _scene_fields() -> tuple[Field, ...]:
    return (
        Field("scene", "text", "Launch scene code."),
        Field("promo_position", "text", "Position that a public slot reported."),
    )


PAYMENTS = Stream(
    "payments",
    "core_payments",
    "A trade paid, or a part of one returned.",
    (
        Field(
            "trade_no",
            "text",
            "Trade number; one paid event for each merchant and trade.",
            required=True,
            holds="number",
        ),
        Field("refund_no", "text", "Refund number.", required=True, only_for=("refunded",), holds="number"),
        Field("amount_fen", "fen", "What the trade is worth, or the part returned.", required=True),
        Field("merchant_discount_fen", "fen", "Discount that the merchant bears."),
        Field("platform_discount_fen", "fen", "Discount that the platform bears."),
        Field("fee_fen", "fen", "Service fee."),
        Field("store_id", "text", "Store.", holds="number"),
        Field("terminal_id", "text", "Terminal.", holds="number"),
        Field("operator_id", "text", "Operator at the till.", holds="person"),
        *_scene_fields(),
        Field("voucher_code", "text", "Voucher used in the trade.", holds="number"),
    ),
    event_types=("paid", "refunded"),
    clock="occurred_at",
    required_daily=True,
)
MINI_PROGRAM = Stream(
    "mini_program",
    "core_mini_program_events",
    "What a user did in the merchant's mini-program.",
    (
        Field("session_id", "text", "Visit.", holds="trace"),
        *_scene_fields(),
        Field("page", "text", "Page."),
        Field("stay_ms", "ms", "Time on the page."),
        Field("message_kind", "text", "Kind of message.", allowed=("order", "payment", "subscription")),
        Field("terminal_id", "text", "Terminal that was scanned.", holds="number"),
    ),
    event_types=(
        "launch",
        "page_view",
        "item_view",
        "collect",
        "uncollect",
        "subscribe",
        "refuse",
        "message_delivered",
        "message_click",
        "share",
        "order_submit",
        "member_join",
        "member_leave",
    ),
    clock="occurred_at",
    required_daily=True,
)
LIFE_ACCOUNT = Stream(
    "life_account",
    "core_life_account_events",
    "What a user did in the merchant's life account.",
    (
        Field("content_id", "text", "Content.", holds="trace"),
        Field("content_type", "text", "Kind of content.", allowed=("image_text", "short_video", "live")),
        Field("stay_ms", "ms", "Time with the content."),
        Field("scene", "text", "Launch scene code."),
    ),
    event_types=(
        "follow",
        "unfollow",
        "expose",
        "view",
        "like",
        "comment",
        "share",
        "live_enter",
        "voucher_click",
        "mini_program_click",
    ),
    clock="occurred_at",
    required_daily=True,
)
VOUCHERS = Stream(
    "vouchers",
    "core_voucher_events",
    "A merchant voucher received, used, given back or expired.",
    (
        Field("voucher_code", "text", "Voucher.", required=True, holds="number"),
        Field("activity_id", "text", "Campaign activity.", required=True, holds="number"),
        Field("trade_no", "text", "Trade it was used in.", holds="number"),
        Field("merchant_contribute_fen", "fen", "Part that the merchant bears."),
        Field("platform_contribute_fen", "fen", "Part that the platform bears."),
        Field("scene", "text", "Launch scene code."),
        Field("audience", "text", "Who may receive it.", allowed=("all", "followers", "members")),
    ),
    event_types=("received", "used", "unused", "expired"),
    clock="occurred_at",
)
TRAFFIC = Stream(
    "traffic",
    "core_traffic_hours",
    "Public traffic delivered to a merchant in one slot and hour.",
    (
        Field("slot", "text", "Traffic slot.", required=True),
        Field("impressions", "count", "Impressions (opportunities in a holdout hour).", required=True),
        Field("clicks", "count", "Clicks.", required=True),
        Field("source", "text", "What pays for it.", required=True, allowed=("free", "points", "paid")),
        Field("arm", "text", "Experiment arm.", required=True, allowed=("treated", "holdout")),
        Field("grant_id", "text", "Grant that it delivers.", holds="number"),
    ),
    event_types=("delivered",),
    clock="hour_start",
    has_user=False,
)
MERCHANTS = Stream(
    "merchants",
    "core_merchants",
    "A merchant as it is from valid_from on.",
    (
        Field("name", "text", "Name shown to people.", required=True, holds="words"),
        Field("industry", "text", "Industry code.", required=True, holds="words"),
        Field("city_tier", "text", "City tier.", holds="words"),
        Field("service_provider_id", "text", "Provider that serves it.", holds="number"),
        Field("own_brand", "flag", "Whether it sells its own brand.", required=True),
        Field("mini_program_id", "text", "Its mini-program.", holds="number"),
        Field("joined_on", "date", "Day it joined.", required=True),
        Field("valid_from", "date", "First day that this row holds.", required=True),
        Field("alipay_account", "text", "Alipay account whose bill is its own.", holds="number"),
        Field("wechat_mch_id", "text", "WeChat Pay merchant number.", holds="number"),
    ),
    key=("merchant_id", "valid_from"),
    has_user=False,
)
STAFF = Stream(
    "staff",
    "core_staff",
    "Operators, owners and test users: left out of every user metric and every earning.",
    (
        Field("valid_from", "date", "First day."),
        Field("valid_to", "date", "Last day."),
    ),
    key=("merchant_id", "user_key"),
)
SERVICE_PROVIDERS = Stream(
    "service_providers",
    "core_service_providers",
    "A service provider.",
    (
        Field("service_provider_id", "id", "Provider.", required=True),
        Field("name", "text", "Name shown to people.", required=True, holds="words"),
        Field("joined_on", "date", "Day it joined.", required=True),
    ),
    key=("service_provider_id",),
    has_user=False,
)
SOLUTIONS = Stream(
    "solutions",
    "core_solutions",
    "A solution that a provider registered.",
    (
        Field("solution_id", "id", "Solution.", required=True),
        Field("service_provider_id", "id", "Provider.", required=True),
        Field("name", "text", "Name shown to people.", required=True, holds="words"),
    ),
    key=("solution_id",),
    has_user=False,
)
SOLUTION_ADOPTIONS = Stream(
    "solution_adoptions",
    "core_solution_adoptions",
    "A merchant's adoption of a solution.",
    (
        Field("solution_id", "id", "Solution.", required=True),
        Field("adopted_on", "date", "Day of adoption.", required=True),
    ),
    key=("solution_id", "merchant_id"),
    has_user=False,
)
ENROLMENTS = Stream(
    "enrolments",
    "core_enrolments",
    "A party's enrolment in a programme.",
    (
        Field("programme", "id", "Programme.", required=True),
        Field("party", "id", "Merchant or service provider.", required=True),
        Field("from", "date", "First day.", required=True),
        Field("to", "date", "Last day."),
    ),
    key=("programme", "party", "from"),
    has_user=False,
)

REDEMPTIONS = Stream(
    "redemptions",
    "core_redemption_requests",
    "A merchant's request to turn points into impressions.",
    (
        Field("request_id", "text", "Number of the request.", required=True, holds="number"),
        Field("requested_at", "instant", "When it was asked.", required=True),
        Field("slot", "text", "Traffic slot.", required=True),
        Field("points", "count", "Points offered.", required=True),
        Field("service_provider_id", "text", "Provider that asks with its own points.", holds="number"),
    ),
    key=("request_id", "content_hash"),
    has_user=False,
    keeps_first=True,
)

_REF = Field("approval", "text", "Reference that an approval names.", required=True, holds="number")
_ASKED_BY = Field("asked_by", "text", "Who asks for it.", required=True, holds="words")
FUNDING = Stream(
    "funding",
    "core_fundings",
    "An amount to be put into a pool, once somebody else approves it.",
    (
        _REF,
        Field("pool", "text", "Pool.", required=True),
        Field(
            "asset",
            "text",
            "POINT, IMPRESSION or FEN.",
            required=True,
            allowed=("POINT", "IMPRESSION", "FEN"),
        ),
        Field("amount", "count", "Units of the asset.", required=True, least=1),
        Field("effective_date", "date", "First day whose close may book it.", required=True),
        _ASKED_BY,
        Field("note", "text", "Why, in words.", holds="words"),
    ),
    key=("approval", "content_hash"),
    has_user=False,
    keeps_first=True,
)
ADJUSTMENTS = Stream(
    "adjustments",
    "core_adjustments",
    "A transfer to be offset in part or whole, once somebody else approves it.",
    (
        _REF,
        Field("transfer_id", "text", "Transfer to offset.", required=True, holds="number"),
        Field("amount", "count", "Units to offset, at most the transfer's.", required=True, least=1),
        _ASKED_BY,
        Field("note", "text", "Why, in words.", required=True, holds="words"),
    ),
    key=("approval", "content_hash"),
    has_user=False,
    keeps_first=True,
)
APPROVALS = Stream(
    "approvals",
    "core_approvals",
    "Somebody's approval of what was asked under a reference, as it stood then.",
    (
        _REF,
        Field(
            "digest", "text", "SHA-256 of what was asked under the reference.", required=True, holds="number"
        ),
        Field("approved_by", "text", "Who approves it; never who asked.", required=True, holds="words"),
    ),
    key=("approval", "content_hash"),
    has_user=False,
    keeps_first=True,
)

_BILL_KEY = ("channel", "merchant_id", "line_key")
ALIPAY_BILL = Stream(
    "alipay_bill", "core_bill_lines", "Alipay's 业务明细 as downloaded.", (), key=_BILL_KEY, has_user=False
)
WECHAT_BILL = Stream(
    "wechat_bill",
    "core_bill_lines",
    "WeChat Pay's trade bill ALL as downloaded.",
    (),
    key=_BILL_KEY,
    has_user=False,
)
BILL_STREAMS = (ALIPAY_BILL, WECHAT_BILL)
"""Folders of whole bills in their platforms' own formats: ccare/sources reads them, into one table."""

EVENT_STREAMS = (PAYMENTS, MINI_PROGRAM, LIFE_ACCOUNT, VOUCHERS, TRAFFIC)
ENTITY_STREAMS = (
    *(MERCHANTS, STAFF, SERVICE_PROVIDERS, SOLUTIONS, SOLUTION_ADOPTIONS, ENROLMENTS),
    *(REDEMPTIONS, FUNDING, ADJUSTMENTS, APPROVALS),
)
STREAMS = {stream.name: stream for stream in (*ENTITY_STREAMS, *EVENT_STREAMS)}

PARTYLESS = ("service_providers", "solutions", "enrolments", "funding", "adjustments", "approvals")
"""Streams whose lines name no merchant of their own."""
