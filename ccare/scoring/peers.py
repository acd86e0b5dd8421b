"""Peer groups: industry x size tier, the tiers cut at the terciles of the industry's mau28."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.scoring.months import ANY_INDUSTRY, TIERS

LEVELS = ("group", "industry", "all")
"""Where a metric's peers may come from, nearest first."""


def tier_of(mau: Column, low: Column, high: Column) -> Column:
    """small up to the first cut, mid up to the second, else large."""
    small, mid, large = TIERS
    return F.when(mau <= low, small).when(mau <= high, mid).otherwise(large)


def group_name(industry: Column, tier: Column) -> Column:
    """``<industry>/<tier>``."""
    return F.concat_ws("/", industry, tier)


def tier_cuts(active: DataFrame) -> DataFrame:
    """industry, tier_low and tier_high (double): terciles of c_mau28 in each industry and among everyone.

    A tercile is the least value with a third (two thirds) of the merchants at or below it.
    """
    industries = F.array_distinct(F.array("industry", F.lit(ANY_INDUSTRY)))
    sized = active.select(
        F.col("c_mau28").cast("double").alias("size"), F.explode(industries).alias("industry")
    )
    ordered = sized.groupBy("industry").agg(F.sort_array(F.collect_list("size")).alias("sizes"))

    def tercile(part: int) -> Column:
        return F.get("sizes", F.floor((F.size("sizes") * part + 2) / 3).cast("int") - 1)

    return ordered.select("industry", tercile(1).alias("tier_low"), tercile(2).alias("tier_high"))
