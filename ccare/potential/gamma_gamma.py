"""Gamma-Gamma: what a user spends a paid day (Fader, Hardie 2013, note 25).

A user's mean spend z over x paid days is Gamma(p x, nu x), nu ~ Gamma(q, v). q stays above 1, where the mean over
users exists.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln

from ccare.potential.fitting import Optimum, Prior, minimise
from ccare.potential.histories import Array


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


def log_likelihood(model: GammaGamma, of: Spends) -> float:
    """Sum over users of the log-likelihood of their mean spends."""
    return -_loss(model.log, of)[0]


def gradient(model: GammaGamma, of: Spends) -> Array:
    """Gradient of ``log_likelihood`` in the log parameters (p, q - 1, v), shape (3,)."""
    return -_loss(model.log, of)[1]


def fit(
    of: Spends, prior: Prior | None = None, start: Array | None = None, *, rough: bool = False
) -> Optimum:
    """Log parameters of greatest (penalised) likelihood, from ``start``, the prior's mean or a plain guess."""
    if start is None:
        start = prior.mean if prior is not None else np.log([4.0, 2.0, of.mean / 2])
    return minimise(lambda theta: _loss(theta, of), start, prior, of.total, rough=rough)


def expected_spend(model: GammaGamma, x: Array, z: Array) -> Array:
    """E[spend a paid day | x days of mean z], shape (rows,); the population's mean where x = 0."""
    return model.p * (model.v + x * z) / (model.p * x + model.q - 1)


def _loss(theta: Array, of: Spends) -> tuple[float, Array]:
    """Negative log-likelihood and its gradient in the log parameters."""
    p, above, v = np.exp(theta)
    q, px, n = 1 + above, p * of.x, of.users
    spent = of.x * of.z
    log_all = np.log(v + spent)
    rows = (
        gammaln(px + q)
        - gammaln(px)
        - gammaln(q)
        + q * np.log(v)
        + px * np.log(spent)
        - np.log(of.z)
        - (px + q) * log_all
    )
    risen = digamma(px + q)
    slope = np.array(
        [
            n @ (of.x * (risen - digamma(px) + np.log(spent) - log_all)) * p,
            n @ (risen - digamma(q) + np.log(v) - log_all) * above,
            n @ (q - (px + q) * v / (v + spent)),
        ]
    )
    return -float(n @ rows), -slope
