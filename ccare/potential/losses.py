"""Losses of many merchants with gradient and curvature, and the priors' on top."""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ccare.potential.histories import Array

Flags = NDArray[np.bool_]


@dataclass
class Losses:
    """``value`` (merchants,), ``slope`` (merchants, k), ``curvature`` (merchants, k, k); sums are made in place."""

    value: Array
    slope: Array
    curvature: Array

    @staticmethod
    def zeros(theta: Array) -> "Losses":
        """To be added to."""
        merchants, k = theta.shape
        return Losses(np.zeros(merchants), np.zeros((merchants, k)), np.zeros((merchants, k, k)))

    def add_slope(self, *parts: Array | float) -> None:
        """One part a parameter."""
        for i, part in enumerate(parts):
            self.slope[:, i] += part

    def add_curvature(self, i: int, j: int, part: Array) -> None:
        """On both sides of the diagonal."""
        self.curvature[:, i, j] += part
        if i != j:
            self.curvature[:, j, i] += part

    def negative(self) -> "Losses":
        """The losses of log-likelihoods."""
        return Losses(-self.value, -self.slope, -self.curvature)

    @property
    def steepest(self) -> Array:
        """The greatest slope by any parameter, shape (merchants,)."""
        greatest: Array = np.abs(self.slope).max(axis=1)
        return greatest

    def only(self, merchants: Flags) -> "Losses":
        """Some of the merchants."""
        return Losses(self.value[merchants], self.slope[merchants], self.curvature[merchants])

    def take(self, better: Flags, other: "Losses") -> "Losses":
        """``other`` where it is better."""
        return Losses(
            np.where(better, other.value, self.value),
            np.where(better[:, None], other.slope, self.slope),
            np.where(better[:, None, None], other.curvature, self.curvature),
        )


class Many(Protocol):
    """What the users of many merchants did."""

    @property
    def users(self) -> Array:
        """Users of each merchant, shape (merchants,)."""
        ...

    def only(self, merchants: Flags) -> Self:
        """Some of the merchants."""
        ...

    def losses(self, theta: Array) -> Losses:
        """At log parameters ``theta``, shape (merchants, k)."""
        ...


@dataclass(frozen=True)
class Penalised:
    """Losses towards each merchant's prior: ``mean`` and ``precision``, shape (merchants, k)."""

    many: Many
    mean: Array
    precision: Array

    def only(self, merchants: Flags) -> "Penalised":
        """Some of the merchants."""
        return Penalised(self.many.only(merchants), self.mean[merchants], self.precision[merchants])

    def losses(self, theta: Array) -> Losses:
        """Infinite where a number overflows: no search steps there."""
        found, away = self.many.losses(theta), theta - self.mean
        found.value += 0.5 * (self.precision * away * away).sum(axis=1)
        found.slope += self.precision * away
        found.curvature += self.precision[:, :, None] * np.eye(theta.shape[1])
        numbers = (found.value[:, None, None], found.slope[:, :, None], found.curvature)
        finite = np.logical_and.reduce([np.isfinite(part).all(axis=(1, 2)) for part in numbers])
        found.value[~finite] = np.inf
        return found
