"""Spearman's rank correlation over several days, with an interval from merchants drawn again.

The merchants of different days are the same, so a bootstrap draws merchants and takes all days of each together
(A. C. Davison and D. V. Hinkley (1997), Bootstrap Methods and their Application, 3.8). A draw is a count a merchant;
correlations of a draw are those of ranks counted so many times, which is what repeating its rows would give.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ccare.scoring.arithmetic import Floats

LEAST = 10
"""A day with fewer merchants tells nothing and is left out."""
BOUNDS = (2.5, 97.5)
"""Percent points of the draws between which an interval lies."""
_AT_ONCE = 200


@dataclass(frozen=True)
class Ranked:
    """One day: merchants by number, what came of each, and what was said of it before. Arrays alike, without NaN."""

    merchants: NDArray[np.intp]
    came: Floats
    said: Mapping[str, Floats]


@dataclass(frozen=True)
class Sample:
    """A figure and the same of each draw; NaN where a draw has none, the figure None where there is none."""

    value: float | None
    draws: Floats

    def minus(self, other: "Sample") -> "Sample":
        """The difference, draw by draw."""
        if self.value is None or other.value is None:
            return Sample(None, np.full(self.draws.shape, np.nan))
        return Sample(self.value - other.value, self.draws - other.draws)

    def size(self) -> "Sample":
        """Without its sign."""
        return Sample(None if self.value is None else abs(self.value), np.abs(self.draws))

    def interval(self) -> tuple[float, float] | None:
        """95 % of the draws."""
        told = self.draws[~np.isnan(self.draws)]
        if self.value is None or not told.size:
            return None
        low, high = np.percentile(told, BOUNDS)
        return float(low), float(high)


def draw_counts(merchants: int, draws: int, seed: int) -> NDArray[np.int64]:
    """How often each draw (rows) takes each merchant (columns): as many in all as there are."""
    if not merchants:
        return np.zeros((draws, 0), dtype=np.int64)
    return np.random.default_rng(seed).multinomial(merchants, np.full(merchants, 1 / merchants), size=draws)


def samples(days: Sequence[Ranked], counts: NDArray[np.int64]) -> dict[str, Sample]:
    """For each thing said, the mean over days of its rank correlation with what came; the days' names agree."""
    told = [day for day in days if len(day.merchants) >= LEAST]
    names = list(days[0].said) if days else []
    if not told:
        return {name: Sample(None, np.full(len(counts), np.nan)) for name in names}
    whole = _over_days(told, np.ones((1, counts.shape[1])))
    drawn = _over_days(told, counts)
    return {
        name: Sample(None if np.isnan(whole[name][0]) else float(whole[name][0]), drawn[name])
        for name in names
    }


def partial(days: Sequence[Ranked], counts: NDArray[np.int64], name: str, given: str) -> Sample:
    """As ``samples`` of one thing said, with what ``given`` says taken out of it and of what came."""
    told = [day for day in days if len(day.merchants) >= LEAST]
    whole, drawn = (_partials(told, c, name, given) for c in (np.ones((1, counts.shape[1])), counts))
    return Sample(None if np.isnan(whole[0]) else float(whole[0]), drawn)


def spearman(said: Floats, came: Floats) -> float | None:
    """Spearman's rank correlation, ties at their middle rank; None where either is the same for all."""
    (found,) = correlations({"": said}, came, np.ones((1, len(came))))[""]
    return None if np.isnan(found) else float(found)


def correlations(
    said: Mapping[str, Floats], came: Floats, counts: NDArray[np.int64] | Floats
) -> dict[str, Floats]:
    """Rank correlations of each thing said with what came, for every row of ``counts``; NaN where one is constant."""
    parts = []
    for start in range(0, max(len(counts), 1), _AT_ONCE):
        weights = counts[start : start + _AT_ONCE].astype(np.float64)
        y = _centred(came, weights)
        parts.append({name: _pearson(_centred(x, weights), y, weights) for name, x in said.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in said}


def _over_days(days: Sequence[Ranked], counts: NDArray[np.int64] | Floats) -> dict[str, Floats]:
    """Means over the days that have a correlation."""
    each = [correlations(day.said, day.came, counts[:, day.merchants]) for day in days]
    return {name: _mean([of[name] for of in each]) for name in days[0].said}


def _partials(days: Sequence[Ranked], counts: NDArray[np.int64] | Floats, name: str, given: str) -> Floats:
    found = [np.full(len(counts), np.nan)]
    for day in days:
        mine = counts[:, day.merchants]
        x, z = day.said[name], day.said[given]
        xy, zy = correlations({"x": x, "z": z}, day.came, mine).values()
        (xz,) = correlations({"x": x}, z, mine).values()
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append((xy - xz * zy) / np.sqrt((1 - xz**2) * (1 - zy**2)))
    return _mean(found)


def _mean(found: Sequence[Floats]) -> Floats:
    """Over the days that have one."""
    rows = np.stack(found)
    known = np.isfinite(rows)
    with np.errstate(invalid="ignore"):
        return np.where(known, rows, 0.0).sum(axis=0) / known.sum(axis=0)


def _centred(x: Floats, weights: Floats) -> Floats:
    """Middle ranks less their mean, one row a row of weights."""
    _, codes = np.unique(x, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    equal = np.add.reduceat(weights[:, order], starts, axis=1)
    ranks = np.cumsum(equal, axis=1) - equal / 2
    mean = (ranks * equal).sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (ranks - mean / equal.sum(axis=1, keepdims=True))[:, codes]


def _pearson(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Of centred columns. Ranks are halves of whole numbers, so a constant column's spread is next to nothing."""
    xx, yy, xy = (np.einsum("ij,ij,ij->i", a, b, weights) for a, b in ((x, x), (y, y), (x, y)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.minimum(xx, yy) > 1e-6, np.clip(xy / np.sqrt(xx * yy), -1.0, 1.0), np.nan)
