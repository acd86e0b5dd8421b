"""Runs the three score jobs on rows, as the harness does, and gives plain rows back."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from ccare.events.slots import load_slots
from ccare.ledger.policy import load_ledger
from ccare.runtime.close import Close
from ccare.runtime.settings import default_conf
from ccare.scoring.policy import load_scoring
from ccare.tables import table
from jobs import score_benchmarks, score_drivers, score_merchants
from tests.held_lake import held_lake
from tests.scoring.metric_rows import DAY

Rows = list[dict[str, Any]]


def close_of(day: date, benchmarks_of: str = "", **policy: Any) -> Close:
    """A close of ``day`` under the packaged policy with some fields replaced."""
    conf = default_conf()
    scoring = replace(load_scoring(conf).for_day(day), **policy)
    posted = datetime(day.year, day.month, day.day, 1, tzinfo=UTC)
    ledger, slots = load_ledger(conf).for_day(day), load_slots(conf, day)
    return Close(day, day, "run", posted, "UTC", scoring, ledger, slots, benchmarks_of=benchmarks_of)


def frozen(metrics: Rows, day: date = DAY, **policy: Any) -> Rows:
    """score_benchmarks that the close of ``day`` freezes."""
    con = held_lake({"metric_merchants": metrics, "score_benchmarks": ()})
    return _rows(score_benchmarks.build(con, close_of(day, **policy)), "score_benchmarks")


def scored(
    metrics: Rows, benchmarks: Rows, day: date = DAY, previous: Rows = (), **policy: Any
) -> tuple[Rows, Rows]:
    """score_drivers and score_merchants of ``day``."""
    close, name = close_of(day, **policy), "score_drivers"
    con = held_lake(
        {"metric_merchants": metrics, "score_benchmarks": benchmarks, "score_merchants": previous}
    )
    drivers = score_drivers.build(con, close)
    con.register(name, drivers)
    return _rows(drivers, name), _rows(score_merchants.build(con, close), "score_merchants")


def _rows(made: pa.Table, name: str) -> Rows:
    declared = table(name)
    assert made.schema.names == list(declared.column_names)
    rows, key = made.to_pylist(), declared.key
    assert len({tuple(row[k] for k in key) for row in rows}) == len(rows), f"{name}: the key repeats"
    return sorted(rows, key=lambda row: tuple(str(row[k]) for k in key))
