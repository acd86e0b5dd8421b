"""Scores worked out again in NumPy from metrics, frozen benchmarks and a policy, for one merchant or for all.

A road of its own beside the Spark jobs (see ``arithmetic``): what both come to must agree to the last digit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ccare.metrics.definitions import DIMENSIONS, METRIC_BY_ID, Metric
from ccare.scoring import arithmetic as a
from ccare.scoring.arithmetic import Floats
from ccare.scoring.policy import ScoringPolicy

MIDDLE, LEAST = 50.0, 1.0
"""Place of a metric that nobody has data of; least that a dimension counts in the total."""
GOOD, WATCH, BAD, NONE = "good", "watch", "bad", "none"


@dataclass(frozen=True)
class Benchmark:
    """What one peer group's metric is compared with; ``ordered``: 101 quantiles, None where no peer has data."""

    ordered: Floats | None
    mean: float | None
    strength: float | None


Benchmarks = Mapping[tuple[str, str], Benchmark]
"""(peer group, metric id) -> benchmark."""


@dataclass(frozen=True)
class Measured:
    """A metric of N merchants, as it is scored; NaN is null. ``n`` of a count is NaN: it is always known."""

    value: Floats
    numerator: Floats
    denominator: Floats
    n: Floats
    own: Floats


@dataclass
class Placed:
    """A metric of N merchants among their peers. Percentiles are not rounded yet."""

    shrunk: Floats
    percentile: Floats
    low: Floats
    high: Floats
    known: NDArray[np.bool_]


@dataclass
class Replayed:
    """Scores of N merchants: every driver and, by name, every score with its bounds and coverage (NaN is null)."""

    drivers: dict[str, Placed]
    scores: dict[str, Floats]
    status: NDArray[np.str_]


def measured(metric: Metric, rows: Mapping[str, Floats]) -> Measured:
    """One metric out of columns of metric_merchants."""
    if not metric.is_ratio:
        value = rows[metric.id]
        nothing = np.full(value.shape, np.nan)
        return Measured(value, value, nothing, nothing, nothing)
    top, bottom = rows[f"{metric.id}_num"], rows[f"{metric.id}_den"]
    if metric.scored_as == "part_of_whole":
        bottom = top + bottom
        people = bottom
    else:
        people = rows[metric.population]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(np.nan_to_num(bottom) != 0, top / bottom, np.nan)
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


def replay(
    rows: Mapping[str, Floats],
    groups: Sequence[str | None],
    benchmarks: Benchmarks,
    policy: ScoringPolicy,
    unreconciled: Sequence[bool] | None = None,
) -> Replayed:
    """Score merchants: ``rows`` hold ``columns_of`` the weighted metrics, ``groups`` each one's peer group."""
    events = rows["events_56d"]
    at = np.array([group or "" for group in groups])
    placed = {name: _placed(METRIC_BY_ID[name], rows, at, benchmarks, policy) for name in policy.weights}
    for each in placed.values():
        each.known &= events > 0
    blocked = np.zeros(events.shape, bool) if unreconciled is None else np.array(unreconciled, bool)
    return _scored(placed, events, blocked, policy)


def _placed(
    metric: Metric,
    rows: Mapping[str, Floats],
    groups: NDArray[np.str_],
    benchmarks: Benchmarks,
    policy: ScoringPolicy,
) -> Placed:
    told = measured(metric, rows)
    shape = told.value.shape
    shrunk, at, low, high = (np.full(shape, np.nan) for _ in range(4))
    out = Placed(shrunk, at, low, high, np.zeros(shape, bool))
    for group in np.unique(groups):
        here = np.flatnonzero(groups == group)
        bench = benchmarks.get((str(group), metric.id), Benchmark(None, None, None))
        part = Measured(*(getattr(told, field)[here] for field in Measured.__dataclass_fields__))
        for name, values in vars(_among(metric, part, bench)).items():
            getattr(out, name)[here] = values
    return out


def _among(metric: Metric, told: Measured, bench: Benchmark) -> Placed:
    """One group's merchants among their peers."""
    counted = np.isnan(told.n)
    if metric.is_ratio:
        mean, k = (np.nan if v is None else v for v in (bench.mean, bench.strength))
        shrunk = a.pulled(told.own, told.n, mean, k)
    else:
        shrunk = told.value
    if bench.ordered is None:
        middle = np.full(shrunk.shape, MIDDLE)
        return Placed(shrunk, middle, middle, middle, np.zeros(shrunk.shape, bool))
    x = a.transformed(shrunk, metric.scoring)
    low = high = x
    if metric.is_proportion:
        low, high = a.share_bounds(shrunk, told.n + k)
    elif metric.is_ratio:
        low, high = a.amount_bounds(x, told.n, k, bench.ordered)
    points = [a.place(v, bench.ordered) for v in (x, np.fmin(low, x), np.fmax(high, x))]
    if metric.lower_is_better:
        points = [a.LAST - p for p in points]
    at, one, other = (np.where(np.isnan(p), MIDDLE, p) for p in points)
    return Placed(shrunk, at, np.minimum(one, other), np.maximum(one, other), counted | (told.n > 0))


def _scored(
    placed: dict[str, Placed], events: Floats, blocked: NDArray[np.bool_], policy: ScoringPolicy
) -> Replayed:
    scores: dict[str, Floats] = {}
    log_total, squares, told_of = np.zeros(events.shape), np.zeros(events.shape), []
    for d in DIMENSIONS:
        mean, half, cover = np.zeros(events.shape), np.zeros(events.shape), np.zeros(events.shape)
        for name in policy.metrics_of(d):
            p, weight = placed[name], policy.weights[name]
            mean = mean + weight * a.rounded(p.percentile, 4)
            half = half + (weight * (a.rounded(p.high, 4) - a.rounded(p.low, 4)) / 2) ** 2
            cover = cover + np.where(p.known, weight, 0.0)
        cover = a.rounded(cover, 6)
        told = (cover >= policy.coverage_floor) & (events > 0) & ~blocked
        mean, half = np.where(told, mean, np.nan), np.where(told, np.sqrt(half), np.nan)
        scores |= _with_bounds(d, mean, half) | {f"{d}_coverage": cover}
        floored, share = np.fmax(mean, LEAST), policy.dimensions[d]
        log_total = log_total + share * np.log(floored)
        squares = squares + (share / floored * half) ** 2
        told_of.append(told)
    total = np.where(np.logical_and.reduce(told_of), np.exp(log_total), np.nan)
    scores |= _with_bounds("total", total, total * np.sqrt(squares))
    return Replayed(placed, scores, _status(np.sum(told_of, axis=0), events, blocked))


def _with_bounds(name: str, value: Floats, half: Floats) -> dict[str, Floats]:
    points = {"": value, "_low": value - half, "_high": value + half}
    return {f"{name}_score{end}": a.one_decimal(point) for end, point in points.items()}


def _status(known: NDArray[np.int_], events: Floats, blocked: NDArray[np.bool_]) -> NDArray[np.str_]:
    told = np.where(known == len(DIMENSIONS), "full", np.where(known > 0, "partial", "insufficient"))
    return np.where(blocked, "unreconciled", np.where(events == 0, "inactive", told))


def driver_status(known: bool, percentile: float, policy: ScoringPolicy) -> str:
    """good, watch, bad, or none without data; ``percentile`` to four decimals."""
    if not known:
        return NONE
    if percentile >= policy.good_percentile:
        return GOOD
    return BAD if percentile < policy.bad_percentile else WATCH


def goal(metric: Metric, bench: Benchmark, policy: ScoringPolicy) -> float | None:
    """The value to reach, in the metric's own unit; whole for a count. None where ties or missing peers leave none."""
    if bench.ordered is None:
        return None
    reached = a.target(bench.ordered, policy.target_percentile, lower=metric.lower_is_better)
    if reached is None:
        return None
    own = a.restored(reached, metric.scoring)
    return own if metric.is_ratio else float(np.ceil(own - 1e-6))
