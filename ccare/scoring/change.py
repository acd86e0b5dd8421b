"""What moved a score between two days, driver by driver, in parts that sum to the published change exactly.

A dimension is a sum of contributions, so its change is theirs. The total is a weighted geometric mean; its change is
split by the logarithmic mean L(a, b) = (a - b) / ln(a / b), which leaves no remainder: dT = sum over dimensions of
W L(T1, T0) / L(D1, D0) dD. Source: B. W. Ang (2005), The LMDI approach to decomposition analysis: a practical guide,
Energy Policy 33 (7), 867-871.

Published scores have one decimal, so up to a tenth of a change is rounding; it is spread over the drivers that moved,
by how much they did, and parts are told in hundredths of a point.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, isclose, log
from typing import Any

from ccare.metrics.definitions import DIMENSIONS
from ccare.scoring.policy import ScoringPolicy
from ccare.scoring.score import LEAST

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """One driver's part in hundredths of a point: of its dimension's change and of the total's (None: untold)."""

    metric_id: str
    dimension: str
    of_dimension: int | None
    of_total: int | None


@dataclass(frozen=True)
class Day:
    """One day's score: the row of score_merchants and rows of score_drivers by metric."""

    scores: Row
    drivers: Mapping[str, Row]

    def dimension(self, d: str) -> float:
        """The dimension as its drivers make it, not rounded."""
        return sum(float(row["contribution"]) for row in self.drivers.values() if row["dimension"] == d)

    def contribution(self, metric_id: str) -> float:
        """0 where the day's policy did not weigh the metric."""
        row = self.drivers.get(metric_id)
        return 0.0 if row is None else float(row["contribution"])


def hundredths(before: Any, after: Any) -> int | None:
    """A change of a published score in hundredths of a point; None where either day has none."""
    return None if before is None or after is None else round((after - before) * 100)


def parts(before: Day, after: Day, policy: ScoringPolicy) -> list[Part]:
    """Every driver's part, in the order of the drivers. Parts of a dimension sum to its change, all to the total's."""
    names = list(dict.fromkeys([*after.drivers, *before.drivers]))
    dimension_of = {
        name: str((after.drivers.get(name) or before.drivers[name])["dimension"]) for name in names
    }
    moved = {name: after.contribution(name) - before.contribution(name) for name in names}
    in_dimension: dict[str, int] = {}
    for d in DIMENSIONS:
        change = hundredths(before.scores[f"{d}_score"], after.scores[f"{d}_score"])
        if change is not None:
            in_dimension |= split({m: moved[m] for m in names if dimension_of[m] == d}, change)
    change = hundredths(before.scores["total_score"], after.scores["total_score"])
    in_total: dict[str, int] = {}
    if change is not None:
        slopes = {d: _slope(before, after, d, policy) for d in DIMENSIONS}
        in_total = split({m: slopes[dimension_of[m]] * moved[m] for m in names}, change)
    return [Part(m, dimension_of[m], in_dimension.get(m), in_total.get(m)) for m in names]


def split(exact: Mapping[str, float], whole: int) -> dict[str, int]:
    """Whole numbers beside the hundredths of ``exact`` that sum to ``whole``.

    What is missing is spread by size over the parts that moved (over all where none did), then largest remainders.
    """
    if not exact:
        return {}
    scaled = {name: value * 100 for name, value in exact.items()}
    size = sum(abs(value) for value in scaled.values())
    missing = whole - sum(scaled.values())
    told = {
        name: value + missing * (abs(value) / size if size else 1 / len(scaled))
        for name, value in scaled.items()
    }
    least = {name: floor(value + 1e-9) for name, value in told.items()}
    by_remainder = sorted(told, key=lambda name: (least[name] - told[name], name))
    short = whole - sum(least.values())
    for name in by_remainder[:short]:
        least[name] += 1
    return least


def _slope(before: Day, after: Day, d: str, policy: ScoringPolicy) -> float:
    """What a point of the dimension adds to the total; nothing while it stays under the floor."""
    old, new = before.dimension(d), after.dimension(d)
    floored_old, floored_new = max(old, LEAST), max(new, LEAST)
    held = 1.0 if old > LEAST else 0.0
    if not isclose(old, new, abs_tol=1e-12):
        held = (floored_new - floored_old) / (new - old)
    totals = _log_mean(after.scores["total_score"], before.scores["total_score"])
    return policy.dimensions[d] * totals / _log_mean(floored_new, floored_old) * held


def _log_mean(a: float, b: float) -> float:
    return a if isclose(a, b, rel_tol=1e-12) else (a - b) / log(a / b)
