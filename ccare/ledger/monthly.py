"""What programmes that pay by the month count, on a month's last day and never else.

Each of their keys is told whole from what is known by then, its own month's and those told again, so late rows,
refunds and restated peers come out as rises and falls like anything else.
"""

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from ccare.ledger.frames import shared
from ccare.ledger.growth_over_peers import growth_over_peers
from ccare.ledger.months import told_months
from ccare.ledger.parties import IDS
from ccare.ledger.rules import GrowthOverPeers, Monthly, ServedFees, SettledFees
from ccare.ledger.settled import served_fees, settled_months
from ccare.ledger.touched import Inputs
from ccare.ledger.transfers import together

if TYPE_CHECKING:
    from ccare.runtime.close import Close


def monthly(inputs: Inputs, close: "Close") -> list[DataFrame]:
    """Frames of measure, one of the two ids, effective_date, units and refusal; none on any other day."""
    start, frames = close.earn_start, []
    settled: dict[tuple[date, ...], DataFrame] = {}
    for name, rule in {r.measure: r for r in close.ledger.rules if isinstance(r, Monthly)}.items():
        ends = told_months(close.day, start, rule.told_again)
        if not ends:
            continue
        if isinstance(rule, GrowthOverPeers):
            told = _growth(inputs, close, ends, rule)
        else:
            if ends not in settled:
                settled[ends] = shared(settled_months(inputs, close, ends))
            told = _of_settled(inputs, settled[ends], rule)
        frames.append(_with_booked(told, inputs["ledger_positions"], _is_of(close, name), ends, name))
    return frames


def _of_settled(inputs: Inputs, months: DataFrame, rule: Monthly) -> DataFrame:
    if isinstance(rule, ServedFees):
        return served_fees(inputs, months).withColumnRenamed("fee_fen", "units")
    units = F.col("fee_fen" if isinstance(rule, SettledFees) else "net_fen").alias("units")
    return months.select("merchant_id", "effective_date", units)


def _growth(inputs: Inputs, close: "Close", ends: tuple[date, ...], rule: GrowthOverPeers) -> DataFrame:
    """Grain: service provider and month, with ``refusal`` where it came after the last place."""
    fallen = rule.fallen_scores_count
    grown = growth_over_peers(inputs, close, ends, fallen_scores_count=fallen)
    earned = inputs["ledger_positions"].filter(_is_of(close, rule.measure)).select("service_provider_id")
    earned = earned.distinct().withColumn("earned", F.lit(True))
    known = inputs["core_service_providers"].select("service_provider_id", "joined_on")
    owners = inputs["core_solutions"].select("service_provider_id").distinct()
    owners = owners.join(F.broadcast(known), "service_provider_id", "left")
    owners = owners.join(F.broadcast(earned), "service_provider_id", "left")
    # Whoever joins later, or registers a first solution, takes no place away from one that has earned.
    order = (F.col("earned").isNull(), F.asc_nulls_last("joined_on"), "service_provider_id")
    places = owners.select("service_provider_id", F.row_number().over(Window.orderBy(*order)).alias("place"))
    beyond = F.when(F.col("place") > rule.most_providers, F.lit("providers_full"))
    placed = grown.join(F.broadcast(places), "service_provider_id")
    return placed.withColumn("refusal", beyond).drop("place")


def _with_booked(
    told: DataFrame, positions: DataFrame, of_measure: Column, ends: Iterable[date], measure: str
) -> DataFrame:
    """``told`` and, so that they are seen falling to nothing, the keys of its months that are booked."""
    known = positions.filter(of_measure & F.col("effective_date").isin(*ends))
    booked = known.select(*IDS, "effective_date", F.lit(0).cast("bigint").alias("units"))
    rows = together([told, booked])
    missing = {name: F.lit(None).cast("string") for name in IDS if name not in rows.columns}
    rows = rows.withColumns(missing) if missing else rows
    sums = [F.sum("units").cast("bigint").alias("units")]
    if "refusal" in rows.columns:  # a text makes Spark sort what it sums, and only providers are refused here
        sums.append(F.max("refusal").alias("refusal"))
    return rows.groupBy(*IDS, "effective_date").agg(*sums).withColumn("measure", F.lit(measure))


def _is_of(close: "Close", measure: str) -> Column:
    """Whether a position is of a rule that counts ``measure``."""
    found = F.lit(False)
    for p in close.ledger.programmes:
        for rule in (r for r in p.rules if r.measure == measure):
            found = found | ((F.col("programme") == p.name) & (F.col("rule") == rule.name))
    return found
