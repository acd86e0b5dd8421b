"""What rules count, kind by kind, as one frame: the units of every measure, merchant and effective date looked at.

Rules of a kind with the same parameters share a measure, and a kind without a rule costs nothing. Users and trades are
counted before, by DuckDB (``user_counts``, ``trade_counts``); the best of their peers are found here.
"""

from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from ccare.ledger.frames import quotient
from ccare.ledger.rules import TopOfPeers
from ccare.ledger.touched import KEY, Inputs
from ccare.ledger.transfers import together

if TYPE_CHECKING:
    from ccare.runtime.close import Close

MEASURED = ("measure", *KEY, "service_provider_id", "units", "over", "refusal")
_TYPES = {"service_provider_id": "string", "units": "bigint", "over": "bigint", "refusal": "string"}


def measured(inputs: Inputs, close: "Close") -> DataFrame:
    """Grain: measure, merchant or service provider, and effective date.

    ``units``: what counts; ``over``: what a cap of the rule's own left out; ``refusal``: why it counts for nothing.
    A measure that follows later rows has a row for every touched key that is booked, so that it is seen falling to
    nothing; one that is fixed when its day is closed has rows of that day alone.
    """
    parts = [inputs["ledger_trade_counts"]]
    if close.ledger.user_rules:
        parts.append(inputs["ledger_user_counts"])
    today = [rule for p in close.ledger.programmes if p.covers(close.day) for rule in p.rules]
    tops = {r.measure: r for r in today if isinstance(r, TopOfPeers) and r.falls_on(close.day)}
    parts += [_top_of_peers(inputs, close, rule) for rule in tops.values()]
    rows = together(parts)
    missing = {name: F.lit(None).cast(kind) for name, kind in _TYPES.items() if name not in rows.columns}
    rows = rows.withColumns(missing) if missing else rows
    return rows.select(*MEASURED).fillna(0, ["units", "over"])


def _top_of_peers(inputs: Inputs, close: "Close", rule: TopOfPeers) -> DataFrame:
    """Those that reach both scores, and why the others of them are not the best: the day's own rows alone."""
    today = F.col("as_of_date") == F.lit(close.day)
    reached = (F.col("scale_score") >= rule.least_score) & (F.col("activity_score") >= rule.least_score)
    scored = inputs["score_merchants"].filter(today & reached)
    shares = inputs["score_drivers"].filter(today & (F.col("metric_id") == "e_private_share"))
    shares = shares.select("merchant_id", F.col("shrunk_value").alias("share"))
    enough = F.col("share") * 100 >= rule.least_private_percent
    private = F.coalesce(enough, F.lit(rule.least_private_percent == 0))
    rows = scored.join(shares, "merchant_id", "left").withColumn("private", private)
    tenths = F.rint(F.col("scale_score") * 10) + F.rint(F.col("activity_score") * 10)
    best = Window.partitionBy("peer_group", "private").orderBy(F.desc(tenths), "merchant_id")
    room = quotient(F.coalesce("peers", F.lit(0)) * rule.share_percent, F.lit(100))
    refusal = F.when(~F.col("private"), "private_share_low").when(
        F.row_number().over(best) > room, "beyond_top_share"
    )
    return rows.select(
        F.lit(rule.measure).alias("measure"),
        "merchant_id",
        F.lit(close.day).alias("effective_date"),
        F.lit(1).cast("bigint").alias("units"),
        refusal.alias("refusal"),
    )
