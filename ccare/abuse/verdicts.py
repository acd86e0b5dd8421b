"""From evidence to the ledger: what is withheld, and by which rules."""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.abuse.rules import FAMILIES_TO_WITHHOLD

WITHHELD = "withheld: "
"""How a reason begins; the rules follow, in alphabetical order."""


def charges(evidence: DataFrame, since: date) -> DataFrame:
    """Grain: merchant and effective date from ``since`` on. ``charges``: rule, family and programmes of what speaks
    to withhold."""
    rows = evidence.filter((F.col("effect") == "withhold") & (F.col("effective_date") >= F.lit(since)))
    each = F.struct("rule", "family", "programmes")
    return rows.groupBy("merchant_id", "effective_date").agg(F.collect_list(each).alias("charges"))


def reason(programme: Column) -> Column:
    """``withheld: rules`` where ``charges`` of two families or more count for the programme; else null."""

    def counts(charge: Column) -> Column:
        named = charge.getField("programmes")
        return (F.size(named) == 0) | F.array_contains(named, programme)

    against = F.filter(F.col("charges"), counts)
    families = F.array_distinct(F.transform(against, lambda charge: charge.getField("family")))
    rules = F.array_sort(F.transform(against, lambda charge: charge.getField("rule")))
    said = F.concat(F.lit(WITHHELD), F.array_join(rules, ", "))
    return F.when(F.size(families) >= FAMILIES_TO_WITHHOLD, said)
