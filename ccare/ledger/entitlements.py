"""What each business key that rows came in for is entitled to, from all rows taken so far."""

import json
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.abuse.verdicts import with_verdict
from ccare.ledger.eligibility import with_refusal
from ccare.ledger.frames import by_merchant, by_party, quotient, through
from ccare.ledger.measures import measured
from ccare.ledger.parties import IDS, merchant_party, with_party
from ccare.ledger.rules import USER_KINDS
from ccare.ledger.touched import Inputs

if TYPE_CHECKING:
    from ccare.ledger.policy import LedgerPolicy
    from ccare.runtime.close import Close

__all__ = ["Inputs", "multipliers", "points", "targets"]
_RATE_TYPES = {
    "version": "int",
    "programme": "string",
    "rule": "string",
    "first": "date",
    "last": "date",
    "asset": "string",
    "pool": "string",
    "on_fall": "string",
    "points": "bigint",
    "unit": "bigint",
    "plain": "boolean",
    "most_a_day": "bigint",
    "late_days": "int",
    "maturity_days": "int",
    "expiry_days": "int",
}


def targets(inputs: Inputs, close: "Close") -> DataFrame:
    """Grain: one row for each programme, rule, party and effective date looked at in this close.

    Columns: the rate's own (programme, rule, asset, pool, on_fall, …), party, effective_date, business_key, units,
    over (units that a cap of the rule left out), refusal (why it earns nothing, null where it may), against (abuse
    rules that withhold it). Laid out by party.
    """
    rows = by_merchant(measured(inputs, close))
    rated = rows.withColumn("rate", F.explode(_rates(close.ledger, F.col("measure"))))
    rated = rated.select(*rows.columns, *(f"rate.{name}" for name in _RATE_TYPES))
    rated = rated.filter(through("first", "last", F.col("effective_date")))
    rated = with_verdict(with_refusal(rated, inputs, close), inputs, close)
    key = F.concat_ws("|", "programme", "rule", *IDS, F.col("effective_date").cast("string"))
    named = rated.withColumn("business_key", key).drop("first", "last", "measure", "version")
    return by_party(with_party(named))


def points(units: Column, multiplier_milli: Column) -> Column:
    """floor(units x points x multiplier / (per x 1,000)) in integers; negative units count as 0.

    Whole ``unit``s are multiplied apart from the rest: what is multiplied first does not fit 64 bits of many fen.
    """
    counted, unit = F.greatest(units, F.lit(0)), F.col("unit")
    worth = F.col("points") * multiplier_milli.cast("bigint")
    return quotient(counted, unit) * worth + quotient(counted % unit * worth, unit)


def multipliers(inputs: Inputs, close: "Close") -> DataFrame:
    """Grain: party, a merchant. ``scored_milli`` = 500 + tenths of today's total score; a score has one decimal."""
    scores = inputs["score_merchants"].filter(F.col("as_of_date") == F.lit(close.day))
    tenths = F.rint(F.col("total_score") * 10).cast("int")
    party = merchant_party(F.col("merchant_id")).alias("party")
    return scores.select(party, (F.lit(500) + F.coalesce(tenths, F.lit(0))).alias("scored_milli"))


def _rates(policy: "LedgerPolicy", measure: Column) -> Column:
    """The rates of a measure, of every programme and version, as an array of structs; null for one without any.

    They go over as one text: a literal for each would be a thousand calls to the JVM at every close.
    """
    found: dict[str, list[dict[str, object]]] = {}
    for row in _rate_rows(policy):
        found.setdefault(str(row["measure"]), []).append({name: row[name] for name in _RATE_TYPES})
    rate = ",".join(f"{name}:{kind}" for name, kind in _RATE_TYPES.items())
    told = F.from_json(F.lit(json.dumps(found, default=str)), f"map<string,array<struct<{rate}>>>")
    return told[measure]


def _rate_rows(policy: "LedgerPolicy") -> list[dict[str, object]]:
    return [
        {
            "measure": rule.measure,
            "version": version,
            "programme": p.name,
            "rule": rule.name,
            "first": p.from_day,
            "last": p.to_day,
            "asset": p.asset_of(rule),
            "pool": p.pool_of(rule),
            "on_fall": p.on_fall,
            "points": rule.points,
            "unit": rule.per * 1_000,
            "plain": p.multiplier == "none",
            "most_a_day": rule.most_a_day,
            # Trades are told late one by one; a user's day only shows that something of it was.
            "late_days": policy.late_window_days if rule.kind in USER_KINDS else None,
            "maturity_days": p.maturity_days,
            "expiry_days": p.expiry_days,
        }
        for version, p in enumerate(policy.programmes)
        for rule in p.rules
    ]
