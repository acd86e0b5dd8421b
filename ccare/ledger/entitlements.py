"""What each business key that rows came in for is entitled to, from all rows taken so far."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.ledger.frames import beside, between, by_merchant, by_party, quotient, shared, through
from ccare.ledger.parties import merchant_party

if TYPE_CHECKING:
    from ccare.ledger.policy import LedgerPolicy
    from ccare.runtime.close import Close

Inputs = Mapping[str, DataFrame]
_KEY = ["merchant_id", "effective_date"]
_RATE_TYPES = {
    "programme": "string",
    "rule": "string",
    "first": "date",
    "last": "date",
    "asset": "string",
    "pool": "string",
    "on_fall": "string",
    "needs_mini_program": "boolean",
    "points": "bigint",
    "unit": "bigint",
    "maturity_days": "int",
    "expiry_days": "int",
}


def earn_start(close: "Close") -> date:
    """First effective date that may earn."""
    return max(close.ledger.go_live, close.first_day)


def targets(inputs: Inputs, close: "Close") -> DataFrame:
    """Grain: one row for each programme, rule, merchant and effective date looked at in this close.

    Columns: the rate's own (programme, rule, asset, pool, on_fall, …), party, effective_date,
    business_key, net_fen, eligible. A key is looked at when paid trades or refunds of its date came in, when
    one of its payers became staff, when its merchant's record changed, or when the policy did.
    """
    touched = shared(by_merchant(touched_keys(inputs, close)).distinct())
    nets = _nets(inputs, close, touched)
    rates = F.explode(F.array(*(_rate(row) for row in _rates(close.ledger))))
    rated = nets.withColumn("rate", rates).select(*nets.columns, *(f"rate.{name}" for name in _RATE_TYPES))
    rated = rated.filter(through("first", "last", F.col("effective_date"))).drop("first", "last")
    if any(p.needs_mini_program for p in close.ledger.programmes):
        rated = rated.join(beside(_with_mini_program(inputs, rated)), _KEY, "left")
        allowed = ~F.col("needs_mini_program") | F.coalesce("has_mini_program", F.lit(False))
        rated = rated.withColumn("eligible", allowed).drop("has_mini_program")
    else:
        rated = rated.withColumn("eligible", F.lit(True))
    key = F.concat_ws("|", "programme", "rule", "merchant_id", F.col("effective_date").cast("string"))
    named = rated.withColumns({"business_key": key, "party": merchant_party(F.col("merchant_id"))})
    return by_party(named.drop("needs_mini_program", "merchant_id"))


def points(net_fen: Column, multiplier_milli: Column) -> Column:
    """floor(net x points x multiplier / (per_fen x 1,000)) in integers; a negative net counts as 0."""
    amount = F.greatest(net_fen, F.lit(0)) * F.col("points") * multiplier_milli.cast("bigint")
    return quotient(amount, F.col("unit"))


def multipliers(inputs: Inputs, close: "Close") -> DataFrame:
    """Grain: party, a merchant. ``scored_milli`` = 500 + tenths of today's total score; a score has one decimal."""
    scores = inputs["score_merchants"].filter(F.col("as_of_date") == F.lit(close.day))
    tenths = F.rint(F.col("total_score") * 10).cast("int")
    party = merchant_party(F.col("merchant_id")).alias("party")
    return scores.select(party, (F.lit(500) + F.coalesce(tenths, F.lit(0))).alias("scored_milli"))


def touched_keys(inputs: Inputs, close: "Close") -> DataFrame:
    """Merchant and effective date of what this close looks at again; a key may come up several times."""
    changes, refunds, days = inputs["state_changes"], inputs["state_refund_days"], inputs["state_user_days"]
    paid = changes.filter(_any("orders", "gmv_fen")).select("merchant_id", _as_effective("business_date"))
    given_back = changes.filter(_any("refunds", "refund_fen"))
    returned = given_back.select("merchant_id", F.col("business_date").alias("refund_date"))
    of_refunds = refunds.join(F.broadcast(returned), ["merchant_id", "refund_date"], "left_semi")
    staff = inputs["core_staff"].filter(F.col("taken_on") == F.lit(close.day))
    start = earn_start(close)
    recent = days.filter(between(F.col("business_date"), start, close.day))
    of_staff = recent.join(F.broadcast(staff), ["merchant_id", "user_key"], "left_semi")
    booked = inputs["ledger_positions"].filter(F.col("merchant_id").isNotNull())
    of_policy = booked.filter(~F.col("policy_version").eqNullSafe(F.lit(close.ledger.version)))
    found = (
        paid.union(of_refunds.select("merchant_id", _as_effective("paid_date")))
        .union(of_staff.select("merchant_id", _as_effective("business_date")))
        .union(of_policy.select(*_KEY))
    )
    if any(p.needs_mini_program for p in close.ledger.programmes):
        changed = inputs["core_merchants"].filter(F.col("taken_on") == F.lit(close.day))
        of_merchants = recent.join(F.broadcast(changed), ["merchant_id"], "left_semi")
        found = found.union(of_merchants.select("merchant_id", _as_effective("business_date")))
    return found.filter(between(F.col("effective_date"), start, close.day))


def _nets(inputs: Inputs, close: "Close", touched: DataFrame) -> DataFrame:
    """Grain: touched key. net_fen = paid - refunds of those trades; staff payers out, null users in.

    A staff pair acts on all of its rows, old ones too, from the close that takes it.
    """
    start = earn_start(close)
    paid = inputs["state_user_days"].filter(between(F.col("business_date"), start, close.day))
    given_back = inputs["state_refund_days"].filter(between(F.col("paid_date"), start, close.day))
    late_days = close.ledger.late_window_days
    parts = [
        _part(paid, "business_date", F.col("gmv_fen")),
        _part(given_back, "paid_date", -F.col("refund_fen")),
    ]
    # Before that day no row can be late for a key that earns, so the payments are not read at all.
    if close.day >= start + timedelta(days=late_days):
        taken = inputs["core_payments"].filter(F.greatest("taken_on", "business_date") <= F.lit(close.day))
        parts.append(_late(taken, start, late_days))
    rows = parts[0]
    for part in parts[1:]:
        rows = rows.unionByName(part)
    rows = rows.join(F.broadcast(touched), _KEY, "left_semi")
    staff = (
        inputs["core_staff"].filter(F.col("taken_on") <= F.lit(close.day)).select("merchant_id", "user_key")
    )
    rows = rows.join(F.broadcast(staff), ["merchant_id", "user_key"], "left_anti").drop("user_key")
    # A key all of whose rows are staff's now still has to be seen falling to nothing.
    known = by_merchant(rows).unionByName(touched.withColumn("net_fen", F.lit(0).cast("bigint")))
    return known.groupBy(*_KEY).agg(F.sum("net_fen").alias("net_fen"))


def _late(payments: DataFrame, start: date, late_days: int) -> DataFrame:
    """Takes out again what was delivered after the late window: the trades, and their refunds.

    A refund that is late itself still counts against its trade: the window bounds what may earn.
    """
    first = start + timedelta(days=late_days)
    recent = payments.filter(F.col("taken_on") >= F.lit(first))
    days_late = F.datediff("delivery_date", "business_date")
    late = recent.filter((F.col("event_type") == "paid") & (days_late > late_days))
    late = late.filter(F.col("business_date") >= F.lit(start))
    trades = late.select(
        "merchant_id",
        "trade_no",
        F.col("user_key").alias("payer"),
        F.col("business_date").alias("paid_date"),
    )
    refunds = payments.filter(F.col("event_type") == "refunded").select(
        "merchant_id", "trade_no", "amount_fen"
    )
    of_late = refunds.join(F.broadcast(trades), ["merchant_id", "trade_no"]).select(
        "merchant_id", F.col("payer").alias("user_key"), "paid_date", "amount_fen"
    )
    return _part(late, "business_date", -F.col("amount_fen")).unionByName(
        _part(of_late, "paid_date", F.col("amount_fen"))
    )


def _part(frame: DataFrame, day: str, amount: Column) -> DataFrame:
    counted = F.coalesce(amount, F.lit(0)).cast("bigint").alias("net_fen")
    return frame.select("merchant_id", "user_key", _as_effective(day), counted)


def _as_effective(day: str) -> Column:
    return F.col(day).alias("effective_date")


def _any(*names: str) -> Column:
    found = F.lit(False)
    for name in names:
        found = found | (F.coalesce(name, F.lit(0)) != 0)
    return found


def _rates(policy: "LedgerPolicy") -> list[dict[str, object]]:
    return [
        {
            "programme": p.name,
            "rule": rule.name,
            "first": p.from_day,
            "last": p.to_day,
            "asset": p.asset,
            "pool": p.pool,
            "on_fall": p.on_fall,
            "needs_mini_program": p.needs_mini_program,
            "points": rule.points,
            "unit": rule.per_fen * 1_000,
            "maturity_days": p.maturity_days,
            "expiry_days": p.expiry_days,
        }
        for p in policy.programmes
        for rule in p.rules
    ]


def _rate(row: dict[str, object]) -> Column:
    return F.struct(*(F.lit(row[name]).cast(kind).alias(name) for name, kind in _RATE_TYPES.items()))


def _with_mini_program(inputs: Inputs, keys: DataFrame) -> DataFrame:
    """Grain: key. Whether the merchant had a mini-program on the effective date."""
    records = inputs["core_merchants"].filter(F.col("mini_program_id").isNotNull())
    records = records.select("merchant_id", "valid_from", "valid_to")
    held = keys.select(*_KEY).join(beside(by_merchant(records)), "merchant_id")
    held = held.filter(through("valid_from", "valid_to", F.col("effective_date"))).select(*_KEY).distinct()
    return held.withColumn("has_mini_program", F.lit(True))
