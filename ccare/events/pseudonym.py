"""User ids to keyed tokens: HMAC-SHA-256 (RFC 2104) from Spark's own functions.

The pads reach the plan as columns of a broadcast one-row frame: as literals they would stand in every plan,
event log and UI page.
"""

import hashlib

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from ccare.runtime.settings import KEY_VERSION

_BLOCK = 64


def pads(spark: SparkSession, key: bytes) -> DataFrame:
    """One row: the inner and outer pad of ``key`` as binary columns ``_inner`` and ``_outer``."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    row = {"_inner": [bytes(b ^ 0x36 for b in block)], "_outer": [bytes(b ^ 0x5C for b in block)]}
    return spark.createDataFrame(pa.table(row, schema=pa.schema([(name, pa.binary()) for name in row])))


def token(user_id: Column) -> Column:
    """``k1_`` + 64 hex digits; null for a null user. Needs ``_inner`` and ``_outer`` beside it."""
    inner = F.unhex(F.sha2(F.concat(F.col("_inner"), user_id.cast("binary")), 256))
    return F.concat(F.lit(f"{KEY_VERSION}_"), F.sha2(F.concat(F.col("_outer"), inner), 256))
