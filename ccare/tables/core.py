"""Typed, deduplicated, pseudonymised rows of every stream, and the rows refused."""

from ccare.tables import columns as c
from ccare.tables.model import Column, Table, WriteStyle
from ccare.tables.streams import EVENT_STREAMS, PARTYLESS, STREAMS, Field, Stream

_TYPES = {"id": "string", "text": "string", "fen": "bigint", "count": "bigint", "ms": "bigint"}
_TYPES |= {"flag": "boolean", "date": "date", "instant": "timestamp"}
_UNITS = {"fen": "fen", "ms": "ms"}


def field_column(field: Field) -> Column:
    """The stored column of a landing field; a field required only for some event types stays nullable."""
    nullable = not field.required or bool(field.only_for)
    return Column(
        field.name,
        _TYPES[field.kind],
        field.description,
        unit=_UNITS.get(field.kind, ""),
        nullable=nullable,
        personal=field.holds == "person",
    )


def _event_table(stream: Stream) -> Table:
    own = [field_column(field) for field in stream.fields]
    if not any(column.name == "slot" for column in own):
        own.insert(0, c.SLOT)
    users = (c.USER_KEY,) if stream.has_user else ()
    return Table(
        stream.table,
        stream.description,
        "one row for each event",
        stream.key,
        (
            c.EVENT_ID,
            c.EVENT_TYPE,
            c.MERCHANT_ID,
            *users,
            c.OCCURRED_AT,
            c.BUSINESS_DATE,
            c.DELIVERY_DATE,
            c.TAKEN_ON,
            *own,
            c.ORIGIN,
            c.CONTENT_HASH,
            c.FILE_SHA256,
            c.POSITION,
        ),
        inputs=("raw_files", "core_merchants"),
        partition_by=("taken_on",),
        caveats="An event id is unique within the late window; older reuse is found by verify.",
    )


def _entity_table(stream: Stream) -> Table:
    lead: tuple[Column, ...] = () if stream.name in PARTYLESS else (c.MERCHANT_ID,)
    if stream.has_user:
        lead += (c.USER_KEY.required(),)
    tail: tuple[Column, ...] = (c.DELIVERY_DATE, c.TAKEN_ON, c.ORIGIN, c.CONTENT_HASH, c.FILE_SHA256)
    if stream.name == "merchants":
        tail = (c.day("valid_to", "Last day that this row holds; null while it still does."), *tail)
    return Table(
        stream.table,
        stream.description,
        "one row for each " + ", ".join(stream.key),
        stream.key,
        (*lead, *(field_column(field) for field in stream.fields), *tail),
        inputs=("raw_files",),
        write=WriteStyle.MERGE_STATE,
    )


CORE_REJECTED_EVENTS = Table(
    "core_rejected_events",
    "Rows refused at ingest, with every reason.",
    "one row for each refused line of a delivered file and close",
    ("taken_on", "file_sha256", "position", "row_digest"),
    (
        Column("stream", "string", "Landing stream.", nullable=False),
        Column("file_sha256", "string", "Digest of the delivered file's bytes.", nullable=False),
        Column(
            "row_digest",
            "string",
            "SHA-256 of the line as delivered; of its content where it clashed with another row.",
            nullable=False,
        ),
        Column("position", "bigint", "Line number in the file, from 1; null where it is not known.", "line"),
        Column("reasons", "array<string>", "Every rule that the row broke.", nullable=False),
        Column(
            "payload",
            "string",
            "Declared fields of the line with plain values, or what it says where it clashed.",
            personal=True,
        ),
        c.text("merchant_id", "Merchant as written, where it could be read and is well formed."),
        c.fen("amount_fen", "Amount as written, where it could be read and is no longer than ten digits."),
        c.DELIVERY_DATE,
        c.TAKEN_ON,
    ),
    inputs=("raw_files",),
    partition_by=("taken_on",),
    producer="core_rejected_events",
)

CORE_BILL_LINES = Table(
    "core_bill_lines",
    "Lines of the settlement bills that merchants download: what their channel says was paid and given back.",
    "one row for each line of a settlement bill",
    ("channel", "merchant_id", "line_key"),
    (
        Column("channel", "string", "alipay or wechat.", nullable=False),
        c.MERCHANT_ID,
        Column("line_key", "string", "Kind, trade number and refund number.", nullable=False),
        Column(
            "trade_no",
            "string",
            "The channel's trade number; a refund repeats its trade's. A token where it may be personal.",
            nullable=False,
        ),
        c.text("merchant_order_no", "The merchant's own order number; *** where it may be personal."),
        Column("kind", "string", "paid or refunded; tells the sign of the amounts.", nullable=False),
        c.text("refund_no", "The channel's refund number; a token where it may be personal."),
        c.OCCURRED_AT,
        c.BUSINESS_DATE,
        c.fen("amount_fen", "What the trade is worth, or the part returned.", nullable=False),
        c.fen("receipt_fen", "Part that the merchant receives, or gives back, before fees.", nullable=False),
        c.fen("merchant_discount_fen", "Discount that the merchant bears.", nullable=False),
        c.fen("platform_discount_fen", "Discount that the platform bears.", nullable=False),
        c.fen("fee_fen", "Service fee, or its part given back; a fraction of a fen is rounded half up."),
        c.DELIVERY_DATE,
        c.TAKEN_ON,
        c.ORIGIN,
        c.CONTENT_HASH,
        c.FILE_SHA256,
    ),
    inputs=("raw_files", "core_merchants"),
    partition_by=("taken_on",),
    caveats="A bill is a copy of its day: a refund's later fate is not in it. The payer is masked and not kept.",
)

CORE_FORGOTTEN = Table(
    "core_forgotten",
    "Users whose link was removed; rows of theirs that come in again are taken without it.",
    "one row for each forgotten user and merchant, or every merchant",
    ("subject_digest", "merchant_id"),
    (
        Column(
            "subject_digest",
            "string",
            "HMAC-SHA-256 of the user's token in a domain of its own: it matches, it names nobody.",
            nullable=False,
        ),
        c.text("merchant_id", "Merchant that it is about; null for every merchant."),
        Column("staff", "boolean", "Whether rows there go on as forgotten_staff's.", nullable=False),
        Column("key_version", "string", "Version of the key behind the digest.", nullable=False),
        Column(
            "forgotten_on",
            "date",
            "Local date of the request being carried out.",
            nullable=False,
            volatile=True,
        ),
        c.text("requested_by", "Who asked for it."),
        c.text("reason", "Why, in their words; starred where it looks personal."),
        c.RUN_ID,
    ),
    write=WriteStyle.MERGE_NEW,
    producer="core_forgotten",
)

TABLES = (*(_event_table(s) if s in EVENT_STREAMS else _entity_table(s) for s in STREAMS.values()),)
TABLES = (*TABLES, CORE_BILL_LINES, CORE_REJECTED_EVENTS, CORE_FORGOTTEN)
