"""The arithmetic of scores in NumPy, apart from the Spark jobs: what explain and what-if work a score out with.

Every function takes and gives float64 arrays of one shape; NaN stands for null. It follows the definitions of
docs/reference/scores.md and shares no code with the jobs, so that a slip in one of the two shows as a difference.
"""

import math
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LAST = 100
"""Index of the highest of 101 quantiles."""
NORMAL_90 = 1.2815515655446004
_NEAR_TIE = 1e-6
_LIFT = 6
_NO_WIDTH = 1e-9


def rounded(x: Floats, places: int) -> Floats:
    """``x`` to so many decimals, ties to the even digit of the number as it is written."""
    scale = 10.0**places
    scaled = x * scale
    out: Floats = np.rint(scaled) / scale
    # A product may miss a tie, or make one: those few are rounded as written.
    near = np.abs(np.abs(scaled - np.floor(scaled)) - 0.5) < _NEAR_TIE
    for i in np.flatnonzero(near):
        out.flat[i] = round_one(float(x.flat[i]), places)
    return out


def round_one(x: float, places: int) -> float:
    """One number, half-even by its shortest decimal form."""
    return float(Decimal(repr(x)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN))


def one_decimal(x: Floats) -> Floats:
    """A score: kept within 0 and 100, the noise of sums taken off at nine decimals, then one decimal."""
    return rounded(rounded(np.clip(x, 0.0, 100.0), 9), 1)


def transformed(x: Floats, scoring: str) -> Floats:
    """The scale on which places are taken."""
    if scoring == "identity":
        return x
    size = np.log1p(np.abs(x))
    return size if scoring == "log1p" else np.sign(x) * size


def restored(x: float, scoring: str) -> float:
    """Back from that scale to the metric's own unit."""
    if scoring == "identity":
        return x
    size = math.expm1(abs(x))
    return size if scoring == "log1p" else math.copysign(size, x)


def place(x: Floats, ordered: Floats) -> Floats:
    """Where ``x`` stands among 101 ascending quantiles, 0 to 100: the middle of its equals, else between neighbours."""
    first, after = np.searchsorted(ordered, x, "left"), np.searchsorted(ordered, x, "right")
    low, high = ordered[np.clip(first - 1, 0, LAST)], ordered[np.clip(first, 0, LAST)]
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (first - 1) + (x - low) / (high - low)
    out: Floats = np.where(first == 0, 0.0, np.where(first > LAST, 100.0, between))
    out = np.where(after > first, (first + after - 1) / 2, out)
    return np.where(np.isnan(x), np.nan, out)


def target(ordered: Floats, percentile: float, *, lower: bool) -> float | None:
    """The least quantile whose place reaches ``percentile`` (where ``lower``, the greatest); None where none does."""
    candidates = ordered[::-1] if lower else ordered
    for value in dict.fromkeys(float(v) for v in candidates):
        at = float(place(np.array([value]), ordered)[0])
        if (LAST - at if lower else at) >= percentile:
            return value
    return None


def pulled(own: Floats, n: Floats, mean: float, strength: float) -> Floats:
    """(own + k m) / (n + k); the peers' mean where the merchant has nothing to put in (NaN)."""
    return np.where(np.isnan(own), mean, (own + strength * mean) / (n + strength))


def share_bounds(mean: Floats, strength: Floats) -> tuple[Floats, Floats]:
    """10 % and 90 % points of Beta(mean x strength, (1 - mean) x strength): a normal on the logit with Cornish and
    Fisher's correction (docs/reference/scores.md). A mean at or beyond 0 or 1 has no width."""
    a, b = mean * strength, (1 - mean) * strength
    flat = ~((a >= _NO_WIDTH) & (b >= _NO_WIDTH))
    up, down = _log_gamma_cumulants(np.where(flat, 1.0, a)), _log_gamma_cumulants(np.where(flat, 1.0, b))
    spread = np.sqrt(up[1] + down[1])
    skew, kurtosis = (up[2] - down[2]) / spread**3, (up[3] + down[3]) / spread**4
    points = []
    for z in (-NORMAL_90, NORMAL_90):
        w = z + skew * (z**2 - 1) / 6 + kurtosis * (z**3 - 3 * z) / 24 - skew**2 * (2 * z**3 - 5 * z) / 36
        with np.errstate(over="ignore"):  # next to nothing of very many: the point is 0
            points.append(np.where(flat, mean, 1 / (1 + np.exp(-(up[0] - down[0] + spread * w)))))
    return points[0], points[1]


def amount_bounds(x: Floats, n: Floats, strength: float, ordered: Floats) -> tuple[Floats, Floats]:
    """``x`` less and plus the peers' half-width from 10 % to 90 %, narrowed by sqrt(k / (n + k))."""
    half = (ordered[90] - ordered[10]) / 2 * np.sqrt(strength / (n + strength))
    return x - half, x + half


def _log_gamma_cumulants(shape: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Cumulants 1 to 4 of log G, G ~ Gamma(shape): polygamma, by recurrence and series (A&S 6.3.18, 6.4.11)."""
    y = 1 / (shape + _LIFT)
    first = np.log(shape + _LIFT) - y / 2 - y**2 / 12 + y**4 / 120 - y**6 / 252
    second = y + y**2 / 2 + y**3 / 6 - y**5 / 30 + y**7 / 42
    third = -(y**2) - y**3 - y**4 / 2 + y**6 / 6 - y**8 / 6
    fourth = 2 * y**3 + 3 * y**4 + 2 * y**5 - y**7 + 4 * y**9 / 3
    for j in range(_LIFT):
        part = 1 / (shape + j)
        first, second = first - part, second + part**2
        third, fourth = third - 2 * part**3, fourth + 6 * part**4
    return first, second, third, fourth
