"""Days of scores held against the growth that came: merchant by merchant, and as rank correlations over days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from ccare.scoring.arithmetic import Floats
from ccare.scoring.dimension_weights import Choice
from ccare.scoring.rank_correlation import Ranked, Sample, draw_counts, partial, samples

TOTAL, LAST, CHOSEN = "total_score", "last_growth", "chosen"
SEED = 28


@dataclass(frozen=True)
class Judged:
    """One day's merchants that have a total and sold in W28: their scores, places and growths. Arrays alike.

    ``came``: growth from W28; ``came_evenly``: from the mean of P28 and W28. Chance in W28 alone makes last period's
    growth high and the next one low; it moves both ends of the second alike, so that reads what is not chance.
    """

    day: date
    source: str
    merchants: Sequence[str]
    net_fen: Mapping[str, Floats]
    came: Floats
    came_evenly: Floats
    scores: Mapping[str, Floats]
    places: Mapping[str, Floats]
    candidates: Mapping[str, Floats]


@dataclass(frozen=True)
class Period:
    """Days judged together: each thing said (total_score, last_growth, dimensions, metrics, chosen) and its sample.

    ``beyond``: the total where last period's growth is taken out of it and of what came; ``evenly``: the total and last
    period's growth against growth from the mean of both windows.
    """

    days: Sequence[Judged]
    by_day: Mapping[date, Mapping[str, float | None]]
    told: Mapping[str, Sample]
    beyond: Sample
    evenly: Mapping[str, Sample]

    @property
    def merchants(self) -> int:
        return len({name for day in self.days for name in day.merchants})

    @property
    def better(self) -> Sample:
        """Correlation of the total less that of last period's growth."""
        return self.told[TOTAL].minus(self.told[LAST])

    @property
    def stronger(self) -> Sample:
        """The same of their sizes: last period's growth turned round where it tells more that way."""
        return self.told[TOTAL].size().minus(self.told[LAST].size())


def verdict(difference: Sample) -> str:
    """better, worse, or not told apart."""
    interval = difference.interval()
    if interval is None or interval[0] <= 0 <= interval[1]:
        return "not told apart"
    return "better" if interval[0] > 0 else "worse"


def period_of(days: Sequence[Judged], draws: int, choice: Choice | None = None) -> Period:
    """Days judged together from so many draws of their merchants; ``choice`` adds the total that it makes."""
    places, told = numbers(days), []
    for day in days:
        said = {**day.scores, **day.places}
        if choice is not None:
            said[CHOSEN] = day.candidates[choice.name]
        told.append(ranked(day, places, said))
    alone = draw_counts(len(places), 0, SEED)
    by_day = {d.day: {n: s.value for n, s in samples([r], alone).items()} for d, r in zip(days, told)}
    counts = draw_counts(len(places), draws, SEED)
    even = [replace(r, came=d.came_evenly, said=_both(r)) for d, r in zip(days, told)]
    return Period(
        days, by_day, samples(told, counts), partial(told, counts, TOTAL, LAST), samples(even, counts)
    )


def _both(day: Ranked) -> Mapping[str, Floats]:
    return {name: day.said[name] for name in (TOTAL, LAST)}


def numbers(days: Sequence[Judged]) -> dict[str, int]:
    """Merchant -> its number among all of these days, in order of the ids."""
    return {name: i for i, name in enumerate(sorted({name for day in days for name in day.merchants}))}


def ranked(day: Judged, places: Mapping[str, int], said: Mapping[str, Floats]) -> Ranked:
    """The day with its merchants as their numbers."""
    return Ranked(np.array([places[name] for name in day.merchants], dtype=np.intp), day.came, said)
