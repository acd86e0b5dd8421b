"""Measures that days of users tell: who pays, what went back, who came again, who still follows."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.abuse.rules import EffectivePayers, LateRefunds, OneVisit, RefundedPayers, UserRule
from ccare.abuse.spans import KEY, Judged
from ccare.ledger.touched import staff_pairs
from ccare.tables.state import TASKS

if TYPE_CHECKING:
    from ccare.runtime.close import Close

Numbered = Sequence[tuple[int, UserRule]]
MEASURE = ("value", "counted", "amount_fen")
_GONE_TENTHS = 9
_FOLLOWED, _GUIDED = (1 << TASKS.index(name) for name in ("followed", "guided"))


def user_measures(
    inputs: Mapping[str, DataFrame], close: "Close", span: Judged, rules: Numbered
) -> DataFrame:
    """Grain: merchant, effective date and rule number (``rule_no``). MEASURE columns; staff are left out.

    Two sums for all rules: by user, then by merchant.
    """
    rows = span.spread(_days(inputs, span, rules), max(rule.window_days for _, rule in rules))
    staff = F.broadcast(staff_pairs(inputs, close))
    rows = rows.join(staff, ["merchant_id", "user_key"], "left_anti")
    by_user = [each.alias(name) for no, rule in rules for name, each in _of_user(no, rule).items()]
    users = rows.groupBy(*KEY, "user_key").agg(*by_user)
    told = users.groupBy(*KEY).agg(*(_of_merchant(no, rule).alias(f"m{no}") for no, rule in rules))
    each = F.explode(F.array(*(F.struct(F.lit(no).alias("rule_no"), F.col(f"m{no}.*")) for no, _ in rules)))
    return told.select(*KEY, each.alias("m")).select(*KEY, "m.*")


def _days(inputs: Mapping[str, DataFrame], span: Judged, rules: Numbered) -> DataFrame:
    """User days; where a rule asks, refunds too as rows of their own, dated by the refund."""
    reach = span.since(max(rule.window_days for _, rule in rules))
    dated = F.col("business_date").between(F.lit(reach), F.lit(span.last))
    days = (
        inputs["state_user_days"]
        .filter(dated)
        .select(
            *("merchant_id", "user_key", "business_date", "orders", "gmv_fen"),
            (F.coalesce("active_events", _nothing()) > 0).alias("active"),
            F.coalesce("tasks", _nothing()).alias("tasks"),
            F.struct("follow_at", "follow_event_id", "follow_on").alias("follow"),
        )
    )
    if not any(isinstance(rule, LateRefunds | RefundedPayers) for _, rule in rules):
        return days.withColumns(
            {"paid_date": F.lit(None).cast("date"), "back_fen": _nothing(), "refunds": _nothing()}
        )
    refunds = inputs["state_refund_days"].select(
        *("merchant_id", "user_key", "paid_date", "refunds"),
        F.col("refund_date").alias("business_date"),
        F.col("refund_fen").alias("back_fen"),
    )
    return days.unionByName(refunds, allowMissingColumns=True)


def _of_user(no: int, rule: UserRule) -> dict[str, Column]:
    """What a rule sums up for each user."""
    back = F.datediff("effective_date", "business_date")
    seen = back < rule.window_days
    known = F.col("user_key").isNotNull()
    if isinstance(rule, EffectivePayers):
        counts = seen & known
        return {f"a{no}": _sum(counts, "gmv_fen"), f"b{no}": _sum(counts, "orders")}
    old = seen & (back >= rule.after_days)
    if isinstance(rule, LateRefunds):
        late = seen & (F.datediff("business_date", "paid_date") > rule.after_days)
        return {
            f"a{no}": _sum(late, "back_fen"),
            f"b{no}": _sum(late, "refunds"),
            f"c{no}": _sum(seen, "gmv_fen"),
        }
    if isinstance(rule, RefundedPayers):
        paid_back = F.datediff("effective_date", "paid_date")
        of_old = known & (paid_back >= rule.after_days) & (paid_back < rule.window_days)
        return {f"a{no}": _sum(old & known, "gmv_fen"), f"b{no}": _sum(of_old, "back_fen")}
    if isinstance(rule, OneVisit):
        first = F.min(F.when(old & known & _did(_GUIDED), F.col("business_date")))
        last = F.max(F.when(seen & F.col("active"), F.col("business_date")))
        return {f"a{no}": first, f"b{no}": last}
    on = F.max(old & known & _did(_FOLLOWED))
    last_change = F.max(F.when(seen & F.col("follow.follow_at").isNotNull(), F.col("follow")))
    return {f"a{no}": on, f"b{no}": ~F.coalesce(last_change.getField("follow_on"), F.lit(True))}


def _of_merchant(no: int, rule: UserRule) -> Column:
    """A rule's measure out of what its users summed up to."""
    a, b = F.col(f"a{no}"), F.col(f"b{no}")
    if isinstance(rule, EffectivePayers):
        paid = a.cast("double")
        mixed = F.exp(F.log(F.sum(paid)) - F.sum(F.when(a > 0, paid * F.log(paid))) / F.sum(paid))
        return _measure(mixed, F.sum(b), F.sum(a))
    if isinstance(rule, LateRefunds):
        return _measure(_share(F.sum(a), F.sum(f"c{no}")), F.sum(b), F.sum(a))
    if isinstance(rule, RefundedPayers):
        gone = (a > 0) & (b * 10 >= a * _GONE_TENTHS)
        return _measure(_share(F.count_if(gone), F.count_if(a > 0)), F.count_if(a > 0), _sum(gone, f"b{no}"))
    if isinstance(rule, OneVisit):
        gone = a.isNotNull() & (b <= a)
        return _measure(_share(F.count_if(gone), F.count(a)), F.count(a), _nothing())
    return _measure(_share(F.count_if(a & b), F.count_if(a)), F.count_if(a), _nothing())


def _measure(value: Column, counted: Column, amount: Column) -> Column:
    """Rounded, so that the order in which a sum was made up never tips a threshold."""
    parts = (F.round(value, 4), F.coalesce(counted, _nothing()), F.coalesce(amount, _nothing()))
    return F.struct(*(part.alias(name) for name, part in zip(MEASURE, parts, strict=True)))


def _share(part: Column, whole: Column) -> Column:
    """part / whole; null where there is no whole."""
    return F.when(whole > 0, part / whole)


def _sum(counts: Column, name: str) -> Column:
    return F.sum(F.when(counts, F.coalesce(F.col(name), _nothing())).otherwise(_nothing()))


def _did(task: int) -> Column:
    return F.coalesce(F.col("tasks").bitwiseAND(F.lit(task)) != 0, F.lit(False))


def _nothing() -> Column:
    return F.lit(0).cast("bigint")
