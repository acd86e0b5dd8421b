"""What a close did not grant, and why: one row for each key and reason, beside the books."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.ledger.parties import split_party
from ccare.runtime.spark import frame
from ccare.tables import table

if TYPE_CHECKING:
    from ccare.runtime.close import Close

_ABOUT = ("business_key", "programme", "rule", "party", "effective_date", "asset", "against")
_LEFT_OUT = {"over_parts": "terminal_cap", "over_day": "day_cap", "too_late": "too_late"}


def refusals(
    looked_at: DataFrame, grants: DataFrame, fundings: Sequence[Mapping[str, object]], close: "Close"
) -> dict[str, DataFrame]:
    """ledger_refusals of the day.

    ``looked_at``: every key decided; ``grants``: those that rise, with what the pool granted; ``fundings``: rows
    of those refused.
    """
    parts = [F.struct(F.col("refusal").alias("reason"), F.col("refused").alias("amount"))]
    parts += [
        F.struct(F.lit(reason).alias("reason"), F.col(name).cast("bigint").alias("amount"))
        for name, reason in _LEFT_OUT.items()
    ]
    rows = looked_at.select(*_ABOUT, F.inline(F.array(*parts)))
    closed = [pool.name for pool in close.ledger.pools if not pool.grants_on(close.day)]
    why = F.when(F.col("month_bound"), F.lit("month_cap")).otherwise(F.lit("cut_by_pool"))
    why = F.when(F.col("pool").isin(closed), F.lit("pool_closed")).otherwise(why) if closed else why
    cut = grants.select(*_ABOUT, why.alias("reason"), (F.col("extra") - F.col("granted")).alias("amount"))
    found = rows.union(cut).filter(F.col("amount") > 0)
    told = split_party(found.withColumn("decided_on", F.lit(close.day)))
    if fundings:
        told = told.unionByName(frame(told.sparkSession, table("ledger_refusals"), fundings))
    return {"ledger_refusals": told}
