"""Columns that mean the same wherever they stand, each described once."""

from ccare.tables.model import Column

MERCHANT_ID = Column("merchant_id", "string", "Merchant, as upstream names it.", nullable=False)
USER_KEY = Column(
    "user_key",
    "string",
    "User as a keyed hash (HMAC-SHA-256) with its key version; null where the payer is unknown or forgotten, "
    "forgotten_staff for all of a merchant's staff who were.",
    personal=True,
)
BUSINESS_DATE = Column(
    "business_date", "date", "Local date of the event in the lake's business time zone.", nullable=False
)
AS_OF_DATE = Column("as_of_date", "date", "Last day that the figures include.", nullable=False)
TAKEN_ON = Column("taken_on", "date", "Business day whose close first counted the row.", nullable=False)
DELIVERY_DATE = Column("delivery_date", "date", "Date of the landing folder it came in.", nullable=False)
FILE_SHA256 = Column("file_sha256", "string", "Digest of the delivered file's bytes.", volatile=True)
POSITION = Column(
    "position", "bigint", "Line number in the delivered file, from 1.", unit="line", volatile=True
)
ORIGIN = Column("origin", "string", "real or simulated, as delivered.", nullable=False)
SLOT = Column("slot", "string", "Traffic slot by promo position, else scene; unknown where neither tells.")
EVENT_ID = Column("event_id", "string", "Event number, unique in its stream.", nullable=False)
EVENT_TYPE = Column("event_type", "string", "What happened, in the stream's own words.", nullable=False)
OCCURRED_AT = Column("occurred_at", "timestamp", "When it happened (UTC).", nullable=False)
CONTENT_HASH = Column("content_hash", "string", "SHA-256 of the event's own content, provenance left out.")
RUN_ID = Column("run_id", "string", "Run that wrote the row.", volatile=True)
POLICY_VERSION = Column("policy_version", "string", "Dated policy that the row was computed under.")
PEER_GROUP = Column("peer_group", "string", "Industry and size tier that the merchant is compared within.")


def fen(name: str, description: str, *, nullable: bool = True) -> Column:
    """An amount in minor units of the lake's currency, exact."""
    return Column(name, "bigint", description, unit="fen", nullable=nullable)


def count(name: str, description: str, unit: str = "rows", *, nullable: bool = True) -> Column:
    """An exact count."""
    return Column(name, "bigint", description, unit=unit, nullable=nullable)


def text(name: str, description: str) -> Column:
    """A nullable string."""
    return Column(name, "string", description)


def day(name: str, description: str) -> Column:
    """A nullable date."""
    return Column(name, "date", description)
