"""Newton's method for many merchants' fits at once, each in a trust region of its own."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ccare.potential.fitting import FLAT_EXACT, FLAT_ROUGH, LOG_BOUND
from ccare.potential.histories import Array
from ccare.potential.losses import Flags, Losses, Penalised

_MAX_STEPS = 100
_WIDTH, _GREATEST_WIDTH, _LEAST_WIDTH = 1.0, 4.0, 1e-9
"""Half the trust region along each axis: at first, at most, and where a search has failed."""
_REST_ROUGH, _REST_EXACT = 1e-3, 1e-7
"""Newton's step in a log parameter that is none; the first also where rounding hides more."""
_SINGULAR = 1e-12
"""Least curvature, as a share of the greatest, that tells a minimum from rounding."""
_ROUNDING = 1e-9
"""Rise of a loss, as a share of it and per user, that may be rounding of its many terms."""


@dataclass(frozen=True)
class _Search:
    """Merchants still searching, ``merchant`` by its place; ``here``: losses at ``theta``."""

    of: Penalised
    merchant: NDArray[np.intp]
    rough: Flags
    theta: Array
    here: Losses
    width: Array

    def only(self, kept: Flags) -> "_Search":
        if kept.all():
            return self
        return _Search(
            self.of.only(kept),
            self.merchant[kept],
            self.rough[kept],
            self.theta[kept],
            self.here.only(kept),
            self.width[kept],
        )

    def inside(self) -> Flags:
        """Where no parameter is at a bound and the loss is a number."""
        return (np.abs(self.theta) < LOG_BOUND).all(axis=1) & np.isfinite(self.here.value)

    def stuck(self) -> Flags:
        """Where no step however small leads down: rounding hides the slope."""
        return self.width < _LEAST_WIDTH

    def aims(self) -> tuple[Array, Array, Flags]:
        """Axes of the curvature, Newton's step along them, and whether this is a minimum."""
        bends, axes = np.linalg.eigh(self.here.curvature)
        along = np.einsum("mij,mi->mj", axes, self.here.slope)
        # Of negative curvature the absolute value: away from a saddle, and downhill.
        step = -along / np.maximum(np.abs(bends), 1e-300)
        rest = np.where(self.rough | self.stuck(), _REST_ROUGH, _REST_EXACT)
        flat = np.where(self.rough, FLAT_ROUGH, FLAT_EXACT) * self.of.many.users
        at_rest = (np.abs(step).max(axis=1) < rest) & (self.here.steepest < flat)
        bowl = bends[:, 0] > _SINGULAR * bends[:, -1]
        return axes, step, at_rest & bowl & self.inside()

    def step(self, axes: Array, step: Array) -> "_Search":
        """One step, or a smaller region where the loss would rise."""
        step = np.clip(step, -self.width[:, None], self.width[:, None])
        theta = np.clip(self.theta + np.einsum("mij,mj->mi", axes, step), -LOG_BOUND, LOG_BOUND)
        there = self.of.losses(theta)
        rounding = _ROUNDING * (np.abs(self.here.value) + self.of.many.users)
        halved = there.steepest <= self.here.steepest / 2
        better = there.value <= self.here.value + np.where(halved, rounding, 0)
        width = np.where(better, np.minimum(2 * self.width, _GREATEST_WIDTH), np.abs(step).max(axis=1) / 4)
        theta = np.where(better[:, None], theta, self.theta)
        return _Search(self.of, self.merchant, self.rough, theta, self.here.take(better, there), width)


def descend(of: Penalised, start: Array, rough: Flags) -> tuple[Array, Array, Flags]:
    """Log parameters, loss, and whether a minimum inside the box: shapes (merchants, k), (merchants,), (merchants,).

    Along the axes of its curvature a merchant's quadratic model falls apart, so its lowest point in a box along them
    is Newton's step, clipped. A box grows with each step taken. Merchants that have ended leave the arrays.
    """
    theta, value, done = start.copy(), np.full(len(start), np.inf), np.zeros(len(start), dtype=bool)
    with np.errstate(all="ignore"):
        search = _Search(
            of, np.arange(len(start)), rough, start, of.losses(start), np.full(len(start), _WIDTH)
        )
        search = search.only(search.inside())
        for _ in range(_MAX_STEPS):
            axes, step, found = search.aims()
            ended = search.merchant[found]
            theta[ended], value[ended], done[ended] = search.theta[found], search.here.value[found], True
            going = ~found & search.inside() & ~search.stuck()
            if not going.any():
                break
            search = search.only(going).step(axes[going], step[going])
    return theta, value, done
