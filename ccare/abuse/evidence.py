"""Rows of score_evidence: the rules that speak against a merchant on an effective date."""

from collections.abc import Mapping
from datetime import date
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.abuse.events import event_measures
from ccare.abuse.policy import InForce
from ccare.abuse.rules import USER_RULES
from ccare.abuse.spans import KEY, Judged, days_to_judge, judged
from ccare.abuse.users import user_measures

if TYPE_CHECKING:
    from ccare.runtime.close import Close


def evidence(inputs: Mapping[str, DataFrame], close: "Close") -> DataFrame:
    """Grain: merchant, effective date and rule that speaks. Whole days of every date that the close judges.

    On its own day everyone is judged; on earlier dates those whose rows came in: what speaks no longer is cleared, not
    dropped, for what had matured by then keeps its verdict.
    """
    dates = days_to_judge(close)
    rules = close.abuse.judging(dates[0], dates[-1]) if dates else ()
    kept = inputs["score_evidence"]
    if not rules:
        return kept.limit(0)
    span = judged(inputs["state_changes"], dates, max(r.rule.window_days for r in rules))
    told = spoken(measured(inputs, close, span, rules), rules).withColumns(
        {
            "found_on": F.lit(close.day),
            "cleared_on": F.lit(None).cast("date"),
            "run_id": F.lit(close.run_id),
        }
    )
    if span.of is None:
        return told
    return _beside_earlier(told, kept.filter(F.col("effective_date").isin(*dates[:-1])), span.of, close.day)


def measured(
    inputs: Mapping[str, DataFrame], close: "Close", span: Judged, rules: tuple[InForce, ...]
) -> DataFrame:
    """Grain: merchant, effective date and rule (``rule_no``: its place in ``rules``) that has anything to measure.

    Columns: value (a share, or payers), counted (trades, refunds, users or events behind it), amount_fen.
    """
    users = [(no, r.rule) for no, r in enumerate(rules) if isinstance(r.rule, USER_RULES)]
    others = [(no, r.rule) for no, r in enumerate(rules) if not isinstance(r.rule, USER_RULES)]
    parts = [user_measures(inputs, close, span, users)] if users else []
    parts += [event_measures(inputs, close, span, others)] if others else []
    return reduce(DataFrame.unionByName, parts)


def spoken(measures: DataFrame, rules: tuple[InForce, ...]) -> DataFrame:
    """The measures that pass their rule's threshold, on dates that its version judges."""
    about = F.element_at(F.array(*(_about(r) for r in rules)), F.col("rule_no") + 1)
    rows = measures.withColumn("about", about)
    over = F.when(F.col("about.test") == "at_least", F.col("value") >= F.col("about.threshold"))
    over = over.otherwise(F.col("value") <= F.col("about.threshold"))
    day = F.col("effective_date")
    judges = (day >= F.col("about.first")) & (F.col("about.last").isNull() | (day <= F.col("about.last")))
    rows = rows.filter(over & judges & (F.col("counted") >= F.col("about.least")))
    return rows.select(*KEY, *(f"about.{name}" for name in _ABOUT), "value", "counted", "amount_fen")


def _beside_earlier(told: DataFrame, before: DataFrame, again: DataFrame, day: date) -> DataFrame:
    """What speaks now (``told``) and what was found ``before``, one row a rule; ``again``: keys judged again."""
    names = [n for n in told.columns if n not in (*KEY, "rule")]
    rows = told.withColumn("is_new", F.lit(True)).unionByName(
        before.select(*told.columns).withColumn("is_new", F.lit(False))
    )
    still = F.min(F.when(~F.col("is_new") & F.col("cleared_on").isNull(), F.col("found_on")))
    found = rows.groupBy(*KEY, "rule").agg(
        F.max_by(F.struct(*names), "is_new").alias("row"),
        F.max("is_new").alias("speaks"),
        still.alias("since"),
    )
    marked = found.join(F.broadcast(again.withColumn("again", F.lit(True))), KEY, "left")
    speaks, cleared = F.col("speaks"), F.col("row.cleared_on")
    silent = F.when(F.col("again"), F.coalesce(cleared, F.lit(day))).otherwise(cleared)
    dates = {
        "found_on": F.when(speaks, F.coalesce("since", "row.found_on")).otherwise(F.col("row.found_on")),
        "cleared_on": F.when(~speaks, silent),
    }
    return marked.select(*KEY, "rule", *(dates.get(n, F.col(f"row.{n}")).alias(n) for n in names))


_ABOUT = (
    *("rule", "family", "effect", "programmes", "test", "threshold", "least", "window_days"),
    "policy_version",
)
"""What a row of evidence repeats of its rule."""


def _about(each: InForce) -> Column:
    rule = each.rule
    values: dict[str, tuple[object, str]] = {
        "rule": (rule.name, "string"),
        "family": (rule.family, "string"),
        "effect": (rule.effect, "string"),
        "test": (rule.test, "string"),
        "threshold": (rule.threshold, "double"),
        "least": (rule.least, "bigint"),
        "window_days": (rule.window_days, "int"),
        "policy_version": (each.policy_version, "string"),
        "first": (each.first, "date"),
        "last": (each.last, "date"),
    }
    columns = [F.lit(value).cast(kind).alias(name) for name, (value, kind) in values.items()]
    programmes = F.array(*(F.lit(name) for name in rule.programmes)).cast("array<string>")
    return F.struct(*columns, programmes.alias("programmes"))
