"""Penalised maximum likelihood in the logarithms of positive parameters: what every search shares, and L-BFGS-B."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from ccare.potential.histories import Array

Loss = Callable[[Array], tuple[float, Array]]
LOG_BOUND = 15.0
"""No parameter leaves exp(+-15): beyond, the likelihood is flat and digits are lost."""
FLAT_ROUGH, FLAT_EXACT = 1e-3, 1e-5
"""Greatest slope per user that is flat."""
_GAIN_ROUGH, _GAIN_EXACT = 1e-9, 1e-15
"""Gain a step, as a share of the loss, at which L-BFGS-B ends."""


@dataclass(frozen=True)
class Prior:
    """Independent normals on log parameters: ``mean`` and ``precision``, both of the parameters' shape."""

    mean: Array
    precision: Array

    def loss(self, theta: Array) -> tuple[float, Array]:
        """Negative log density up to a constant, and its gradient."""
        away = theta - self.mean
        return 0.5 * float(self.precision @ (away * away)), self.precision * away


@dataclass(frozen=True)
class Optimum:
    """Where the search ended: log parameters, the loss there, and whether it is a stationary point."""

    theta: Array
    loss: float
    converged: bool


def minimise(loss: Loss, start: Array, prior: Prior, users: float, *, rough: bool = False) -> Optimum:
    """Minimise ``loss`` (a sum over ``users``) plus the prior's. Never raises for numbers that overflow.

    ``rough`` stops at three digits or so: enough to learn from.
    """
    gain = _GAIN_ROUGH if rough else _GAIN_EXACT

    def total(theta: Array) -> tuple[float, Array]:
        value, slope = loss(theta)
        more, tilt = prior.loss(theta)
        value, slope = value + more, slope + tilt
        if not (np.isfinite(value) and np.isfinite(slope).all()):
            return 1e30, np.zeros_like(theta)
        return value / users, slope / users

    bounds = [(-LOG_BOUND, LOG_BOUND)] * len(start)
    options = {"maxiter": 500, "ftol": gain, "gtol": 1e-8, "maxcor": 10}
    with np.errstate(all="ignore"):
        found = minimize(total, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        value, slope = total(found.x)
    flat = bool(np.max(np.abs(slope)) < (FLAT_ROUGH if rough else FLAT_EXACT))
    inside = bool((np.abs(found.x) < LOG_BOUND).all())
    return Optimum(found.x, float(value) * users, flat and inside and value < 1e29)
