"""What a close decides about every key that it looks at: nothing, a fall or a rise."""

from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.ledger.entitlements import Inputs, multipliers, points, targets
from ccare.ledger.frames import beside, by_party, product, quotient
from ccare.ledger.parties import merchant_party
from ccare.ledger.transfers import digest

if TYPE_CHECKING:
    from ccare.runtime.close import Close

_KEPT = ("revision", "asked", "net", "lapsed")
_PLAIN = 1_000
FALL, RISE, SAME = "fall", "rise", "same"


def decide(inputs: Inputs, positions: DataFrame, close: "Close", rated: DataFrame | None = None) -> DataFrame:
    """Grain: business key looked at that is booked, or entitled to something, or refused something.

    Columns: business_key, programme, rule, party, effective_date, asset, pool, on_fall, matures_on,
    expires_on, multiplier_milli, source_digest; change (fall, rise, same); asked (new), revision (new);
    lapsed_before; take (units that a fall gives back); extra (units that a rise asks for); kept (whether the books
    keep the key: it changes or is booked); refusal, abuse rules against it, and what refusal, caps and lateness left
    out (refused, over_parts, over_day, too_late). ``positions`` is laid out by party, and so is the result. ``rated``:
    the targets, where they are computed already.
    """
    rated = _and_ended(targets(inputs, close) if rated is None else rated, inputs, positions, close)
    rated = _with_books(rated, positions, multipliers(inputs, close), close)
    milli, free = F.col("multiplier_milli"), F.col("refusal").isNull()
    would = points(F.col("units"), milli)
    asked = F.when(free, F.least(would, F.col("most_a_day"))).otherwise(F.lit(0)).cast("bigint")
    if close.forgotten_until:
        # Who was forgotten cannot be counted again, and what a merchant was promised for them stays.
        lost = F.col("late_days").isNotNull() & (F.col("effective_date") <= F.lit(close.forgotten_until))
        asked = F.when(lost & free, F.greatest(asked, "asked_before")).otherwise(asked)
    over = F.when(free, points(F.col("units") + F.col("over"), milli) - would).otherwise(F.lit(0))
    over_day = F.when(free, F.greatest(would - F.col("asked"), F.lit(0))).otherwise(F.lit(0))
    refused = F.when(free, F.lit(0)).otherwise(would)
    rated = rated.withColumns({"asked": asked, "over_parts": over, "refused": refused})
    in_time = F.col("late_days").isNull() | (
        F.date_add("effective_date", F.col("late_days")) >= F.lit(close.day)
    )
    open_still = (F.col("expires_on") >= F.lit(close.day)) & in_time
    fell, rose = F.col("asked") < F.col("asked_before"), F.col("asked") > F.col("asked_before")
    change = F.when(fell, F.lit(FALL)).when(rose & open_still, F.lit(RISE)).otherwise(F.lit(SAME))
    late = F.when(rose & ~open_still, F.col("asked") - F.col("asked_before")).otherwise(F.lit(0))
    kept_units = quotient(
        product(F.col("net_before"), F.col("asked")), product(F.col("asked_before"), F.lit(1))
    )
    decided = rated.withColumns({"change": change, "too_late": late, "over_day": over_day})
    moved = F.col("change") != SAME
    decided = decided.withColumn("kept", moved | F.col("booked"))
    left_out = F.greatest("refused", "over_parts", "over_day", "too_late") > 0
    return decided.filter(F.col("kept") | left_out).select(
        *("business_key", "programme", "rule", "party", "effective_date", "asset", "pool", "on_fall"),
        *("matures_on", "expires_on", "multiplier_milli", "change", "lapsed_before"),
        *("kept", "refusal", "against", "refused", "over_parts", "over_day", "too_late"),
        digest([F.col("business_key"), F.col("units"), F.col("multiplier_milli")]).alias("source_digest"),
        F.when(moved, F.col("asked")).otherwise(F.col("asked_before")).alias("asked"),
        (F.col("revision_before") + moved.cast("int")).alias("revision"),
        F.when(F.col("change") == FALL, F.col("net_before") - kept_units).otherwise(F.lit(0)).alias("take"),
        F.when(F.col("change") == RISE, F.col("asked") - F.col("asked_before"))
        .otherwise(F.lit(0))
        .alias("extra"),
    )


def _and_ended(rated: DataFrame, inputs: Inputs, positions: DataFrame, close: "Close") -> DataFrame:
    """Adds keys looked at that are booked and that no rule is in force for any more, entitled to nothing.

    Only a programme that is meant to change closed days takes a rule, or days of its own, back.
    """
    meant = {p.name: p for p in close.ledger.programmes if p.retroactive}
    if not meant:
        return rated
    in_force = F.lit(False)
    for p in (p for p in close.ledger.programmes if p.name in meant):
        last = p.to_day or close.day
        its = (F.col("programme") == p.name) & F.col("rule").isin([rule.name for rule in p.rules])
        in_force |= its & F.col("effective_date").between(F.lit(p.from_day), F.lit(last))
    held = positions.filter(F.col("programme").isin(sorted(meant)) & F.col("party").isNotNull() & ~in_force)
    none = ("units", "over", "points", "most_a_day", "maturity_days", "expiry_days")
    on_fall = F.create_map(*(F.lit(word) for p in meant.values() for word in (p.name, p.on_fall)))
    plain = [name for name, p in meant.items() if p.multiplier == "none"]
    ended = held.join(
        beside(by_party(touched_dates(inputs))), ["party", "effective_date"], "left_semi"
    ).withColumns(
        {name: F.lit(0) for name in none}
        | {name: F.lit(None) for name in ("refusal", "against", "late_days")}
        | {"unit": F.lit(1), "plain": F.col("programme").isin(plain), "on_fall": on_fall[F.col("programme")]}
    )
    kinds = dict(rated.dtypes)
    return rated.unionByName(ended.select(*(F.col(name).cast(kinds[name]) for name in rated.columns)))


def touched_dates(inputs: Inputs) -> DataFrame:
    """Grain: party and effective date that the close looks at again."""
    party = merchant_party(F.col("merchant_id")).alias("party")
    return inputs["ledger_touched_keys"].select(party, "effective_date")


def _with_books(rated: DataFrame, positions: DataFrame, scored: DataFrame, close: "Close") -> DataFrame:
    """Adds what is booked: the key's position, the multiplier of its party and date, else today's.

    A programme without a multiplier neither takes nor fixes one: its keys are booked with 1,000.
    """
    held = positions.filter(F.col("party").isNotNull())
    before = held.select(
        "party",
        "business_key",
        F.col("matures_on").alias("matures_booked"),
        F.col("expires_on").alias("expires_booked"),
        *(F.col(name).alias(f"{name}_before") for name in _KEPT),
    )
    plain = sorted({p.name for p in close.ledger.programmes if p.multiplier == "none"})
    scaled = held.filter(~F.col("programme").isin(*plain)) if plain else held
    fixed = scaled.groupBy("party", "effective_date").agg(F.max("multiplier_milli").alias("fixed_milli"))
    rows = (
        rated.join(beside(before), ["party", "business_key"], "left")
        .join(beside(fixed), ["party", "effective_date"], "left")
        .join(beside(by_party(scored)), "party", "left")
    )
    matures = F.coalesce("matures_booked", F.date_add("effective_date", F.col("maturity_days")))
    rows = rows.withColumns(
        {
            "booked": F.col("revision_before").isNotNull(),
            "multiplier_milli": F.when(F.col("plain"), F.lit(_PLAIN))
            .otherwise(F.coalesce("fixed_milli", "scored_milli", F.lit(500)))
            .cast("int"),
            "matures_on": matures,
            "expires_on": F.coalesce("expires_booked", F.date_add(matures, F.col("expiry_days"))),
        }
    )
    zeros = {f"{name}_before": F.coalesce(f"{name}_before", F.lit(0)) for name in _KEPT}
    return rows.withColumns(zeros)
