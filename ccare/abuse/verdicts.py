"""From evidence to the ledger: what is withheld, and by which rules."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.abuse.rules import FAMILIES_TO_WITHHOLD
from ccare.ledger.frames import beside

if TYPE_CHECKING:
    from ccare.runtime.close import Close

WITHHELD = "withheld"
"""Name of the refusal."""
_KEY = ["merchant_id", "effective_date"]


def with_verdict(rated: DataFrame, inputs: Mapping[str, DataFrame], close: "Close") -> DataFrame:
    """``rated`` (programme, maturity_days, refusal, …) with ``against``: the rules that withhold a key, else null.

    A key stands as it did when it matured: what was found, or cleared, by later closes does not count for it.
    """
    if not close.abuse.rules:
        return rated.withColumn("against", F.lit(None).cast("string"))
    known = rated.join(beside(charges(inputs["score_evidence"])), _KEY, "left")
    matures = F.least(F.lit(close.day), F.date_add("effective_date", F.col("maturity_days")))
    known = known.withColumn("against", against(F.col("programme"), matures)).drop("charges")
    withheld = F.when(F.col("against").isNotNull(), F.lit(WITHHELD))
    return known.withColumn("refusal", F.coalesce("refusal", withheld))


def charges(evidence: DataFrame) -> DataFrame:
    """Grain: merchant and effective date. ``charges``: what speaks to withhold, or did."""
    rows = evidence.filter(F.col("effect") == "withhold")
    each = F.struct("rule", "family", "programmes", "found_on", "cleared_on")
    return rows.groupBy(*_KEY).agg(F.collect_list(each).alias("charges"))


def against(programme: Column, as_of: Column) -> Column:
    """Rules, by name, that withhold a programme's points as of a day; null where not two families speak."""

    def counts(charge: Column) -> Column:
        named, cleared = charge.getField("programmes"), charge.getField("cleared_on")
        meant = (F.size(named) == 0) | F.array_contains(named, programme)
        return meant & (charge.getField("found_on") <= as_of) & (cleared.isNull() | (cleared > as_of))

    speak = F.filter(F.col("charges"), counts)
    families = F.array_distinct(F.transform(speak, lambda charge: charge.getField("family")))
    rules = F.array_sort(F.transform(speak, lambda charge: charge.getField("rule")))
    return F.when(F.size(families) >= FAMILIES_TO_WITHHOLD, F.array_join(rules, ", "))
