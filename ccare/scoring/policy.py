"""Dated scoring policy: weights, peers, shrinkage and thresholds, read from ``conf/scoring.toml``.

The numbers are this project's own; the model's public sources give none.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from ccare.errors import UsageError
from ccare.metrics.definitions import DIMENSIONS, METRIC_BY_ID
from ccare.runtime.policy_file import policy_path, read_policy

FILE_NAME = "scoring.toml"
SUM_TOLERANCE = 1e-4


@dataclass(frozen=True)
class ScoringPolicy:
    """One version in force from ``from_day`` on.

    ``dimensions``: share of each dimension in the total; ``weights``: metric id -> share in its dimension.
    Both are normalised, so each sum is 1 to the last digit that doubles allow. Percentiles count 0 to 100.
    """

    version: str
    from_day: date
    dimensions: Mapping[str, float]
    weights: Mapping[str, float]
    coverage_floor: float
    min_peers: int
    min_active_merchants: int
    shrink_min: float
    shrink_max: float
    shrink_default: float
    target_percentile: float
    good_percentile: float
    bad_percentile: float

    def metrics_of(self, dimension: str) -> tuple[str, ...]:
        """Weighted metrics of a dimension, in the order of their declaration."""
        return tuple(m for m in METRIC_BY_ID if m in self.weights and METRIC_BY_ID[m].dimension == dimension)

    @property
    def metrics(self) -> list[str]:
        """Every weighted metric, dimension by dimension."""
        return [name for dimension in self.dimensions for name in self.metrics_of(dimension)]


@dataclass(frozen=True)
class ScoringPolicies:
    """Every version, oldest first."""

    versions: tuple[ScoringPolicy, ...]

    def for_day(self, day: date) -> ScoringPolicy:
        """The version in force on ``day``; UsageError when none is."""
        in_force = [version for version in self.versions if version.from_day <= day]
        if not in_force:
            raise UsageError(
                f"No scoring policy is in force on {day}; the first starts on {self.versions[0].from_day}.",
                remedy=f"Add a version with an earlier date to {FILE_NAME}.",
            )
        return in_force[-1]


_NUMBERS: dict[str, tuple[float, float]] = {
    "coverage_floor": (0.0, 1.0),
    "min_peers": (1, math.inf),
    "min_active_merchants": (1, math.inf),
    "shrink_min": (0.0, math.inf),
    "shrink_max": (0.0, math.inf),
    "shrink_default": (0.0, math.inf),
    "target_percentile": (0.0, 100.0),
    "good_percentile": (0.0, 100.0),
    "bad_percentile": (0.0, 100.0),
}
_WHOLE = frozenset(f.name for f in fields(ScoringPolicy) if f.type is int)
_KEYS = {"id", "from", "dimensions", "weights", *_NUMBERS}


def load_scoring(conf: Path) -> ScoringPolicies:
    """Every version of ``conf/scoring.toml``, or of the product's own file where ``conf`` has none.

    Raises UsageError that lists every mistake at once, InputMissing where the file cannot be read.
    """
    return read_scoring(policy_path(conf, FILE_NAME))


def read_scoring(path: Path) -> ScoringPolicies:
    """Every version of the scoring policy in ``path``; errors as ``load_scoring``."""
    content = read_policy(path, "scoring policy")
    policies, mistakes = parse_scoring(content)
    if mistakes:
        listed = "".join(f"\n  - {mistake}" for mistake in mistakes)
        raise UsageError(
            f"{path} has {len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}:{listed}\n",
            remedy="Mend them all; no day is scored until then.",
        )
    return policies


def parse_scoring(content: Mapping[str, Any]) -> tuple[ScoringPolicies, list[str]]:
    """The versions of a parsed file and every mistake in it; the versions count only without mistakes."""
    mistakes = [f"unknown key {key}" for key in content if key != "version"]
    raw = content.get("version")
    if not isinstance(raw, list) or not raw or not all(isinstance(entry, Mapping) for entry in raw):
        return ScoringPolicies(()), [*mistakes, "there is no [[version]] section"]
    versions = []
    for index, entry in enumerate(raw, start=1):
        found: list[str] = []
        versions.append(_version(entry, found))
        label = entry.get("id") if isinstance(entry.get("id"), str) else f"number {index}"
        mistakes += [f"version {label}: {mistake}" for mistake in found]
    return ScoringPolicies(tuple(versions)), mistakes + _order_mistakes(versions)


def _order_mistakes(versions: list[ScoringPolicy]) -> list[str]:
    mistakes = []
    dated = [version for version in versions if version.from_day != date.max]
    for before, after in pairwise(dated):
        if after.from_day == before.from_day:
            mistakes.append(f"versions {before.version} and {after.version} both start on {after.from_day}")
        elif after.from_day < before.from_day:
            mistakes.append(
                f"version {after.version} starts on {after.from_day}, before {before.version} above it "
                f"({before.from_day}); put versions in the order of their dates"
            )
    ids = [version.version for version in versions]
    mistakes += [f"version id {name} is used twice" for name in sorted({i for i in ids if ids.count(i) > 1})]
    return mistakes


def _version(entry: Mapping[str, Any], mistakes: list[str]) -> ScoringPolicy:
    mistakes += [f"unknown key {key}" for key in entry if key not in _KEYS]
    version = entry.get("id")
    if not isinstance(version, str) or not version:
        mistakes.append("id is missing or not a text")
    start = entry.get("from")
    if not isinstance(start, date) or isinstance(start, datetime):
        mistakes.append("from is missing or not a date (YYYY-MM-DD without quotes)")
        start = date.max
    numbers = {name: _number(entry, name, mistakes) for name in _NUMBERS}
    if numbers["shrink_min"] > numbers["shrink_max"]:
        mistakes.append("shrink_min is above shrink_max")
    if numbers["bad_percentile"] > numbers["good_percentile"]:
        mistakes.append("bad_percentile is above good_percentile")
    return ScoringPolicy(
        version=str(version),
        from_day=start,
        dimensions=_dimension_weights(entry.get("dimensions"), mistakes),
        weights=_metric_weights(entry.get("weights"), mistakes),
        **{name: int(value) if name in _WHOLE else value for name, value in numbers.items()},  # type: ignore[arg-type]
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number(entry: Mapping[str, Any], name: str, mistakes: list[str]) -> float:
    low, high = _NUMBERS[name]
    value = entry.get(name)
    if value is None:
        mistakes.append(f"{name} is missing")
    elif not _is_number(value) or not low <= value <= high:
        bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
        mistakes.append(f"{name} is {value!r}, not a number {bounds}")
    elif name in _WHOLE and value != int(value):
        mistakes.append(f"{name} is {value!r}, not a whole number")
    else:
        return float(value)
    return low


def _normalised(weights: Mapping[str, Any], what: str, mistakes: list[str]) -> dict[str, float]:
    bad = [name for name, weight in weights.items() if not _is_number(weight) or weight < 0]
    mistakes += [
        f"{what}: the weight of {name} is {weights[name]!r}, not a number of at least 0" for name in bad
    ]
    if bad:
        return {}
    total = math.fsum(weights.values())
    if abs(total - 1.0) > SUM_TOLERANCE:
        mistakes.append(f"{what}: the weights sum to {total:.6g}, not to 1")
        return {}
    return {name: weight / total for name, weight in weights.items()}


def _dimension_weights(table: Any, mistakes: list[str]) -> dict[str, float]:
    if not isinstance(table, Mapping):
        mistakes.append("[version.dimensions] is missing")
        return {}
    unknown = [name for name in table if name not in DIMENSIONS]
    mistakes += [
        f"dimensions: unknown dimension {name}; known are {', '.join(DIMENSIONS)}" for name in unknown
    ]
    mistakes += [f"dimensions: {name} has no weight" for name in DIMENSIONS if name not in table]
    return _normalised(table, "dimensions", mistakes)


def _metric_weights(table: Any, mistakes: list[str]) -> dict[str, float]:
    if not isinstance(table, Mapping):
        mistakes.append("[version.weights] is missing")
        return {}
    mistakes += [f"weights: unknown dimension {name}" for name in table if name not in DIMENSIONS]
    weights: dict[str, float] = {}
    for dimension in DIMENSIONS:
        entries = table.get(dimension)
        if not isinstance(entries, Mapping) or not entries:
            mistakes.append(f"[version.weights.{dimension}] is missing or empty")
            continue
        mistakes += filter(None, (_metric_mistake(name, dimension) for name in entries))
        weights |= _normalised(entries, f"weights.{dimension}", mistakes)
    return weights


def _metric_mistake(name: str, dimension: str) -> str:
    metric = METRIC_BY_ID.get(name)
    if metric is None:
        return f"weights.{dimension}: unknown metric {name}"
    if metric.dimension != dimension:
        return f"weights.{dimension}: {name} belongs to {metric.dimension}"
    return "" if metric.scored else f"weights.{dimension}: {name} is shown and never scored"
