"""Benchmarks: what merchants are compared with, frozen monthly so that scores do not move when others do.

Peer groups are industry x size tier, the tiers cut at the terciles of the industry's mau28. A ratio known from few
people is pulled towards its peers; for ratios of people k comes from the peers by the method of moments for
over-dispersed proportions (beta-binomial): with weights n, S = sum of x^2/n - X^2/N and p = X/N,

    rho = (S / (p (1 - p)) - (G - 1)) / (N - (sum of n^2) / N - (G - 1)),   k = 1/rho - 1,

where x of n people count at each of G peers, X and N are their sums and rho is the correlation inside a
merchant. Source: J. C. Kleinman (1973), Proportions with extraneous variance: single and independent samples,
Journal of the American Statistical Association 68 (341), 46-54, with weights n.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np

from ccare.metrics.definitions import METRIC_BY_ID, Metric
from ccare.scoring import arithmetic as a
from ccare.scoring.arithmetic import Floats
from ccare.scoring.months import ANY_INDUSTRY, TIERS
from ccare.scoring.places import Benchmark, Benchmarks, Flags, as_columns, columns_of, measured
from ccare.scoring.policy import ScoringPolicy

LEVELS = ("group", "industry", "all")
"""Where a metric's peers may come from, nearest first."""
_RULES = ("min_peers", "shrink_min", "shrink_max", "shrink_default")


@dataclass(frozen=True)
class Frozen:
    """One group's metric: its benchmark, how many peers with data it comes from and where they were found.

    ``members``: active merchants of the group; ``cuts``: first and second tercile of mau28 in its industry.
    """

    industry: str
    tier: str
    metric: Metric
    benchmark: Benchmark
    peers: int
    level: str
    members: int
    cuts: tuple[float, float]

    @property
    def peer_group(self) -> str:
        """``<industry>/<tier>``."""
        return f"{self.industry}/{self.tier}"


@dataclass(frozen=True)
class _Peers:
    """Active merchants of the frozen day: columns by name, and which belong where."""

    columns: Mapping[str, Floats]
    industries: np.ndarray
    policy: ScoringPolicy

    def level(self, level: str, industry: str, members: Flags) -> Flags:
        if level == LEVELS[-1]:
            return np.ones(self.industries.shape, bool)
        own = self.industries == industry
        return own if level == LEVELS[1] else own & members


def same_rules(one: ScoringPolicy, other: ScoringPolicy) -> bool:
    """Whether both freeze the same benchmarks of the same day: weights and thresholds have no part in them."""
    return all(getattr(one, name) == getattr(other, name) for name in _RULES)


def refreeze(rows: Sequence[Mapping[str, Any]], policy: ScoringPolicy) -> Benchmarks:
    """Benchmarks of every peer group and weighted metric, from the rows of metric_merchants of the frozen day."""
    active = sorted((row for row in rows if row["c_mau28"] > 0), key=lambda row: str(row["merchant_id"]))
    names = list(policy.weights)
    columns = as_columns(active, list(dict.fromkeys(["c_mau28", *columns_of(names)])))
    industries = [row["industry"] for row in active]
    frozen = freeze(columns, industries, [METRIC_BY_ID[name] for name in names], policy)
    return {(each.peer_group, each.metric.id): each.benchmark for each in frozen}


def freeze(
    columns: Mapping[str, Floats],
    industries: Sequence[str | None],
    metrics: Sequence[Metric],
    policy: ScoringPolicy,
) -> Iterator[Frozen]:
    """Every group's benchmarks, from columns of metric_merchants of merchants with c_mau28 > 0, in merchant order.

    Groups are those of every industry and of ANY_INDUSTRY, which compares with everyone; a merchant may come to
    belong to one that nobody was in. No rows when nobody was active.
    """
    names = np.array([industry or ANY_INDUSTRY for industry in industries], dtype=object)
    peers, sizes = _Peers(columns, names, policy), columns["c_mau28"]
    if not sizes.size:
        return
    pools: dict[tuple[str, ...], tuple[Benchmark, int]] = {}
    for industry in sorted({*names, ANY_INDUSTRY}):
        anyone = industry == ANY_INDUSTRY
        own = np.ones(sizes.shape, bool) if anyone else names == industry
        low, high = _cuts(sizes[own])
        tiers = (sizes <= low, (sizes > low) & (sizes <= high), sizes > high)
        for tier, inside in zip(TIERS, tiers, strict=True):
            members = len(sizes) if anyone else int((own & inside).sum())
            for metric in metrics:
                allowed = LEVELS[-1:] if anyone else LEVELS[metric.dimension == "scale" :]
                for level in allowed:
                    key = (metric.id, *{LEVELS[0]: (industry, tier), LEVELS[1]: (industry,)}.get(level, ()))
                    if key not in pools:
                        pools[key] = _pool(metric, peers, peers.level(level, industry, inside))
                    benchmark, known = pools[key]
                    if known >= policy.min_peers or level == LEVELS[-1]:
                        break
                yield Frozen(industry, tier, metric, benchmark, known, level, members, (low, high))


def _cuts(sizes: Floats) -> tuple[float, float]:
    """The least sizes with a third, and two thirds, of the merchants at or below them."""
    ordered, count = np.sort(sizes), len(sizes)
    return float(ordered[(count + 2) // 3 - 1]), float(ordered[(2 * count + 2) // 3 - 1])


def _pool(metric: Metric, peers: _Peers, inside: Flags) -> tuple[Benchmark, int]:
    """One pool's benchmark, and its peers with data; for counts all."""
    told = measured(metric, {name: peers.columns[name][inside] for name in columns_of([metric.id])})
    known = np.isnan(told.n) | (told.n > 0)
    mean = strength = None
    values = told.value
    if metric.is_ratio:
        bottom = fsum(np.nan_to_num(told.denominator))
        mean = fsum(np.nan_to_num(told.numerator)) / bottom if bottom else None
        strength = metric.fixed_k or moments(told.numerator[known], told.n[known], peers.policy)
        values = a.pulled(told.own, told.n, np.nan if mean is None else mean, strength)
    placed = a.transformed(values[known], metric.scoring)
    return Benchmark(a.quantiles(placed) if known.any() else None, mean, strength), int(known.sum())


def moments(hits: Floats, n: Floats, policy: ScoringPolicy) -> float:
    """k by the method of moments (see above), within the policy's bounds; exact sums, whatever the order of peers.

    Peers that differ no more than chance make them (rho <= 0) give the upper bound. Where rho has no meaning
    (one peer, one person at each, or nobody and everybody counting) the policy's default stands in.
    """
    people, came, peers = fsum(n), fsum(hits), len(n)
    share = came / people if people else 0.0
    spread = share * (1 - share)
    room = people - fsum(n * n) / people - (peers - 1) if people else 0.0
    if spread <= 0 or room <= 0:
        return policy.shrink_default
    scatter = fsum(hits * hits / n) - came * share
    rho = (scatter / spread - (peers - 1)) / room
    strength = policy.shrink_max if rho <= 0 else 1 / rho - 1
    return min(max(strength, policy.shrink_min), policy.shrink_max)
