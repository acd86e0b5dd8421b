"""What two runs knew of one day's score: derived by each run's rows, and the late rows that moved it between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import duckdb

from ccare.errors import InputMissing, UsageError
from ccare.metrics.definitions import METRIC_BY_ID
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings
from ccare.scoring.published import Lake, Scored, open_lake, read_scored
from ccare.scoring.rederive import Derived, derive_from, industry_of
from ccare.scoring.remeasure import metrics_of, rows_of_merchant

ONE_BY_ONE = 25
"""Up to so many late rows are each left out, and added alone, to see what they moved."""
_LATE = """
select stream, event_id, kind, day as business_date, delivery_date, taken_on, amount_fen from taken
where taken_on > $known
union all
select 'core_traffic_hours', event_id, 'delivered', day, delivery_date, taken_on, null from shown
where taken_on > $known
order by taken_on, business_date, stream, event_id
"""
_STAFF = "select count(distinct user_key) from staff where taken_on > $known"
_DIMENSIONS = ("total", "scale", "activity", "potential", "efficiency")


@dataclass(frozen=True)
class LateRow:
    """A row that the later run knew and the earlier one did not; ``moved``: metrics, None where it was not tried."""

    table: str
    event_id: str
    event_type: str
    business_date: date
    delivery_date: date
    taken_on: date
    amount_fen: int | None
    moved: tuple[str, ...] | None


@dataclass(frozen=True)
class MetricChange:
    """A weighted metric by what each run knew."""

    metric_id: str
    before: float | None
    after: float | None
    percentile_before: float
    percentile_after: float


@dataclass
class Difference:
    """A day's score by two runs, the earlier one first; scores are those that the rows give under its policy."""

    merchant_id: str
    as_of_date: date
    runs: tuple[str, str]
    policies: tuple[str, str]
    scores: Mapping[str, tuple[float | None, float | None]]
    metrics: list[MetricChange] = field(default_factory=list)
    late_rows: list[LateRow] = field(default_factory=list)
    late_staff: int = 0

    def lines(self) -> list[str]:
        """What a person is told."""
        told = [f"{self.merchant_id} on {self.as_of_date}: {self.runs[0]} -> {self.runs[1]}"]
        told += [f"  {name} {_shown(a)} -> {_shown(b)}" for name, (a, b) in self.scores.items() if a != b]
        if len(told) == 1:
            told.append("  no score differs")
        if self.policies[0] != self.policies[1]:
            told.append(f"  policy {self.policies[0]} -> {self.policies[1]}")
        told += [
            f"  {m.metric_id} {_shown(m.before)} -> {_shown(m.after)}, place {m.percentile_before:.1f} -> "
            f"{m.percentile_after:.1f}"
            for m in self.metrics
        ]
        if not self.late_rows and not self.late_staff:
            return [*told, "  no row of the day or before came in between"]
        told.append(f"  {len(self.late_rows)} rows came in between:")
        told += [f"    {_row_line(row)}" for row in self.late_rows]
        if self.late_staff:
            told.append(f"    {self.late_staff} users became staff: they leave every figure of users")
        return told


def diff(settings: Settings, merchant_id: str, day: date, one: str, other: str) -> Difference:
    """Compare what two runs (run_id or seq) knew of the day's score.

    UsageError where a run is not published, or closed a day before ``day``; InputMissing where it is not scored.
    """
    lake = open_lake(settings)
    first, second = sorted((_run(lake, one, day), _run(lake, other, day)), key=lambda run: run.seq)
    early, late = (
        read_scored(lake, merchant_id, day, _that_scored(lake, run, day)) for run in (first, second)
    )
    sources = lake.sources_of(second)
    known = min(first.business_date, second.business_date), max(first.business_date, second.business_date)
    with rows_of_merchant(sources, merchant_id, day, known[1]) as con:
        industry = industry_of(con, sources, merchant_id, day)
        metrics = [metrics_of(con, day, on) for on in known]
        before, after = (derive_from(s, m, industry) for s, m in zip((early, late), metrics, strict=True))
        rows = _late_rows(con, late, known, metrics)
        (staff,) = con.execute(_STAFF, {"known": known[0]}).fetchone() or (0,)
    return Difference(
        merchant_id,
        day,
        (_named(first), _named(second)),
        (early.policy.version, late.policy.version),
        {name: (before.scores[f"{name}_score"], after.scores[f"{name}_score"]) for name in _DIMENSIONS},
        _metric_changes(before, after),
        rows,
        staff,
    )


def _run(lake: Lake, name: str, day: date) -> Published:
    found = next((row for row in lake.rows if name in (row.run_id, str(row.seq))), None)
    if found is None:
        raise UsageError(f"No run {name} is published.", remedy="See seq and run_id in ccare status --json.")
    if found.business_date < day:
        raise UsageError(
            f"Run {found.seq} closed {found.business_date}, before {day}.",
            remedy="Give two runs that closed the day or a later one.",
        )
    return found


def _that_scored(lake: Lake, run: Published, day: date) -> Published:
    """The run itself: its pinned tables hold the day as it was published then."""
    if "score_merchants" not in run.table_versions:
        raise InputMissing(f"{day} is not scored.", remedy=f"Close it first: ccare run --day {day}.")
    return run


def _late_rows(
    con: duckdb.DuckDBPyConnection,
    scored: Scored,
    known: tuple[date, date],
    metrics: Sequence[Mapping[str, int]],
) -> list[LateRow]:
    cursor = con.execute(_LATE, {"known": known[0]})
    names = [column[0] for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    keys = [(row["stream"], row["event_id"]) for row in rows]
    try_each = len(rows) <= ONE_BY_ONE
    found = []
    for row, key in zip(rows, keys, strict=True):
        moved = None
        if try_each:
            without = metrics_of(con, scored.day, known[1], [key])
            alone = metrics_of(con, scored.day, known[1], [other for other in keys if other != key])
            moved = _moved_metrics(scored, (metrics[1], without), (metrics[0], alone))
        found.append(
            LateRow(
                row["stream"],
                row["event_id"],
                row["kind"],
                row["business_date"],
                row["delivery_date"],
                row["taken_on"],
                row["amount_fen"],
                moved,
            )
        )
    return found


def _moved_metrics(scored: Scored, *pairs: tuple[Mapping[str, int], Mapping[str, int]]) -> tuple[str, ...]:
    """Weighted metrics whose counts differ in either pair: without the row, or with the row alone."""
    moved = []
    for name in scored.policy.weights:
        metric = METRIC_BY_ID[name]
        columns = (f"{name}_num", f"{name}_den", metric.population) if metric.is_ratio else (name,)
        if any(one.get(c) != other.get(c) for one, other in pairs for c in columns):
            moved.append(name)
    return tuple(moved)


def _metric_changes(before: Derived, after: Derived) -> list[MetricChange]:
    names = [name for name in after.drivers if name in before.drivers]
    changes = [
        MetricChange(
            name,
            before.drivers[name]["value"],
            after.drivers[name]["value"],
            before.drivers[name]["percentile"],
            after.drivers[name]["percentile"],
        )
        for name in names
    ]
    return [c for c in changes if (c.before, c.percentile_before) != (c.after, c.percentile_after)]


def _named(run: Published) -> str:
    return f"run {run.seq} ({run.run_id}, {run.kind} of {run.business_date})"


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:,.4f}".rstrip("0").rstrip(".")


def _row_line(row: LateRow) -> str:
    amount = "" if row.amount_fen is None else f", {row.amount_fen} fen"
    moved = (
        "not tried alone"
        if row.moved is None
        else f"moved {', '.join(row.moved)}"
        if row.moved
        else "moved nothing"
    )
    return (
        f"{row.table} {row.event_id}: {row.event_type} of {row.business_date}, delivered {row.delivery_date}, counts "
        f"from {row.taken_on}{amount}: {moved}"
    )
