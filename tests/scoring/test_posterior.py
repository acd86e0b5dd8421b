"""Intervals against SciPy's beta distribution, and the shrinkage constant against an exact computation."""

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import beta

from ccare.runtime.settings import default_conf
from ccare.scoring import arithmetic as a
from ccare.scoring.benchmarks import moments
from ccare.scoring.policy import load_scoring
from tests.oracle.scores import place
from tests.oracle.scores import quantiles as exact_quantiles
from tests.scoring.metric_rows import DAY

POLICY = load_scoring(default_conf()).for_day(DAY)


def test_bounds_are_within_one_point_of_scipy() -> None:
    """Shares from 0.05 % to 99.95 %, n from 20 up, every strength that the policy allows."""
    shares = (0.0005, 0.002, 0.01, 0.03, 0.1, 0.25, 0.5, 0.8, 0.95, 0.99, 0.9995)
    grid = [(s, float(n + k)) for s in shares for n in (20, 30, 60, 200, 5000) for k in (1, 20, 100, 500)]
    shares_of, strengths = (np.array(column) for column in zip(*grid, strict=True))
    for cell, low, high in zip(grid, *a.share_bounds(shares_of, strengths), strict=True):
        share, strength = cell
        wanted = beta.ppf([0.1, 0.9], share * strength, (1 - share) * strength)
        assert abs(low - wanted[0]) <= 0.01, cell
        assert abs(high - wanted[1]) <= 0.01, cell
        assert 0 <= low <= high <= 1


@pytest.mark.parametrize(
    ("mean", "strength", "points"),
    # Where the posterior stands for fewer than two people who count (3 % of 50), the correction leaves 2 points.
    [(0.3, 40, 1.0), (0.8, 15, 1.0), (0.12, 60, 1.0), (0.03, 30, 2.0)],
)
def test_places_of_bounds_are_near_those_of_scipy(mean: float, strength: int, points: float) -> None:
    """Among peers spread as the prior says, n >= 20: the place of a bound, not only its value."""
    peers = [float(beta.ppf((i + 0.5) / 101, mean * strength, (1 - mean) * strength)) for i in range(101)]
    rng = random.Random(int(mean * 1000))
    rows = []
    for n in (20, 25, 40, 80, 300, 2000):
        for _ in range(12):
            p = float(beta.ppf(rng.random(), mean * strength, (1 - mean) * strength))
            x = sum(rng.random() < p for _ in range(n))
            rows.append(((x + strength * mean) / (n + strength), float(n + strength)))
    bounds = a.share_bounds(*(np.array(column) for column in zip(*rows, strict=True)))
    at_low, at_high = (a.place(points_of, np.array(peers)) for points_of in bounds)
    for (share, sure), one, other in zip(rows, at_low, at_high, strict=True):
        low, high = beta.ppf([0.1, 0.9], share * sure, (1 - share) * sure)
        assert abs(one - place(peers, float(low))) <= points
        assert abs(other - place(peers, float(high))) <= points


def test_a_share_of_nothing_or_everything_has_no_width() -> None:
    means, strengths = np.array([0.0, 1.0, 1.25, np.nan, 0.5]), np.array([40.0, 40.0, 40.0, 40.0, np.nan])
    low, high = a.share_bounds(means, strengths)
    assert low.tolist()[:3] == high.tolist()[:3] == [0.0, 1.0, 1.25]
    assert np.isnan(low[3]) and np.isnan(high[3])


def _strength(cells: list[tuple[int, int]]) -> float:
    known = [(x, n) for x, n in cells if n > 0]
    hits, people = (
        (np.array(column, dtype=float) for column in zip(*known)) if known else (np.zeros(0), np.zeros(0))
    )
    return moments(hits, people, POLICY)


def test_strength_finds_the_prior_that_made_the_peers() -> None:
    """2,000 beta-binomial peers of strength 40: the estimate is near, and equal to the exact formula."""
    rng = random.Random(21)
    cells = []
    for _ in range(2000):
        n, p = rng.randrange(5, 200), rng.betavariate(0.3 * 40, 0.7 * 40)
        cells.append((sum(rng.random() < p for _ in range(n)), n))
    total, hits, g = sum(n for _, n in cells), sum(x for x, _ in cells), len(cells)
    p = Fraction(hits, total)
    scatter = sum(n * (Fraction(x, n) - p) ** 2 for x, n in cells)
    room = total - Fraction(sum(n * n for _, n in cells), total) - (g - 1)
    exact = 1 / ((scatter / (p * (1 - p)) - (g - 1)) / room) - 1
    found = _strength(cells)
    assert math.isclose(found, float(exact), rel_tol=1e-9)
    assert 35 < found < 46


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([(3, 10), (30, 100), (6, 20)], 500.0),  # no more spread than chance
        ([(0, 50), (50, 50), (0, 40), (40, 40)], 1.0),  # nothing in common
        ([(3, 10)], 20.0),  # one peer tells no spread
        ([(0, 10), (0, 30)], 20.0),  # nobody counts anywhere
        ([(1, 1), (0, 1), (1, 1)], 20.0),  # one person at each: chance and spread look alike
        ([(0, 0)], 20.0),  # no data at all
    ],
)
def test_strength_stays_in_bounds(cells: list[tuple[int, int]], expected: float) -> None:
    assert _strength(cells) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 50, 100, 101, 102, 777])
def test_quantiles_and_places_are_exact(size: int) -> None:
    rng = random.Random(size)
    values = [float(rng.choice([0, 0, 1, rng.randrange(40), rng.random()])) for _ in range(size)]
    found = a.quantiles(np.array(values)).tolist()
    assert found == exact_quantiles(values)
    points = sorted({*values, *(rng.random() * 50 - 5 for _ in range(40))})
    places = a.place(np.array(points), np.array(found)).tolist()
    assert places == [place(found, p) for p in points]
    assert places == sorted(places)
