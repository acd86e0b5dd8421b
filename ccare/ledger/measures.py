"""What rules count, kind by kind, as one frame: the units of every measure, merchant and effective date looked at.

Rules of a kind with the same parameters share a measure, all that count users share one pass over the users' days,
and a kind without a rule costs nothing.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from ccare.ledger.frames import beside, by_merchant, quotient, shared
from ccare.ledger.monthly import monthly
from ccare.ledger.rules import TopOfPeers, TradeNet
from ccare.ledger.touched import KEY, Inputs, staff_pairs
from ccare.ledger.trades import trade_nets
from ccare.ledger.transfers import together
from ccare.ledger.user_days import activities, counted, day_of, follow_ups, per_part, receipt_of, told_of_user
from ccare.runtime.spark import compiled

if TYPE_CHECKING:
    from ccare.runtime.close import Close

MEASURED = ("measure", *KEY, "service_provider_id", "units", "over", "refusal")
FEW_CHANGES, FEW_DATES = 200_000, 64
"""Up to so many changed user days and searched dates, the users looked at are few enough to be told to every task."""
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
        parts.append(_user_counts(inputs, close, touched))
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


def _user_counts(inputs: Inputs, close: "Close", touched: DataFrame) -> DataFrame:
    """Users counted by their days, whole histories of those who may count for a touched key."""
    rules = {rule.measure: rule for rule in close.ledger.user_rules}
    known = F.col("user_key").isNotNull()
    days = inputs["state_user_days"].filter(known & (F.col("business_date") <= F.lit(close.day)))
    sources = [(days, day_of)]
    if wanted := activities(tuple(rules.values())):
        received = F.col("event_type") == "received"
        vouchers = inputs["core_voucher_events"].filter(known & received & F.col("activity_id").isin(*wanted))
        vouchers = vouchers.filter(F.greatest("taken_on", "business_date") <= F.lit(close.day))
        sources.append((vouchers, receipt_of))
    pair, followed = ["merchant_id", "user_key"], follow_ups(tuple(rules.values()))
    dates = touched.groupBy("merchant_id").agg(F.collect_list("effective_date").alias("looked_at"))
    # Few users have a day that is looked at: only those days are searched, and only their histories made up.
    looked_at = [row[0] for row in touched.select("effective_date").distinct().collect()]
    searched = sorted({on - timedelta(days=n) for on in looked_at for n in (0, *followed)})
    on_searched = F.col("business_date").isin(*searched)
    recent = together([rows.filter(on_searched).select(*pair, "business_date") for rows, _ in sources])
    recent = recent.join(F.broadcast(staff_pairs(inputs, close)), pair, "left_anti")
    met = by_merchant(recent).join(beside(dates), "merchant_id")
    met = met.filter(_may_count(F.col("business_date"), followed)).select(*pair).distinct()
    if close.changes <= FEW_CHANGES and len(searched) <= FEW_DATES:
        met = shared(met)
        with compiled(met.sparkSession):
            kept = [made(rows.join(F.broadcast(met), pair, "left_semi")) for rows, made in sources]
            theirs = [shared(by_merchant(rows)) for rows in kept]
    else:
        theirs = [by_merchant(made(rows)).join(beside(met), pair, "left_semi") for rows, made in sources]
    users = together(theirs).groupBy(*pair).agg(*told_of_user()).join(beside(dates), "merchant_id")
    start = close.earn_start
    each = [_of_measure(name, counted(rule, start)) for name, rule in rules.items()]
    counts = F.filter(F.concat(*each), lambda x: F.array_contains(F.col("looked_at"), x["on"]))
    found = users.select("merchant_id", F.inline(counts))
    found = found.select("measure", "merchant_id", F.col("on").alias("effective_date"), "part", "units")
    nothing = F.explode(F.array(*(F.lit(name) for name in rules))).alias("measure")
    zero = F.lit(0).cast("bigint").alias("units")
    found = found.unionByName(touched.select(*KEY, nothing, zero), allowMissingColumns=True)
    return _within_parts(found, per_part(tuple(rules.values())))


def _may_count(on: Column, after: tuple[int, ...]) -> Column:
    """Whether a user's day, or what becomes due after it, is looked at."""
    found = F.array_contains("looked_at", on)
    for n in after:
        found = found | F.array_contains("looked_at", F.date_add(on, n))
    return found


def _of_measure(name: str, dates: Column) -> Column:
    return F.transform(
        dates,
        lambda x: F.struct(
            F.lit(name).alias("measure"),
            x["on"].alias("on"),
            x["part"].alias("part"),
            x["units"].alias("units"),
        ),
    )


def _within_parts(found: DataFrame, most: dict[str, int]) -> DataFrame:
    """Sums the users, at most so many of one part where the measure has a cap."""
    key = ("measure", *KEY)
    if not most:
        return found.groupBy(*key).agg(F.sum("units").alias("units"))
    parts = found.groupBy(*key, "part").agg(F.sum("units").alias("came"))
    bound = F.lit(None).cast("bigint")
    for measure, users in most.items():
        bound = F.when((F.col("measure") == measure) & F.col("part").isNotNull(), users).otherwise(bound)
    counts = F.least("came", bound)  # null is no bound
    sums = (F.sum(counts).alias("units"), F.sum(F.col("came") - counts).alias("over"))
    return parts.groupBy(*key).agg(*sums)


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
