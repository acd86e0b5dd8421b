"""Measures that need the events themselves: how crowded hours are, who else the payer and the terminal belong to."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.abuse.rules import CrowdedHours, EventRule, SharedTerminals, StaffElsewhere
from ccare.abuse.spans import KEY, Judged
from ccare.state.facts import FUTURE_DAYS, GUIDE

if TYPE_CHECKING:
    from ccare.runtime.close import Close

Numbered = Sequence[tuple[int, EventRule]]
_STREAMS = {
    "trades": ("core_payments", "paid"),
    "scans": ("core_mini_program_events", "launch"),
    "follows": ("core_life_account_events", "follow"),
}
_CELL = ("rule_no", "place", "bucket")
_STAFF, _SHARED = "staff", "shared"


def event_measures(
    inputs: Mapping[str, DataFrame], close: "Close", span: Judged, rules: Numbered
) -> DataFrame:
    """Grain: merchant, effective date and rule number (``rule_no``): value, counted, amount_fen.

    Each event falls into one cell a rule; cells are summed, then rules. Unknown users and own staff are left out.
    """
    reach = max(rule.window_days for _, rule in rules)
    rows = span.spread(_events(inputs, close, span, rules, reach), reach)
    rows = _with_homes(rows, inputs, close)
    shared = next((rule for _, rule in rules if isinstance(rule, SharedTerminals)), None)
    if shared:
        rows = _with_shared(rows, shared)
    cell = F.explode(F.array_compact(F.array(*(_cell(no, rule) for no, rule in rules))))
    told = rows.select(*KEY, "user_key", "amount_fen", cell.alias("cell"))
    cells = told.groupBy(*KEY, "cell").agg(
        F.count("*").alias("n"), F.count_distinct("user_key").alias("users"), F.sum("amount_fen").alias("fen")
    )
    return _measured(cells, rules)


def _events(
    inputs: Mapping[str, DataFrame], close: "Close", span: Judged, rules: Numbered, reach: int
) -> DataFrame:
    """Trades, scans and follows that a rule asks for, in one shape, of known users."""
    wanted = {rule.events if isinstance(rule, CrowdedHours) else "trades" for _, rule in rules}
    first = span.since(reach) - timedelta(days=FUTURE_DAYS)
    parts = []
    for kind in sorted(wanted):
        name, event_type = _STREAMS[kind]
        taken = F.col("taken_on").between(F.lit(first), F.lit(close.day))
        found = inputs[name].filter(
            taken & (F.col("event_type") == event_type) & F.col("user_key").isNotNull()
        )
        if kind == "scans":
            guided = F.coalesce("promo_position", F.lit("")).startswith(GUIDE)
            found = found.filter((F.col("slot") == "offline_scan") | guided)
        terminal = F.col("terminal_id") if kind != "follows" else F.lit(None).cast("string")
        amount = F.col("amount_fen") if kind == "trades" else F.lit(0).cast("bigint")
        parts.append(
            found.select(
                *("merchant_id", "user_key", "business_date", "occurred_at"),
                terminal.alias("terminal_id"),
                amount.alias("amount_fen"),
                F.lit(kind).alias("kind"),
            )
        )
    return reduce(DataFrame.unionByName, parts)


def _with_homes(rows: DataFrame, inputs: Mapping[str, DataFrame], close: "Close") -> DataFrame:
    """Own staff out; ``homes`` on those who are staff of another merchant."""
    staff = inputs["core_staff"].filter(F.col("taken_on") <= F.lit(close.day))
    homes = staff.groupBy("user_key").agg(F.collect_set("merchant_id").alias("homes"))
    own = F.coalesce(F.array_contains("homes", F.col("merchant_id")), F.lit(False))
    return rows.join(F.broadcast(homes), "user_key", "left").filter(~own)


def _with_shared(rows: DataFrame, rule: SharedTerminals) -> DataFrame:
    """``sharers`` on trades at a terminal at which another merchant was paid in the rule's window."""
    paid = rows.filter((F.col("kind") == "trades") & F.col("terminal_id").isNotNull() & _within(rule))
    several = F.when(F.min("merchant_id") != F.max("merchant_id"), F.lit(True)).alias("sharers")
    told = paid.groupBy("effective_date", "terminal_id").agg(several).filter(F.col("sharers"))
    return rows.join(F.broadcast(told), ["effective_date", "terminal_id"], "left")


def _within(rule: EventRule) -> Column:
    return F.datediff("effective_date", "business_date") < rule.window_days


def _cell(no: int, rule: EventRule) -> Column:
    """The cell that an event falls into under a rule; null where the rule does not look at it."""
    nowhere = F.lit("")
    if isinstance(rule, CrowdedHours):
        places = {
            "merchant": nowhere,
            "terminal": F.coalesce("terminal_id", nowhere),
            "payer": F.col("user_key"),
        }
        place = places[rule.place]
        bucket = F.floor(F.unix_seconds("occurred_at") / (60 * rule.minutes))
        looked_at = F.col("kind") == rule.events
    else:
        mark, of = (_STAFF, "homes") if isinstance(rule, StaffElsewhere) else (_SHARED, "sharers")
        place = F.when(F.col(of).isNotNull(), F.lit(mark)).otherwise(nowhere)
        bucket, looked_at = F.lit(0), F.col("kind") == "trades"
    parts = (F.lit(no), place, bucket.cast("bigint"))
    struct = F.struct(*(part.alias(name) for name, part in zip(_CELL, parts, strict=True)))
    return F.when(looked_at & _within(rule), struct)


def _measured(cells: DataFrame, rules: Numbered) -> DataFrame:
    no = F.col("cell.rule_no")
    crowded, by_amount = F.lit(False), []
    for number, rule in rules:
        if isinstance(rule, CrowdedHours):
            hit = (F.col("n") >= rule.rows) & (F.col("n") >= F.col("users") * rule.per_user)
        else:
            hit = F.col("cell.place") != ""
            by_amount.append(number)
        crowded = F.when(no == number, hit).otherwise(crowded)
    rows = cells.select(*KEY, no.alias("rule_no"), "n", "fen", crowded.alias("crowded"))
    part, whole = F.sum(F.when(F.col("crowded"), F.col("fen"))), F.sum("fen")
    events = F.sum(F.when(F.col("crowded"), F.col("n"))) / F.sum("n")
    share = F.when(F.col("rule_no").isin(by_amount), F.when(whole > 0, part / whole)).otherwise(events)
    nothing = F.lit(0).cast("bigint")
    return rows.groupBy(*KEY, "rule_no").agg(
        F.round(F.coalesce(share, F.lit(0.0)), 4).alias("value"),
        F.sum("n").alias("counted"),
        F.coalesce(part, nothing).alias("amount_fen"),
    )
