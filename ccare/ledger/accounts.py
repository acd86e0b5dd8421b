"""Names of accounts, as text and as Spark columns. A balance is never stored in one: it is derived."""

from pyspark.sql import Column
from pyspark.sql import functions as F

FUNDING = "world:funding"
EXPIRED = "sink:expired"


def pool_account(pool: str, part: str) -> str:
    """``pool:<pool>:<part>``; part is available or receivable."""
    return f"pool:{pool}:{part}"


def party_account(party: str, part: str) -> str:
    """``merchant:<id>:<part>`` or ``provider:<id>:<part>``; part is pending, active, reserved or debt."""
    return f"{party}:{part}"


def redeemed_account(slot: str) -> str:
    """Points spent on a slot."""
    return f"sink:redeemed:{slot}"


def delivered_account(slot: str) -> str:
    """Impressions delivered in a slot."""
    return f"sink:delivered:{slot}"


def pool_column(pool: Column, part: str) -> Column:
    """``pool_account`` of a column of pool names."""
    return F.concat(F.lit("pool:"), pool, F.lit(f":{part}"))


def party_column(part: str) -> Column:
    """``party_account`` of the frame's column ``party``."""
    return F.concat(F.col("party"), F.lit(f":{part}"))
