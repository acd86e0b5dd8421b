"""Gamma-Gamma: what a user spends a paid day (Fader, Hardie 2013, note 25).

A user's mean spend z over x paid days is Gamma(p x, nu x), nu ~ Gamma(q, v). q stays above 1, where the mean over
users exists.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln

from ccare.potential.fitting import Optimum, Prior
from ccare.potential.histories import Array
from ccare.potential.losses import Flags, Losses
from ccare.potential.many import Task, fit_many
from ccare.potential.rows import Rows, trigamma


@dataclass(frozen=True)
class GammaGamma:
    """Parameters: p > 0, q > 1, v > 0 in the unit of money."""

    p: float
    q: float
    v: float

    @property
    def log(self) -> Array:
        """Logarithms of (p, q - 1, v)."""
        return np.log([self.p, self.q - 1, self.v])

    @staticmethod
    def from_log(theta: Array) -> "GammaGamma":
        """The inverse of ``log``."""
        p, above, v = np.exp(theta)
        return GammaGamma(float(p), float(1 + above), float(v))

    @property
    def population_mean(self) -> float:
        """E[spend a paid day] of a user never seen before."""
        return self.p * self.v / (self.q - 1)


@dataclass(frozen=True)
class Spends:
    """Users with at least one such day: ``x`` days, mean ``z`` > 0 a day, ``users`` alike. Shapes (rows,)."""

    x: Array
    z: Array
    users: Array

    @staticmethod
    def of(x: object, z: object, users: object | None = None) -> "Spends":
        """From anything array-like; ValueError where a row has no day or no positive mean."""
        days, mean = (np.atleast_1d(np.asarray(part, dtype=float)) for part in (x, z))
        count = np.ones_like(days) if users is None else np.atleast_1d(np.asarray(users, dtype=float))
        if not (days.shape == mean.shape == count.shape) or not ((days > 0) & (mean > 0) & (count > 0)).all():
            raise ValueError("spends need arrays of one length, x > 0, z > 0 and users > 0")
        return Spends(days, mean, count)

    @property
    def total(self) -> float:
        """Users."""
        return float(self.users.sum())

    @property
    def mean(self) -> float:
        """Spend a day over all their days."""
        return float(self.users @ (self.x * self.z) / (self.users @ self.x))

    def scaled(self, by: float) -> "Spends":
        """The same spends in units of ``by``."""
        return Spends(self.x, self.z / by, self.users)


@dataclass(frozen=True)
class ManySpends:
    """Many merchants' spends: ``users``, shape (merchants,), ``levels`` (x, users), ``rows`` (x, x z, users)."""

    users: Array
    constant: Array
    """Of the log-likelihood: minus the sum of ln z."""
    levels: Rows
    rows: Rows

    @staticmethod
    def of(parts: Sequence[Spends]) -> "ManySpends":
        """One merchant's spends a part."""
        rows = Rows.of([(part.x, part.x * part.z, part.users) for part in parts])
        x, spent, n = rows.columns
        return ManySpends(rows.sum(n), -rows.sum(n * np.log(spent / x)), rows.levels(x, n), rows)

    def only(self, merchants: Flags) -> "ManySpends":
        """Some of the merchants."""
        levels, rows = self.levels.only(merchants), self.rows.only(merchants)
        return ManySpends(self.users[merchants], self.constant[merchants], levels, rows)

    def losses(self, theta: Array) -> Losses:
        """Negative log-likelihoods at ``theta`` = log (p, q - 1, v), shape (merchants, 3)."""
        found = Losses.zeros(theta)
        self._count(theta, found)
        self._spend(theta, found)
        return found.negative()

    def _count(self, theta: Array, to: Losses) -> None:
        """ln G(px + q) / (G(px) G(q)), which depends on x alone."""
        x, n = self.levels.columns
        total, spread = self.levels.sum, self.levels.spread
        p, above, _ = np.exp(theta).T
        q, px = spread(1 + above), spread(p) * x
        to.value += total(n * (gammaln(px + q) - gammaln(px) - gammaln(q)))
        risen, bent, nx = digamma(px + q), trigamma(px + q), n * px
        by_p, by_above = total(nx * (risen - digamma(px))), above * total(n * (risen - digamma(q)))
        to.add_slope(by_p, by_above, 0.0)
        to.add_curvature(0, 0, by_p + total(nx * px * (bent - trigamma(px))))
        to.add_curvature(0, 1, above * total(nx * bent))
        to.add_curvature(1, 1, by_above + above**2 * total(n * (bent - trigamma(q))))

    def _spend(self, theta: Array, to: Losses) -> None:
        """px ln(xz) + q ln v - (px + q) ln(v + xz) - ln z."""
        x, spent, n = self.rows.columns
        total, spread = self.rows.sum, self.rows.spread
        p, above, v = np.exp(theta).T
        every = spread(v) + spent
        share, log_all = spread(v) / every, np.log(every)
        nx = n * x
        by_p = p * total(nx * (np.log(spent) - log_all))
        by_q = self.users * theta[:, 2] - total(n * log_all)
        to.value += by_p + (1 + above) * by_q + self.constant
        shared, shared_x = total(n * share), total(nx * share)
        to.add_slope(by_p, above * by_q, (1 + above) * (self.users - shared) - p * shared_x)
        to.add_curvature(0, 0, by_p)
        to.add_curvature(0, 2, -p * shared_x)
        to.add_curvature(1, 1, above * by_q)
        to.add_curvature(1, 2, above * (self.users - shared))
        bent = share * (1 - share)
        to.add_curvature(2, 2, -(1 + above) * total(n * bent) - p * total(nx * bent))


def log_likelihood(model: GammaGamma, of: Spends) -> float:
    """Sum over users of the log-likelihood of their mean spends."""
    return -float(ManySpends.of([of]).losses(model.log[None]).value[0])


def gradient(model: GammaGamma, of: Spends) -> Array:
    """Gradient of ``log_likelihood`` in the log parameters (p, q - 1, v), shape (3,)."""
    return -ManySpends.of([of]).losses(model.log[None]).slope[0]


def fit(
    of: Spends, prior: Prior | None = None, start: Array | None = None, *, rough: bool = False
) -> Optimum:
    """Log parameters of greatest (penalised) likelihood, from ``start``, the prior's mean or a plain guess."""
    if prior is None:
        prior = Prior(np.log([4.0, 2.0, of.mean / 2]), np.zeros(3))
    return fit_many(ManySpends.of, [Task(of, prior, start, rough)])[0]


def expected_spend(model: GammaGamma, x: Array, z: Array) -> Array:
    """E[spend a paid day | x days of mean z], shape (rows,); the population's mean where x = 0."""
    return model.p * (model.v + x * z) / (model.p * x + model.q - 1)
