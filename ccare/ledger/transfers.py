"""The shape, the identity and the content of a transfer.

Canonical forms, both UTF-8 text hashed with SHA-256 and written as 64 lower-case hex digits; a field that is
null is empty text, a date is YYYY-MM-DD, a number is decimal without leading zeros:

    transfer_id   programme, code, business_key, leg, revision                        joined by line feeds
    content_hash  debit_account, credit_account, amount, asset, code, programme, party, lot_id,
                  effective_date, expires_on, booked_date, business_key, leg, revision    likewise

``party`` is the merchant_id, else the service_provider_id (the accounts tell which). No field may hold a line
feed, so no two lists of fields give one text. The content leaves out run_id, posted_at, source_digest and table
versions: a replay gives the same content. A lot's lot_id is the transfer_id of its earning.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.ledger import codes
from ccare.ledger.parties import split_party

if TYPE_CHECKING:
    from ccare.runtime.close import Close

ID_FIELDS = ("programme", "code", "business_key", "leg", "revision")
CONTENT_FIELDS = (
    "debit_account",
    "credit_account",
    "amount",
    "asset",
    "code",
    "programme",
    "party",
    "lot_id",
    "effective_date",
    "expires_on",
    "booked_date",
    "business_key",
    "leg",
    "revision",
)
MOVE = (
    *("debit_account", "credit_account", "amount", "asset", "programme", "code", "reason", "party"),
    *("lot_id", "effective_date", "matures_on", "expires_on", "business_key", "leg", "revision"),
    *("asked", "multiplier_milli", "source_digest"),
)
"""A move: a transfer before it has an id."""


def move(frame: DataFrame, code: Column, **values: Column) -> DataFrame:
    """One move a row of ``frame``. ``values`` wins over the frame's column of the same name, else null."""
    values["code"] = code
    own = [name for name in MOVE if name in frame.columns and name not in values]
    return frame.select(*own, *(column.alias(name) for name, column in values.items()))


def together(frames: Sequence[DataFrame]) -> DataFrame:
    """Rows of several kinds as one frame; a column that a kind lacks is null in its rows."""
    whole = frames[0]
    for other in frames[1:]:
        whole = whole.unionByName(other, allowMissingColumns=True)
    return whole


def digest(fields: Sequence[Column]) -> Column:
    """SHA-256 of the canonical text of ``fields``."""
    texts = [F.coalesce(field.cast("string"), F.lit("")) for field in fields]
    return F.sha2(F.concat_ws("\n", *texts), 256)


def earning_id() -> Column:
    """lot_id of the earning whose programme, business_key and revision stand in the frame."""
    leg = F.lit(1)
    return digest([F.col("programme"), F.lit(codes.EARN), F.col("business_key"), leg, F.col("revision")])


def finish(moves: DataFrame, close: "Close") -> DataFrame:
    """Moves as ledger_transfers rows of this close."""
    rows = split_party(moves).withColumns(
        {
            "booked_date": F.lit(close.day),
            "posted_at": F.lit(close.posted_at),
            "run_id": F.lit(close.run_id),
            "policy_version": F.lit(close.ledger.version),
        }
    )
    party = F.coalesce("merchant_id", "service_provider_id")
    content = [party if name == "party" else F.col(name) for name in CONTENT_FIELDS]
    return rows.withColumns(
        {"transfer_id": digest([F.col(name) for name in ID_FIELDS]), "content_hash": digest(content)}
    )
