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
from ccare.abuse.spans import KEY, Judged, dates_judged, judged
from ccare.abuse.users import user_measures
from ccare.tables import table

if TYPE_CHECKING:
    from ccare.runtime.close import Close


def days_to_judge(close: "Close") -> tuple[date, ...]:
    """Effective dates whose evidence this close finds, oldest first; none where no rule judges them."""
    return dates_judged(close, close.abuse.judging(close.first_day, close.day))


def evidence(inputs: Mapping[str, DataFrame], close: "Close") -> DataFrame:
    """Grain: merchant, effective date and rule that speaks. Whole days of every date that the close judges.

    On its own day everyone is judged; on earlier dates those whose rows came in, and what was found of the others
    stands.
    """
    dates = days_to_judge(close)
    rules = close.abuse.judging(dates[0], dates[-1]) if dates else ()
    kept = inputs["score_evidence"]
    if not rules:
        return kept.limit(0)
    span = judged(inputs["state_changes"], dates, max(r.rule.window_days for r in rules))
    told = spoken(measured(inputs, close, span, rules), rules).withColumn("run_id", F.lit(close.run_id))
    if span.of is None:
        return told
    before = kept.filter(F.col("effective_date").isin(*dates[:-1])).join(
        F.broadcast(span.of), KEY, "left_anti"
    )
    return told.unionByName(before.select(*told.columns))


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
    names = [n for n in table("score_evidence").column_names if n not in ("run_id", *measures.columns)]
    return rows.select(*KEY, *(f"about.{name}" for name in names), "value", "counted", "amount_fen")


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
