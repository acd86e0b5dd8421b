"""Benchmarks of a frozen day under another policy, in NumPy: what-if needs them, nothing of it is published."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ccare.metrics.definitions import METRIC_BY_ID, Metric
from ccare.scoring import arithmetic as a
from ccare.scoring.months import ANY_INDUSTRY, TIERS
from ccare.scoring.policy import ScoringPolicy
from ccare.scoring.replay import Benchmark, Benchmarks, Measured, as_columns, columns_of, measured

_RULES = ("min_peers", "shrink_min", "shrink_max", "shrink_default")
_Mask = NDArray[np.bool_]


def same_rules(one: ScoringPolicy, other: ScoringPolicy) -> bool:
    """Whether both freeze the same benchmarks of the same day: weights and thresholds have no part in them."""
    return all(getattr(one, name) == getattr(other, name) for name in _RULES)


def refreeze(rows: Sequence[Mapping[str, Any]], policy: ScoringPolicy) -> Benchmarks:
    """Benchmarks of every peer group and weighted metric, from the rows of metric_merchants of the frozen day."""
    active = [row for row in rows if row["c_mau28"] > 0]
    if not active:
        return {}
    names = list(policy.weights)
    columns = as_columns(active, list(dict.fromkeys(["c_mau28", *columns_of(names)])))
    industries = np.array([row["industry"] or ANY_INDUSTRY for row in active])
    sizes, found = columns["c_mau28"], {}
    for industry in sorted({*industries, ANY_INDUSTRY}):
        everyone = np.ones(sizes.shape, bool)
        own = everyone if industry == ANY_INDUSTRY else industries == industry
        low, high = _cuts(sizes[own])
        tiers = (sizes <= low, (sizes > low) & (sizes <= high), sizes > high)
        for tier, members in zip(TIERS, tiers, strict=True):
            for metric in (METRIC_BY_ID[name] for name in names):
                levels = [own & members, own, everyone]
                levels = levels[2:] if industry == ANY_INDUSTRY else levels[metric.dimension == "scale" :]
                found[f"{industry}/{tier}", metric.id] = _nearest(metric, columns, levels, policy)
    return found


def _cuts(sizes: a.Floats) -> tuple[float, float]:
    ordered, count = np.sort(sizes), len(sizes)
    return float(ordered[(count + 2) // 3 - 1]), float(ordered[(2 * count + 2) // 3 - 1])


def _nearest(
    metric: Metric, columns: Mapping[str, a.Floats], levels: Sequence[_Mask], policy: ScoringPolicy
) -> Benchmark:
    for told, known in _pools(metric, columns, levels):
        if known.sum() >= policy.min_peers or len(told.value) == len(columns["c_mau28"]):
            return _frozen(metric, told, known, policy)
    raise AssertionError("everyone is the last level")


def _pools(
    metric: Metric, columns: Mapping[str, a.Floats], levels: Sequence[_Mask]
) -> Iterator[tuple[Measured, _Mask]]:
    told = measured(metric, columns)
    for level in levels:
        part = Measured(*(getattr(told, field)[level] for field in Measured.__dataclass_fields__))
        yield part, np.isnan(part.n) | (part.n > 0)


def _frozen(metric: Metric, told: Measured, known: _Mask, policy: ScoringPolicy) -> Benchmark:
    mean = strength = None
    values = told.value
    if metric.is_ratio:
        bottom = np.nansum(told.denominator)
        mean = float(np.nansum(told.numerator) / bottom) if bottom else None
        strength = metric.fixed_k or _moments(told.numerator[known], told.n[known], policy)
        values = a.pulled(told.own, told.n, np.nan if mean is None else mean, strength)
    placed = a.transformed(values[known], metric.scoring)
    return Benchmark(_quantiles(placed) if known.any() else None, mean, strength)


def _quantiles(values: a.Floats) -> a.Floats:
    """Type 7 (Hyndman and Fan 1996) at 0 to 100 %."""
    ordered, top = np.sort(values), len(values) - 1
    at = np.arange(101) * top
    low, high = ordered[at // 100], ordered[np.minimum(at // 100 + 1, top)]
    return np.minimum(low + (high - low) * ((at % 100) / 100), high)


def _moments(hits: a.Floats, n: a.Floats, policy: ScoringPolicy) -> float:
    """Kleinman (1973) with weights n, within the policy's bounds (docs/reference/scores.md)."""
    people, peers = float(n.sum()), len(n)
    share = float(hits.sum()) / people if people else 0.0
    spread = share * (1 - share)
    room = people - float((n * n).sum()) / people - (peers - 1) if people else 0.0
    if spread <= 0 or room <= 0:
        return policy.shrink_default
    scatter = float((hits * hits / n).sum()) - float(hits.sum()) * share
    rho = (scatter / spread - (peers - 1)) / room
    strength = policy.shrink_max if rho <= 0 else 1 / rho - 1
    return min(max(strength, policy.shrink_min), policy.shrink_max)
