"""How much more the adopters of a provider's solutions grew than their peers: what chengfeng pays for.

The growth of a merchant is its net of the trades paid in [d-42, d-15] less that of [d-70, d-43], in fen: refunds
have had time to come in. Its peers are the merchants of its group, as scored on d, with a trade in either window;
their median is rounded down to a fen. Adopters are those who adopted a solution of the provider in [d-69, d].
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from ccare.ledger.frames import beside, by_merchant
from ccare.ledger.touched import Inputs, staff_pairs
from ccare.ledger.trades import net_parts

if TYPE_CHECKING:
    from ccare.runtime.close import Close

NOW, BEFORE = (42, 15), (70, 43)
"""First and last day of each window, counted back from d."""
ADOPTED_DAYS = 69
SCORE_DAYS = 28
_MONTH = ["merchant_id", "effective_date"]


def growth_over_peers(
    inputs: Inputs, close: "Close", ends: Sequence[date], *, fallen_scores_count: bool
) -> DataFrame:
    """Grain: service provider with an adopter, and month in ``ends``. ``units`` in fen, at least 0.

    A merchant that grew more than its peers counts only where its total score of d is at least that of d-28, unless
    ``fallen_scores_count``; one that grew less always counts, and one without a peer group never does.
    """
    growth = _over_median(_growth(inputs, close, ends), inputs["score_merchants"], ends)
    held = (
        F.lit(True)
        if fallen_scores_count
        else F.coalesce(F.col("score") >= F.col("score_before"), F.lit(False))
    )
    counts = F.when((F.col("over") <= 0) | held, F.col("over")).otherwise(F.lit(0))
    growth = growth.select("merchant_id", "effective_date", counts.alias("counts"))
    adopted = _adopters(inputs, ends).join(growth, _MONTH)
    return adopted.groupBy("service_provider_id", "effective_date").agg(
        F.greatest(F.sum("counts"), F.lit(0)).alias("units")
    )


def _growth(inputs: Inputs, close: "Close", ends: Sequence[date]) -> DataFrame:
    """Grain: merchant with a trade in either window, and month. ``growth`` in fen."""
    first, last = min(ends) - timedelta(days=BEFORE[0]), max(ends) - timedelta(days=NOW[1])
    staff = F.broadcast(staff_pairs(inputs, close))
    rows = net_parts(inputs, close, first, last).join(staff, ["merchant_id", "user_key"], "left_anti")
    # A sum for each month beside the others: a row of each trade for each month would be several times as many.
    sums = rows.groupBy("merchant_id").agg(*(F.sum(_fen(end)).alias(str(end)) for end in ends))
    each = (F.struct(F.lit(end).alias("effective_date"), F.col(str(end)).alias("growth")) for end in ends)
    return sums.select("merchant_id", F.inline(F.array(*each))).filter(F.col("growth").isNotNull())


def _fen(end: date) -> Column:
    """What a trade adds to the growth of the month ``end``, null outside both windows."""
    days_back = F.datediff(F.lit(end), "effective_date")
    now, before = (days_back.between(last, first) for first, last in (NOW, BEFORE))
    return F.when(now, F.col("units")).when(before, -F.col("units"))


def _over_median(growth: DataFrame, scores: DataFrame, ends: Sequence[date]) -> DataFrame:
    """Adds ``over`` = growth - the group's median, and the total ``score`` of d and ``score_before`` of d-28."""
    earlier = [end - timedelta(days=SCORE_DAYS) for end in ends]
    day, total = F.col("as_of_date"), F.col("total_score")
    told = scores.filter(day.isin(*ends) & F.col("peer_group").isNotNull())
    told = told.select("merchant_id", day.alias("effective_date"), "peer_group", total.alias("score"))
    before = scores.filter(day.isin(*earlier))
    before = before.select(
        "merchant_id", F.date_add(day, SCORE_DAYS).alias("effective_date"), total.alias("score_before")
    )
    placed = growth.join(beside(by_merchant(told)), _MONTH)
    placed = placed.join(beside(by_merchant(before)), _MONTH, "left")
    median = F.floor(F.median("growth").over(Window.partitionBy("effective_date", "peer_group")))
    return placed.withColumn("over", F.col("growth") - median)


def _adopters(inputs: Inputs, ends: Sequence[date]) -> DataFrame:
    """Grain: service provider, merchant and month in which it counts as an adopter."""
    owners = inputs["core_solutions"].select("solution_id", "service_provider_id")
    adopted = inputs["core_solution_adoptions"].select("solution_id", "merchant_id", "adopted_on")
    rows = adopted.join(F.broadcast(owners), "solution_id")
    rows = rows.select(
        "service_provider_id", "merchant_id", "adopted_on", _each(ends).alias("effective_date")
    )
    recent = F.datediff("effective_date", "adopted_on").between(0, ADOPTED_DAYS)
    return rows.filter(recent).select("service_provider_id", "merchant_id", "effective_date").distinct()


def _each(ends: Sequence[date]) -> Column:
    return F.explode(F.array(*(F.lit(end) for end in ends)))
