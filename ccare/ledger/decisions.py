"""What a close decides about every key that it looks at: nothing, a fall or a rise."""

from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.ledger.entitlements import Inputs, multipliers, points, targets
from ccare.ledger.frames import beside, by_party, product, quotient
from ccare.ledger.transfers import digest

if TYPE_CHECKING:
    from ccare.runtime.close import Close

_KEPT = ("revision", "asked", "net", "lapsed")
FALL, RISE, SAME = "fall", "rise", "same"


def decide(inputs: Inputs, positions: DataFrame, close: "Close") -> DataFrame:
    """Grain: business key looked at and either booked before or entitled to something now.

    Columns: business_key, programme, rule, party, effective_date, asset, pool, on_fall, matures_on,
    expires_on, multiplier_milli, source_digest; change (fall, rise, same); asked (new), revision (new);
    lapsed_before; take (units that a fall gives back); extra (units that a rise asks for).
    ``positions`` is laid out by party, and so is the result.
    """
    rated = _with_books(targets(inputs, close), positions, multipliers(inputs, close))
    asked = F.when(F.col("eligible"), points(F.col("net_fen"), F.col("multiplier_milli"))).otherwise(F.lit(0))
    rated = rated.withColumn("asked", asked.cast("bigint"))
    open_still = F.col("expires_on") >= F.lit(close.day)
    fell, rose = F.col("asked") < F.col("asked_before"), F.col("asked") > F.col("asked_before")
    change = F.when(fell, F.lit(FALL)).when(rose & open_still, F.lit(RISE)).otherwise(F.lit(SAME))
    kept = quotient(product(F.col("net_before"), F.col("asked")), product(F.col("asked_before"), F.lit(1)))
    decided = rated.withColumn("change", change).filter((F.col("change") != SAME) | F.col("booked"))
    moved = F.col("change") != SAME
    return decided.select(
        *("business_key", "programme", "rule", "party", "effective_date", "asset", "pool", "on_fall"),
        *("matures_on", "expires_on", "multiplier_milli", "change", "lapsed_before"),
        digest([F.col("business_key"), F.col("net_fen"), F.col("multiplier_milli")]).alias("source_digest"),
        F.when(moved, F.col("asked")).otherwise(F.col("asked_before")).alias("asked"),
        (F.col("revision_before") + moved.cast("int")).alias("revision"),
        F.when(F.col("change") == FALL, F.col("net_before") - kept).otherwise(F.lit(0)).alias("take"),
        F.when(F.col("change") == RISE, F.col("asked") - F.col("asked_before"))
        .otherwise(F.lit(0))
        .alias("extra"),
    )


def _with_books(rated: DataFrame, positions: DataFrame, scored: DataFrame) -> DataFrame:
    """Adds what is booked: the key's position, the multiplier of its party and date, else today's."""
    held = positions.filter(F.col("party").isNotNull())
    before = held.select(
        "party",
        "business_key",
        F.col("matures_on").alias("matures_booked"),
        F.col("expires_on").alias("expires_booked"),
        *(F.col(name).alias(f"{name}_before") for name in _KEPT),
    )
    fixed = held.groupBy("party", "effective_date").agg(F.max("multiplier_milli").alias("fixed_milli"))
    rows = (
        rated.join(beside(before), ["party", "business_key"], "left")
        .join(beside(fixed), ["party", "effective_date"], "left")
        .join(beside(by_party(scored)), "party", "left")
    )
    matures = F.coalesce("matures_booked", F.date_add("effective_date", F.col("maturity_days")))
    rows = rows.withColumns(
        {
            "booked": F.col("revision_before").isNotNull(),
            "multiplier_milli": F.coalesce("fixed_milli", "scored_milli", F.lit(500)).cast("int"),
            "matures_on": matures,
            "expires_on": F.coalesce("expires_booked", F.date_add(matures, F.col("expiry_days"))),
        }
    )
    zeros = {f"{name}_before": F.coalesce(f"{name}_before", F.lit(0)) for name in _KEPT}
    return rows.withColumns(zeros)
