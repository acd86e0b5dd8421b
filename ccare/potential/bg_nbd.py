"""BG/NBD: how often a user comes back, and whether they still do (Fader, Hardie, Lee 2005).

While alive a user pays at rate lambda ~ Gamma(r, alpha); after each paid day they leave for good with probability
p ~ Beta(a, b). Everything is computed in logarithms, so long histories neither overflow nor vanish.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, gammaln

from ccare.potential.bg_nbd_loss import ManyHistories
from ccare.potential.fitting import Optimum, Prior
from ccare.potential.histories import Array, Histories
from ccare.potential.many import Task, fit_many

_MAX_TERMS = 20_000
_NEGLIGIBLE = 1e-13


@dataclass(frozen=True)
class BgNbd:
    """Parameters, all > 0; ``alpha`` is in the histories' unit of time."""

    r: float
    alpha: float
    a: float
    b: float

    @property
    def log(self) -> Array:
        """Logarithms of (r, alpha, a, b)."""
        return np.log([self.r, self.alpha, self.a, self.b])

    @staticmethod
    def from_log(theta: Array) -> "BgNbd":
        """The inverse of ``log``."""
        return BgNbd(*(float(value) for value in np.exp(theta)))


def log_likelihood(model: BgNbd, of: Histories) -> float:
    """Sum over users of the log-likelihood of their histories."""
    return -float(ManyHistories.of([of]).losses(model.log[None]).value[0])


def gradient(model: BgNbd, of: Histories) -> Array:
    """Gradient of ``log_likelihood`` in the log parameters, shape (4,)."""
    return -ManyHistories.of([of]).losses(model.log[None]).slope[0]


def fit(
    of: Histories, prior: Prior | None = None, start: Array | None = None, *, rough: bool = False
) -> Optimum:
    """Log parameters of greatest (penalised) likelihood, from ``start``, the prior's mean or a plain guess."""
    if prior is None:
        prior = Prior(_guess(of), np.zeros(4))
    return fit_many(ManyHistories.of, [Task(of, prior, start, rough)])[0]


def probability_alive(model: BgNbd, of: Histories) -> Array:
    """P(alive) at T, shape (rows,); 1 without a repeat paid day, for leaving follows one."""
    leaving = np.log(model.a) - np.log(np.maximum(model.b + of.x - 1, 1e-300))
    silent = (model.r + of.x) * (np.log(model.alpha + of.T) - np.log(model.alpha + of.t_x))
    return np.where(of.x > 0, expit(-(leaving + silent)), 1.0)


def expected_repeats(model: BgNbd, t: float, of: Histories) -> Array:
    """E[paid days in (T, T + t] | history], shape (rows,); t in the histories' unit (the paper's equation 10)."""
    shape, rate = model.r + of.x, model.alpha + of.T
    return probability_alive(model, of) * _while_alive(shape, t / rate, model.a, model.b + of.x)


def expected_from_start(model: BgNbd, t: object) -> Array:
    """E[repeat paid days in t] of a user never seen before, shape of ``t``."""
    times = np.atleast_1d(np.asarray(t, dtype=float))
    same = np.ones_like(times)
    return _while_alive(model.r * same, times / model.alpha, model.a, model.b * same)


def probability_of(model: BgNbd, n: int, t: float) -> float:
    """P(n repeat paid days in t) of a user never seen before (Fader, Hardie, Lee 2005, eq. 8)."""
    r, alpha, a, b = model.r, model.alpha, model.a, model.b

    def paid(k: int) -> float:
        """P of k events of the gamma-Poisson process in t."""
        chosen = gammaln(r + k) - gammaln(r) - gammaln(k + 1)
        return float(np.exp(chosen + r * np.log(alpha / (alpha + t)) + k * np.log(t / (alpha + t))))

    stays = gammaln(a + b) + gammaln(b + n) - gammaln(b) - gammaln(a + b + n)
    still_there = float(np.exp(stays)) * paid(n)
    if n == 0:
        return still_there
    leaves = np.log(a) + gammaln(a + b) + gammaln(b + n - 1) - gammaln(b) - gammaln(a + b + n)
    return still_there + float(np.exp(leaves)) * (1 - sum(paid(k) for k in range(n)))


def _while_alive(shape: Array, span: Array, a: float, stays: Array) -> Array:
    """Sum over j of P(more than j events of the gamma-Poisson process in t) x P(user still there after j of them).

    With rate ~ Gamma(shape, .) and ``span`` = t over its scale the events are negative binomial; p ~ Beta(a, stays).
    The paper's closed form says the same, but its 2F1 overflows for long histories, has a pole at a = 1, and library
    versions of it lose every digit for some fits. Here all terms are positive, so more time never means fewer days.
    """
    total = np.zeros_like(span)
    rows = np.flatnonzero(span > 0)
    shape, span, stays = shape[rows], span[rows], stays[rows]
    log_odds = np.log(span) - np.log1p(span)
    log_mass = -shape * np.log1p(span)
    more, there = -np.expm1(log_mass), np.ones_like(span)
    for j in range(_MAX_TERMS):
        total[rows] += more * there
        there = there * (stays + j) / (a + stays + j)
        log_mass = log_mass + np.log((shape + j) / (j + 1)) + log_odds
        more = np.maximum(more - np.exp(log_mass), 0.0)
        if j % 16 == 15:
            open_ = more * there > _NEGLIGIBLE * total[rows]
            if not open_.all():
                parts = (rows, shape, stays, log_odds, log_mass, more, there)
                rows, shape, stays, log_odds, log_mass, more, there = (part[open_] for part in parts)
            if not rows.size:
                break
    return total


def _guess(of: Histories) -> Array:
    """A first guess in the data's own unit of time."""
    observed = float(of.users @ of.T) or 1.0
    rate = max(float(of.users @ of.x) / observed, 1e-9)
    return np.log([0.5, 0.5 / rate, 0.5, 2.0])
