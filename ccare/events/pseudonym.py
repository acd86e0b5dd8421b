"""User ids to keyed tokens: HMAC-SHA-256 (RFC 2104) from Spark's own functions, and one by one on the driver.

The pads reach the plan as columns of a broadcast frame: as literals they would stand in every plan,
event log and UI page.
"""

import hashlib
import hmac

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from ccare.runtime.settings import KEY_VERSION

_BLOCK = 64
OPERATOR, NUMBER, FORGOTTEN = "operator", "number", "forgotten"
"""Domains: operators at the till, numbers of things that look personal, tokens of users who were forgotten."""


def pads(key: bytes) -> tuple[bytes, bytes]:
    """The inner and outer pad of ``key``: columns ``_inner`` and ``_outer`` of a frame that is broadcast."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return bytes(b ^ 0x36 for b in block), bytes(b ^ 0x5C for b in block)


def pads_frame(spark: SparkSession, key: bytes) -> DataFrame:
    """One row with the pads of ``key``: broadcast it beside what is to be turned into tokens."""
    inner, outer = pads(key)
    return spark.createDataFrame(pa.table({"_inner": [inner], "_outer": [outer]}))


def token(user_id: Column, domain: str = "") -> Column:
    """``k1_`` + 64 hex digits; null for a null user. Needs ``_inner`` and ``_outer`` beside it.

    Users stand in no domain; a text of another ``domain`` never has a user's token.
    """
    told = F.concat(F.lit(_prefix(domain)), user_id) if domain else user_id
    inner = F.unhex(F.sha2(F.concat(F.col("_inner"), told.cast("binary")), 256))
    return F.concat(F.lit(f"{KEY_VERSION}_"), F.sha2(F.concat(F.col("_outer"), inner), 256))


def token_of(key: bytes, user_id: str, domain: str = "") -> str:
    """What ``token`` gives, for one text on the driver."""
    told = (_prefix(domain) + user_id).encode()
    return f"{KEY_VERSION}_{hmac.new(key, told, hashlib.sha256).hexdigest()}"


def merchant_token(key: bytes, merchant_id: str, user_key: str) -> str:
    """A user's token as one merchant may be given it: two merchants' exports cannot be joined by it."""
    return token_of(key, user_key, f"merchant {merchant_id}")


def _prefix(domain: str) -> str:
    return f"\u001f{domain}\u001f" if domain else ""
