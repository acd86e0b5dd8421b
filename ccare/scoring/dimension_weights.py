"""Weights of the dimensions chosen on training days, and whether those days alone justify moving to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ccare.metrics.definitions import DIMENSIONS
from ccare.scoring.arithmetic import Floats
from ccare.scoring.rank_correlation import Ranked, Sample, samples

PARTS = 8
"""Candidates are whole parts of so many, one at least a dimension. Coarse on purpose: choosing among few errs less."""
NOW = "now"


@dataclass(frozen=True)
class Choice:
    """``best``: the candidate with the highest correlation in training; ``gain``: what it gains there over those now.

    ``unseen``: the same gain where in every draw the choice is made again and judged on the merchants not drawn, for a
    gain in the merchants that were chosen on flatters; ``reached``: the correlation itself, judged so.
    """

    candidates: int
    name: str
    best: Mapping[str, float]
    gain: float
    unseen: Sample
    reached: Sample

    @property
    def moved(self) -> bool:
        """Whether training justifies a move: a gain beyond doubt, to a total that ranks growth the right way round."""
        return all(_above_zero(of) for of in (self.unseen, self.reached))


def candidates() -> dict[str, dict[str, float]]:
    """Every candidate by a name of its own, the most equal first."""
    found = [p for p in product(range(1, PARTS), repeat=len(DIMENSIONS)) if sum(p) == PARTS]
    found.sort(key=lambda parts: (sum(n * n for n in parts), parts))
    return {
        ":".join(map(str, parts)): {d: n / PARTS for d, n in zip(DIMENSIONS, parts, strict=True)}
        for parts in found
    }


def choose(days: Sequence[Ranked], counts: NDArray[np.int64]) -> Choice | None:
    """The choice on days whose ``said`` holds the total under each candidate, and under the weights NOW.

    None where no day tells anything.
    """
    tried = candidates()
    seen, unseen = samples(days, counts), samples(days, (counts == 0).astype(np.int64))
    now = seen[NOW].value
    if now is None:
        return None
    whole = np.array([_known(seen[name].value) for name in tried])
    best = list(tried)[int(np.argmax(whole))]
    drawn = np.stack([np.nan_to_num(seen[name].draws, nan=-2.0) for name in tried])
    judged: Floats = np.stack([unseen[name].draws for name in tried])
    reached = judged[np.argmax(drawn, axis=0), np.arange(drawn.shape[1])]
    gained = reached - unseen[NOW].draws
    gain = float(whole.max() - now)
    return Choice(len(tried), best, tried[best], gain, _mean(gained), _mean(reached))


def _mean(draws: Floats) -> Sample:
    told = draws[~np.isnan(draws)]
    return Sample(float(told.mean()) if told.size else None, draws)


def _above_zero(sample: Sample) -> bool:
    interval = sample.interval()
    return interval is not None and interval[0] > 0


def _known(value: float | None) -> float:
    return -2.0 if value is None else value
