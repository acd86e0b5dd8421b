"""Each metric of many merchants among their frozen peers: shrunk, placed, bounded. NumPy; NaN stands for null."""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ccare.metrics.definitions import METRIC_BY_ID, Metric
from ccare.scoring import arithmetic as a
from ccare.scoring.arithmetic import Floats
from ccare.scoring.policy import ScoringPolicy

MIDDLE = 50.0
"""Place of a metric that nobody has data of: nobody stands above anybody. It carries no coverage."""
STATUSES = GOOD, WATCH, BAD, NONE = "good", "watch", "bad", "none"
_TENTH, _NINE_TENTHS = 10, 90
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Benchmark:
    """What one peer group's metric is compared with; ``ordered``: 101 quantiles, None where no peer has data."""

    ordered: Floats | None
    mean: float | None
    strength: float | None


Benchmarks = Mapping[tuple[str, str], Benchmark]
"""(peer group, metric id) -> benchmark."""
_NOTHING = Benchmark(None, None, None)


def as_benchmarks(frozen: Iterable[Mapping[str, Any]]) -> Benchmarks:
    """Rows of score_benchmarks by group and metric."""
    return {
        (row["peer_group"], row["metric_id"]): Benchmark(
            None if row["quantiles"] is None else np.array(row["quantiles"], dtype=np.float64),
            row["prior_mean"],
            row["prior_strength"],
        )
        for row in frozen
    }


@dataclass(frozen=True)
class Measured:
    """A metric of N merchants, as it is scored. ``n`` of a count is NaN: it is always known.

    ``own``: n x value, what a merchant itself puts into its shrunk value, NaN where that is nothing.
    """

    value: Floats
    numerator: Floats
    denominator: Floats
    n: Floats
    own: Floats


@dataclass(frozen=True)
class Groups:
    """The peer groups of N merchants: their names in order, and for each merchant which."""

    names: tuple[str, ...]
    codes: NDArray[np.intp]

    @staticmethod
    def of(groups: Sequence[str | None]) -> "Groups":
        """From each merchant's group; a merchant without one has the group ""."""
        names, codes = np.unique(np.array([group or "" for group in groups], dtype=str), return_inverse=True)
        return Groups(tuple(map(str, names)), codes.ravel())

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """Merchants group by group."""
        return np.argsort(self.codes, kind="stable")

    @cached_property
    def ranges(self) -> list[slice]:
        """For each group its merchants' part of ``order``."""
        ends = np.searchsorted(self.codes[self.order], np.arange(len(self.names)), "right").tolist()
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    def spread(self, told: Sequence[float | None]) -> Floats:
        """One number a group -> one a merchant."""
        return np.array([np.nan if v is None else v for v in told], dtype=np.float64)[self.codes]


@dataclass(frozen=True)
class Placed:
    """A metric of N merchants among their peers; places from 0 to 100, higher is better, to four decimals.

    ``benches``: what each group was compared with.
    """

    told: Measured
    benches: Sequence[Benchmark]
    shrunk: Floats
    percentile: Floats
    low: Floats
    high: Floats
    known: Flags


def measured(metric: Metric, rows: Mapping[str, Floats]) -> Measured:
    """One metric out of columns of metric_merchants."""
    if not metric.is_ratio:
        value = rows[metric.id]
        nothing = np.full(value.shape, np.nan)
        return Measured(value, value, nothing, nothing, nothing)
    top, bottom = rows[f"{metric.id}_num"], rows[f"{metric.id}_den"]
    people = rows[metric.population] if metric.scored_as != "part_of_whole" else top + bottom
    if metric.scored_as == "part_of_whole":
        bottom = people
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(np.nan_to_num(bottom) != 0, top / bottom, np.nan)
    # Trades worth nothing are orders without a rate: they tell nothing about it.
    n = np.where(np.isnan(value), 0.0, np.nan_to_num(people))
    own = top if metric.scored_as == "cost_per_result" else np.where(n > 0, n * value, np.nan)
    return Measured(value, top, bottom, n, own)


def columns_of(metrics: Sequence[str]) -> list[str]:
    """Columns of metric_merchants that scoring these metrics reads."""
    names = ["events_56d"]
    for metric in (METRIC_BY_ID[name] for name in metrics):
        names += [f"{metric.id}_num", f"{metric.id}_den"] if metric.is_ratio else [metric.id]
        names += [metric.population] if metric.population else []
    return list(dict.fromkeys(names))


def as_columns(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Floats]:
    """Rows as float columns, null as NaN."""
    return {
        name: np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=np.float64)
        for name in names
    }


def places(
    rows: Mapping[str, Floats], groups: Groups, benchmarks: Benchmarks, policy: ScoringPolicy
) -> dict[str, Placed]:
    """Every weighted metric of N merchants, dimension by dimension; ``rows`` hold ``columns_of`` them."""
    weighted = policy.metrics
    active = rows["events_56d"] > 0

    def placed(name: str) -> Placed:
        return _placed(METRIC_BY_ID[name], rows, groups, benchmarks, active)

    # Metrics do not look at each other, and NumPy lets other threads on while it works.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return dict(zip(weighted, threads.map(placed, weighted), strict=True))


def _placed(
    metric: Metric, rows: Mapping[str, Floats], groups: Groups, benchmarks: Benchmarks, active: Flags
) -> Placed:
    told = measured(metric, rows)
    benches = [benchmarks.get((name, metric.id), _NOTHING) for name in groups.names]
    strength = groups.spread([bench.strength for bench in benches])
    shrunk = told.value
    if metric.is_ratio:
        shrunk = a.pulled(told.own, told.n, groups.spread([bench.mean for bench in benches]), strength)
    x = a.transformed(shrunk, metric.scoring)
    low, high = _bounds(metric, shrunk, x, told.n, strength, groups, benches)
    # Near 0 a posterior is so skewed that both its points lie below its mean: the interval holds the mean.
    points = np.stack([x, np.fmin(low, x), np.fmax(high, x)] if metric.is_ratio else [x])
    ordered, found = points[:, groups.order], np.full(points.shape, np.nan)
    for bench, here in zip(benches, groups.ranges, strict=True):
        if bench.ordered is not None:
            found[:, here] = a.place(ordered[:, here], bench.ordered)
    at = np.empty_like(found)
    at[:, groups.order] = found
    turned = a.LAST - at if metric.lower_is_better else at
    each = a.rounded(np.where(np.isnan(turned), MIDDLE, turned), 4)
    percentile, one, other = each if metric.is_ratio else (*each, *each, *each)
    compared = groups.spread([bench.ordered is not None for bench in benches]) > 0
    known = compared & active & (np.isnan(told.n) | (told.n > 0))
    return Placed(told, benches, shrunk, percentile, np.minimum(one, other), np.maximum(one, other), known)


def _bounds(
    metric: Metric,
    shrunk: Floats,
    x: Floats,
    n: Floats,
    strength: Floats,
    groups: Groups,
    benches: Sequence[Benchmark],
) -> tuple[Floats, Floats]:
    """10 % and 90 % points on the scored scale; a count has no width."""
    if metric.is_proportion:
        return a.share_bounds(shrunk, n + strength)
    if not metric.is_ratio:
        return x, x
    ends = (
        groups.spread([None if b.ordered is None else float(b.ordered[i]) for b in benches])
        for i in (_TENTH, _NINE_TENTHS)
    )
    return a.amount_bounds(x, n, strength, *ends)


def driver_status(known: Flags, percentile: Floats, policy: ScoringPolicy) -> NDArray[np.int8]:
    """Which of STATUSES: good, watch, bad, or none without data; ``percentile`` to four decimals."""
    good, watch, bad, none = np.arange(len(STATUSES), dtype=np.int8)
    told = np.where(percentile < policy.bad_percentile, bad, watch)
    return np.where(known, np.where(percentile >= policy.good_percentile, good, told), none)


def goal(metric: Metric, bench: Benchmark, policy: ScoringPolicy) -> float | None:
    """The value to reach, in the metric's own unit; whole for a count. None where ties or missing peers leave none."""
    if bench.ordered is None:
        return None
    reached = a.target(bench.ordered, policy.target_percentile, lower=metric.lower_is_better)
    if reached is None:
        return None
    own = a.restored(reached, metric.scoring)
    # expm1 gives 12.000000000000002 for log1p(12).
    return own if metric.is_ratio else float(np.ceil(own - 1e-6))
