"""Rules about a whole delivery rather than a row: declared in expectations/, judged by numbers already at hand.

What a rule looks at is a measure: one number of one stream's day. Most are sums over the day's rows of
raw_files, so they cost nothing; the others come from ``relations``.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from ccare.errors import UsageError
from ccare.runtime.gate import Failure, Rule, expectations_dir
from ccare.tables.streams import STREAMS

EVERY_STREAM = "streams"
"""expectations/streams.toml: rules of every stream. A table's own file replaces one by its id."""
WEEKS = 8
LEAST_WEEKS = 4
_LIMITS = ("min", "max", "least_rows")


@dataclass(frozen=True)
class Measured:
    """One number: ``rows`` is how many rows it was taken over; ``detail`` says it in words."""

    value: float
    rows: int
    detail: str


@dataclass(frozen=True)
class DatasetRule:
    """A rule on a measure. It is silent where the measure is missing or taken over fewer than ``least_rows``."""

    rule: Rule
    measure: str
    min: float | None = None
    max: float | None = None
    least_rows: int = 0

    def broken_by(self, found: Measured) -> bool:
        """Whether the number is out of bounds."""
        if found.rows < self.least_rows:
            return False
        return (self.max is not None and found.value > self.max) or (
            self.min is not None and found.value < self.min
        )


@cache
def dataset_rules(table: str) -> tuple[DatasetRule, ...]:
    """Dataset rules of a stream's table; UsageError lists every mistake of its files."""
    found: dict[str, DatasetRule] = {}
    for name in (EVERY_STREAM, table):
        path = expectations_dir() / f"{name}.toml"
        if path.is_file():
            found |= {rule.rule.id: rule for rule in _load(path)}
    return tuple(found.values())


def _load(path: Path) -> list[DatasetRule]:
    rules, mistakes = [], []
    for entry in tomllib.loads(path.read_text()).get("dataset", []):
        known = {"id", "measure", "severity", "why", *_LIMITS}
        bounded = "min" in entry or "max" in entry
        sound = {"id", "measure", "severity", "why"} <= entry.keys() <= known and bounded and entry["why"]
        if not sound or entry["severity"] not in ("block", "warn"):
            mistakes.append(entry.get("id", "a rule without id"))
            continue
        limits = {name: entry[name] for name in _LIMITS if name in entry}
        bounds = tuple((name, limits[name]) for name in ("min", "max") if name in limits)
        arguments = (("column", entry["measure"]), *bounds)
        rule = Rule(entry["id"], "measured", arguments, entry["severity"], entry["why"])
        rules.append(DatasetRule(rule, entry["measure"], **limits))
    if mistakes:
        raise UsageError(
            f"expectations/{path.name}: {', '.join(mistakes)} lack a measure, a bound, a severity or a why.",
            remedy="Mend the file and run again.",
        )
    return rules


def judged(table: str, measures: Mapping[str, Measured]) -> tuple[list[Rule], list[Failure]]:
    """The table's rules that had something to look at, and those of them that do not hold."""
    looked, broken = [], []
    for declared in dataset_rules(table):
        found = measures.get(declared.measure)
        if found is None:
            continue
        looked.append(declared.rule)
        if declared.broken_by(found):
            broken.append(Failure(table, declared.rule, 0, "", found.detail, found.value))
    return looked, broken


def delivery_measures(
    stream: str, day: date, files: Sequence[Mapping[str, Any]], history: Iterable[Mapping[str, Any]]
) -> dict[str, Measured]:
    """Measures of a stream's day from rows of raw_files: those of this run and those published before.

    refused_share_bp, rows_of_the_day, volume_mads and volume_percent (the last two only with a history of four
    same weekdays).
    """
    due = day + timedelta(days=1)
    read = sum(f["rows_read"] for f in files)
    refused = sum(f["rows_rejected"] for f in files)
    today = sum(f["rows_read"] for f in files if f["delivery_date"] == due)
    found = {"rows_of_the_day": Measured(today, 0, _emptiness(stream, due, files))}
    if read:
        share = f"{refused:,} of {read:,} rows are refused"
        found["refused_share_bp"] = Measured(10_000 * refused / read, read, share)
    return found | _volume(stream, due, today, history)


def _emptiness(stream: str, due: date, files: Sequence[Mapping[str, Any]]) -> str:
    older = sum(f["rows_read"] for f in files)
    rest = f"; {older:,} rows came in older folders" if older else ""
    return f"{stream} dated {due} holds no rows{rest}"


def _volume(stream: str, due: date, today: int, history: Iterable[Mapping[str, Any]]) -> dict[str, Measured]:
    """Today against the same weekday of the last weeks: distance in median absolute deviations, and percent."""
    days: dict[date, int] = {}
    for row in history:
        delivered = row["delivery_date"]
        if row["stream"] == stream and delivered < due and (due - delivered).days % 7 == 0:
            days[delivered] = days.get(delivered, 0) + row["rows_read"]
    last = [days[d] for d in sorted(days)[-WEEKS:] if days[d]]
    if len(last) < LEAST_WEEKS or not today:
        return {}
    middle = median(last)
    # Deliveries that are always of one size have no deviation: a twentieth of the median stands in for it.
    spread = max(median(abs(rows - middle) for rows in last), middle / 20)
    told = (
        f"{stream} has {today:,} rows where its last {len(last)} {due:%A}s have {middle:,.0f} at the median"
    )
    return {
        "volume_mads": Measured(round(abs(today - middle) / spread, 2), today, told),
        "volume_percent": Measured(round(100 * today / middle, 2), today, told),
    }


def every_rule() -> list[tuple[str, DatasetRule]]:
    """(table, rule) of every stream's dataset rules, in the order in which streams are taken."""
    return [(s.table, rule) for s in STREAMS.values() for rule in dataset_rules(s.table)]
