"""What rules count, kind by kind, as one frame: the units of every measure, merchant and effective date looked at.

Rules of a kind with the same parameters share a measure, all that count users share one pass over the users' days,
and a kind without a rule costs nothing.
"""

from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from ccare.ledger.frames import by_merchant, quotient
from ccare.ledger.monthly import monthly
from ccare.ledger.rules import TopOfPeers, TradeNet
from ccare.ledger.touched import KEY, Inputs
from ccare.ledger.trades import trade_nets
from ccare.ledger.transfers import together

if TYPE_CHECKING:
    from ccare.runtime.close import Close

MEASURED = ("measure", *KEY, "service_provider_id", "units", "over", "refusal")
_TYPES = {"service_provider_id": "string", "units": "bigint", "over": "bigint", "refusal": "string"}


def measured(inputs: Inputs, close: "Close", touched: DataFrame) -> DataFrame:
    """Grain: measure, merchant or service provider, and effective date. ``touched`` holds each key of merchants once,
    laid out by merchant.

    ``units``: what counts; ``over``: what a cap of the rule's own left out; ``refusal``: why it counts for nothing.
    A measure that follows later rows has a row for every touched key, so that it is seen falling to nothing; one that
    is fixed when its day is closed has rows of that day alone.
    """
    rules = close.ledger.rules
    parts = []
    if any(isinstance(rule, TradeNet) for rule in rules):
        nets = trade_nets(inputs, close, touched)
        parts.append(nets.withColumn("measure", F.lit(TradeNet.model_fields["kind"].default)))
    if close.ledger.user_rules:
        parts.append(by_merchant(inputs["ledger_user_counts"]))
    today = [rule for p in close.ledger.programmes if p.covers(close.day) for rule in p.rules]
    tops = {r.measure: r for r in today if isinstance(r, TopOfPeers) and r.falls_on(close.day)}
    parts += [_top_of_peers(inputs, close, rule) for rule in tops.values()]
    parts += monthly(inputs, close)
    if not parts:
        parts = [touched.limit(0).withColumn("measure", F.lit(""))]
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
    return by_merchant(rows).select(
        F.lit(rule.measure).alias("measure"),
        "merchant_id",
        F.lit(close.day).alias("effective_date"),
        F.lit(1).cast("bigint").alias("units"),
        refusal.alias("refusal"),
    )
