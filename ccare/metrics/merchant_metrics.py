"""Every metric of every merchant on one as-of day.

Each source says what one of its rows adds to named sums; the sums are integers, so neither the order of rows
nor their partitioning can change a digit. Ratios are divided once, at the end.
"""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.metrics import activity, efficiency, potential, scale
from ccare.metrics.definitions import METRICS
from ccare.metrics.user_facts import fact, users_if
from ccare.metrics.windows import MONTH, AsOf

_KNOWN = "known_rows"


def merchant_metrics(inputs: Mapping[str, DataFrame], as_of: AsOf) -> DataFrame:
    """metric_merchants for one day, from both tables of facts of the day and whole state and core tables.

    One row for every merchant valid on the day or with any event by then. Counts without rows are 0, a ratio
    without a denominator is null.
    """
    totals = _totals(inputs, as_of).join(_merchants(inputs["core_merchants"], as_of), "merchant_id", "full")
    facts = inputs["metric_merchant_facts"]
    told = [name for name in facts.columns if name != "merchant_id"]
    present = totals.where((F.col(_KNOWN) > 0) | F.coalesce("valid", F.lit(False)))
    summed = [name for name in totals.columns if name not in ("merchant_id", "industry", "valid")]
    present = present.select(
        "merchant_id",
        F.lit(as_of.day).alias("as_of_date"),
        "industry",
        *(F.coalesce(name, F.lit(0).cast("long")).alias(name) for name in summed),
    )
    return present.join(F.broadcast(facts), "merchant_id", "left").select(
        "merchant_id", "as_of_date", "industry", *_metric_columns(), *_supports(told)
    )


def _totals(inputs: Mapping[str, DataFrame], as_of: AsOf) -> DataFrame:
    """One row of sums for each merchant with anything in state."""
    parts = [
        _user_part(inputs["metric_user_facts"]),
        _day_part(inputs["state_merchant_days"], as_of),
        _presence(inputs["state_merchant_days"], as_of),
        _refund_part(inputs["state_refund_days"], as_of),
        potential.voucher_sums(inputs["core_voucher_events"], as_of),
    ]
    rows = parts[0]
    for part in parts[1:]:
        rows = rows.unionByName(part, allowMissingColumns=True)
    names = [name for name in rows.columns if name != "merchant_id"]
    return rows.groupBy("merchant_id").agg(*(F.sum(name).alias(name) for name in names))


def _added(rows: DataFrame, sums: Mapping[str, Column]) -> DataFrame:
    """Each source is summed by itself: its rows are many, the merchants few."""
    cells = rows.select("merchant_id", *(column.cast("long").alias(name) for name, column in sums.items()))
    return cells.groupBy("merchant_id").agg(*(F.sum(name).alias(name) for name in sums))


def _user_part(facts: DataFrame) -> DataFrame:
    return _added(
        facts,
        scale.user_sums()
        | activity.user_sums()
        | potential.user_sums()
        | {"events_56d": fact("turned_off") * F.col("users"), _KNOWN: users_if(fact("known") == 1)},
    )


def _day_part(days: DataFrame, as_of: AsOf) -> DataFrame:
    """The last 56 days: every amount's window lies inside. A paid event counts whoever paid."""
    recent = days.where(as_of.within(F.col("business_date"), 2 * MONTH - 1))
    return _added(
        recent,
        potential.day_sums(as_of)
        | efficiency.day_sums(as_of)
        | {
            "events_56d": F.greatest("active_events", "orders"),
            "simulated_events_56d": F.col("simulated_events"),
            _KNOWN: F.lit(1),
        },
    )


def _presence(days: DataFrame, as_of: AsOf) -> DataFrame:
    """Older days tell only that the merchant had an event."""
    older = days.where(F.col("business_date") < F.lit(as_of.back(2 * MONTH - 1)))
    return _added(older, {_KNOWN: F.lit(1)})


def _refund_part(refunds: DataFrame, as_of: AsOf) -> DataFrame:
    return _added(refunds, efficiency.refund_sums(as_of))


def _merchants(merchants: DataFrame, as_of: AsOf) -> DataFrame:
    """merchant_id, industry by the latest row begun by d, and whether any row holds on d."""
    day = F.lit(as_of.day)
    begun = merchants.where((F.col("valid_from") <= day) & (F.col("taken_on") <= day))
    holds = F.col("valid_to").isNull() | (F.col("valid_to") >= day)
    return begun.groupBy("merchant_id").agg(
        F.max_by("industry", "valid_from").alias("industry"), F.max(holds).alias("valid")
    )


def _metric_columns() -> list[Column]:
    ratios = scale.ratios() | activity.ratios() | potential.ratios() | efficiency.ratios()
    columns = []
    for metric in METRICS:
        if metric.is_ratio:
            numerator, denominator = ratios[metric.id]
            columns += [
                F.when(denominator != 0, numerator / denominator).alias(metric.id),
                numerator.alias(f"{metric.id}_num"),
                denominator.alias(f"{metric.id}_den"),
            ]
        else:
            columns.append(F.col(metric.id))
    return columns


def _supports(told: Sequence[str]) -> list[Column]:
    """``told``: the columns of metric_merchant_facts. Nobody stands behind a ratio that no model tells."""
    summed = ("e_refund_rate_orders", "events_56d", "simulated_events_56d")
    kilo = F.expr("public_impressions_28 div 1000").alias("public_kiloimpressions_28d")
    counted = [name for name in told if name.endswith(("_users", "_orders", "_shown"))]
    plain = [name for name in told if name not in counted and not name.endswith(("_num", "_den"))]
    zero = F.lit(0).cast("bigint")
    return [
        *map(F.col, summed),
        kilo,
        *(F.coalesce(F.col(name), zero).alias(name) for name in counted),
        *map(F.col, plain),
    ]
