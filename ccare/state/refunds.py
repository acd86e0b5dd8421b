"""Refunds by the day their trade was paid: what refund rates and entitlements look back at."""

from datetime import date, timedelta
from functools import reduce
from operator import and_

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.state.facts import new_on

KEY = ("merchant_id", "user_key", "paid_date", "refund_date")
_TRADE = ["merchant_id", "trade_no"]


LOOKED_UP_FIRST = 60
"""Days of payments that a day's refunds look for their trades in before older ones are read."""


def matched_refunds(payments: DataFrame, day: date, first_day: date, waiting: bool = True) -> DataFrame:
    """Pairs of a refund and its trade that became whole on ``day``, summed by payer, paid date, refund date.

    A refund may arrive before its trade: whichever comes second makes the pair. Where no refund of an earlier day
    is ``waiting``, only the day's own can.
    """
    known = payments.where(F.greatest("taken_on", "business_date") <= F.lit(day))
    refunds_now = _refunds(new_on(payments, day, first_day))
    if day == first_day:
        return _summed(_paid(known).join(refunds_now, _TRADE))
    now_and_known = _now_and_known(known, refunds_now, day - timedelta(days=LOOKED_UP_FIRST), first_day)
    if not waiting:
        return _summed(now_and_known)
    paid_now = _paid(new_on(payments, day, first_day))
    earlier = _refunds(known).join(refunds_now.select("event_id"), "event_id", "left_anti")
    late_trades = paid_now.join(F.broadcast(earlier), _TRADE).select(*now_and_known.columns)
    return _summed(now_and_known.unionByName(late_trades))


def _now_and_known(known: DataFrame, refunds_now: DataFrame, since: date, first_day: date) -> DataFrame:
    """The day's refunds beside their trades. A trade is paid once, so one found since ``since`` has no other.

    Most are: a look into the partitions before, a whole history, is for what stays unmatched. A younger lake has none.
    """
    if first_day >= since:
        return _paid(known).join(F.broadcast(refunds_now), _TRADE)
    older = F.col("taken_on") < F.lit(since)
    met = _paid(known.where(~older)).join(F.broadcast(refunds_now), _TRADE).localCheckpoint()
    unmet = refunds_now.join(F.broadcast(met.select("event_id")), "event_id", "left_anti").localCheckpoint()
    if unmet.isEmpty():
        return met
    return met.unionByName(_paid(known.where(older)).join(F.broadcast(unmet), _TRADE))


def merged_refunds(before: DataFrame, pairs: DataFrame) -> DataFrame:
    """Refund days as they were and the new pairs -> those that the pairs change, as they are now.

    A payer may be unknown: keys are compared with null like any other value.
    """
    names = [*KEY, "refund_fen", "refunds"]
    old, new = before.select(*names).alias("o"), pairs.select(*KEY).distinct().alias("n")
    same = [F.col(f"o.{name}").eqNullSafe(F.col(f"n.{name}")) for name in KEY]
    met = old.join(F.broadcast(new), reduce(and_, same), "left_semi")
    return refolded_refunds(met.unionByName(pairs.select(*names)))


def refolded_refunds(rows: DataFrame) -> DataFrame:
    """Rows of one key summed into one."""
    return rows.groupBy(*KEY).agg(F.sum("refund_fen").alias("refund_fen"), F.sum("refunds").alias("refunds"))


def _paid(rows: DataFrame) -> DataFrame:
    paid = rows.where(F.col("event_type") == "paid")
    return paid.select("merchant_id", "trade_no", "user_key", F.col("business_date").alias("paid_date"))


def _refunds(rows: DataFrame) -> DataFrame:
    refunded = rows.where(F.col("event_type") == "refunded")
    return refunded.select(
        "event_id",
        "merchant_id",
        "trade_no",
        F.col("business_date").alias("refund_date"),
        F.col("amount_fen").alias("refund_fen"),
    )


def _summed(pairs: DataFrame) -> DataFrame:
    return pairs.groupBy(*KEY).agg(F.sum("refund_fen").alias("refund_fen"), F.count("*").alias("refunds"))
