"""User ids to keyed tokens: HMAC-SHA-256 (RFC 2104) from Spark's own functions.

The pads reach the plan as columns of a broadcast frame: as literals they would stand in every plan,
event log and UI page.
"""

import hashlib

from pyspark.sql import Column
from pyspark.sql import functions as F

from ccare.runtime.settings import KEY_VERSION

_BLOCK = 64


def pads(key: bytes) -> tuple[bytes, bytes]:
    """The inner and outer pad of ``key``: columns ``_inner`` and ``_outer`` of a frame that is broadcast."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return bytes(b ^ 0x36 for b in block), bytes(b ^ 0x5C for b in block)


def token(user_id: Column) -> Column:
    """``k1_`` + 64 hex digits; null for a null user. Needs ``_inner`` and ``_outer`` beside it."""
    inner = F.unhex(F.sha2(F.concat(F.col("_inner"), user_id.cast("binary")), 256))
    return F.concat(F.lit(f"{KEY_VERSION}_"), F.sha2(F.concat(F.col("_outer"), inner), 256))
