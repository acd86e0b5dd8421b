"""Scores: dimensions as weighted means of percentiles, the total as their weighted geometric mean. NumPy.

Everything is added in the order of the policy, never in the order of rows, so a score has the same last digit
whatever else is scored. Before the one decimal is cut half-even, nine decimals take off the noise of double
arithmetic: 33.35 stays a tie even where doubles say 33.349999999999994.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ccare.metrics.definitions import DIMENSIONS
from ccare.scoring import arithmetic as a
from ccare.scoring.arithmetic import Floats
from ccare.scoring.places import Benchmarks, Flags, Groups, Placed, places
from ccare.scoring.policy import ScoringPolicy

LEAST = 1.0
"""Least that a dimension counts in the geometric mean: a dead one is not bought back, nor ends everything."""
FULL, PARTIAL, INSUFFICIENT, INACTIVE = "full", "partial", "insufficient", "inactive"
UNRECONCILED = "unreconciled"


@dataclass(frozen=True)
class Part:
    """What one metric puts into its dimension: points, half its width in points, and its weight where it is known."""

    contribution: Floats
    half: Floats
    known: Floats


@dataclass(frozen=True)
class Replayed:
    """Scores of N merchants: every driver and, by name, every score with its bounds and coverage (NaN is null)."""

    drivers: dict[str, Placed]
    scores: dict[str, Floats]
    status: NDArray[np.str_]


def replay(
    rows: Mapping[str, Floats],
    groups: Sequence[str | None],
    benchmarks: Benchmarks,
    policy: ScoringPolicy,
    unreconciled: Sequence[bool] | None = None,
) -> Replayed:
    """Score merchants: ``rows`` hold ``columns_of`` the weighted metrics, ``groups`` each one's peer group."""
    events = rows["events_56d"]
    placed = places(rows, Groups.of(groups), benchmarks, policy)
    blocked = np.zeros(events.shape, bool) if unreconciled is None else np.array(unreconciled, bool)
    return Replayed(placed, *scores(parts_of(placed, policy), events, blocked, policy))


def parts_of(placed: Mapping[str, Placed], policy: ScoringPolicy) -> dict[str, Part]:
    """What each placed metric puts into its dimension under the policy's weights."""
    return {name: _part(policy.weights[name], p) for name, p in placed.items()}


def _part(weight: float, placed: Placed) -> Part:
    width = weight * (placed.high - placed.low) / 2
    return Part(weight * placed.percentile, width, np.where(placed.known, weight, 0.0))


def scores(
    parts: Mapping[str, Part], events: Floats, blocked: Flags, policy: ScoringPolicy
) -> tuple[dict[str, Floats], NDArray[np.str_]]:
    """Every score of N merchants with its bounds and coverage, and their status.

    A dimension whose known weight is below the coverage floor is null. The total is null where any dimension
    is: partial when some are known, insufficient when none is. A merchant without an active day, paid or relation
    event in 56 days (``events``) is inactive, everything null; so is one that is ``blocked``, whatever it did, for
    its payments are in doubt. _low and _high are 10 % and 90 % bounds: the score less and plus the half-width, so
    they hold the score, kept within 0 and 100; the total's by the delta method.
    """
    told: dict[str, Floats] = {}
    log_total, squares, known = np.zeros(events.shape), np.zeros(events.shape), []
    for d in DIMENSIONS:
        mine = [parts[name] for name in policy.metrics_of(d)]
        cover = a.rounded(sum((part.known for part in mine), np.zeros(events.shape)), 6)
        here = (cover >= policy.coverage_floor) & (events > 0) & ~blocked
        mean = sum((part.contribution for part in mine), np.zeros(events.shape))
        half = np.sqrt(sum((part.half**2 for part in mine), np.zeros(events.shape)))
        mean, half = np.where(here, mean, np.nan), np.where(here, half, np.nan)
        told |= _with_bounds(d, mean, half) | {f"{d}_coverage": cover}
        floored, share = np.fmax(mean, LEAST), policy.dimensions[d]
        log_total = log_total + share * np.log(floored)
        squares = squares + (share / floored * half) ** 2
        known.append(here)
    total = np.where(np.logical_and.reduce(known), np.exp(log_total), np.nan)
    told |= _with_bounds("total", total, total * np.sqrt(squares))
    return told, _status(np.sum(known, axis=0), events, blocked)


def _with_bounds(name: str, value: Floats, half: Floats) -> dict[str, Floats]:
    points = {"": value, "_low": value - half, "_high": value + half}
    return {f"{name}_score{end}": a.one_decimal(point) for end, point in points.items()}


def _status(known: NDArray[np.int_], events: Floats, blocked: Flags) -> NDArray[np.str_]:
    told = np.where(known == len(DIMENSIONS), FULL, np.where(known > 0, PARTIAL, INSUFFICIENT))
    return np.where(blocked, UNRECONCILED, np.where(events == 0, INACTIVE, told))
