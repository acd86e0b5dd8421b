"""Runs the three score jobs on rows, as the harness does, and gives plain rows back."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import SparkSession

from ccare.events.slots import load_slots
from ccare.ledger.policy import load_ledger
from ccare.runtime.close import Close
from ccare.runtime.settings import default_conf
from ccare.runtime.spark import conform, frame
from ccare.scoring.policy import load_scoring
from ccare.tables import table
from jobs import score_benchmarks, score_drivers, score_merchants
from tests.scoring.metric_rows import DAY

Rows = list[dict[str, Any]]


def close_of(day: date, benchmarks_of: str = "", **policy: Any) -> Close:
    """A close of ``day`` under the packaged policy with some fields replaced."""
    conf = default_conf()
    scoring = replace(load_scoring(conf).for_day(day), **policy)
    posted = datetime(day.year, day.month, day.day, 1, tzinfo=UTC)
    ledger, slots = load_ledger(conf).for_day(day), load_slots(conf, day)
    return Close(day, day, "run", posted, "UTC", scoring, ledger, slots, benchmarks_of=benchmarks_of)


def frozen(spark: SparkSession, metrics: Rows, day: date = DAY, parts: int = 0, **policy: Any) -> Rows:
    """score_benchmarks that the close of ``day`` freezes."""
    df = frame(spark, table("metric_merchants"), metrics)
    inputs = {
        "metric_merchants": df.repartition(parts) if parts else df,
        "score_benchmarks": frame(spark, table("score_benchmarks")),
    }
    return _rows(score_benchmarks.build(inputs, close_of(day, **policy)), "score_benchmarks")


def scored(
    spark: SparkSession,
    metrics: Rows,
    benchmarks: Rows,
    day: date = DAY,
    previous: Rows = (),
    parts: int = 0,
    **policy: Any,
) -> tuple[Rows, Rows]:
    """score_drivers and score_merchants of ``day``."""
    close, name = close_of(day, **policy), "score_drivers"
    inputs = {
        "metric_merchants": frame(spark, table("metric_merchants"), metrics),
        "score_benchmarks": frame(spark, table("score_benchmarks"), benchmarks),
        "score_merchants": frame(spark, table("score_merchants"), previous),
    }
    if parts:
        inputs = {key: df.repartition(parts) for key, df in inputs.items()}
    drivers = conform(score_drivers.build(inputs, close), table(name)).persist()
    merchants = _rows(score_merchants.build({**inputs, name: drivers}, close), "score_merchants")
    found = _rows(drivers, name)
    drivers.unpersist()
    return found, merchants


def _rows(df, name: str) -> Rows:
    rows = [row.asDict() for row in conform(df, table(name)).collect()]
    key = table(name).key
    assert len({tuple(row[k] for k in key) for row in rows}) == len(rows), f"{name}: the key repeats"
    return sorted(rows, key=lambda row: tuple(str(row[k]) for k in key))
