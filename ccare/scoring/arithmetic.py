"""The arithmetic of scores in NumPy, by the definitions of docs/reference/scores.md.

Every function takes and gives float64 arrays of one shape; NaN stands for null. An oracle in plain Python
(tests/oracle/scores.py) shares none of it.
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
    at = place(ordered, ordered)
    reaching = ordered[(LAST - at if lower else at) >= percentile]
    if not reaching.size:
        return None
    return float(reaching[-1] if lower else reaching[0])


def quantiles(values: Floats) -> Floats:
    """The 101 quantiles of values without NaN: number i at position i (n - 1) / 100, linear between neighbours.

    Type 7 of R. J. Hyndman and Y. Fan (1996), Sample quantiles in statistical packages. Positions are whole-number
    arithmetic, so ties stay equal to the last digit.
    """
    ordered, top = np.sort(values), len(values) - 1
    at = np.arange(LAST + 1) * top
    low, high = ordered[at // LAST], ordered[np.minimum(at // LAST + 1, top)]
    return np.minimum(low + (high - low) * ((at % LAST) / LAST), high)


def pulled(own: Floats, n: Floats, mean: Floats | float, strength: Floats | float) -> Floats:
    """(own + k m) / (n + k); the peers' mean where the merchant has nothing to put in (NaN)."""
    return np.where(np.isnan(own), mean, (own + strength * mean) / (n + strength))


def share_bounds(mean: Floats, strength: Floats) -> tuple[Floats, Floats]:
    """10 % and 90 % points of Beta(mean x strength, (1 - mean) x strength); a mean at or beyond 0 or 1 has no width.

    The logit of a beta variable is the difference of two log-gamma variables, so its cumulants are polygamma
    functions; the points are those of a normal on the logit, corrected for skew and kurtosis (E. A. Cornish and R. A.
    Fisher (1938), Moments and cumulants in the specification of distributions). Without the correction a share near
    0 or 1 is off by tens of points; with it a point is off by less than 0.01 for n >= 20, and its place among peers
    by less than 1 of 100, or 2 where fewer than two people are expected to count.
    """
    a, b = mean * strength, (1 - mean) * strength
    flat = ~((a >= _NO_WIDTH) & (b >= _NO_WIDTH))
    up, down = _log_gamma_cumulants(np.where(flat, 1.0, a)), _log_gamma_cumulants(np.where(flat, 1.0, b))
    spread = np.sqrt(up[1] + down[1])
    square = spread * spread
    skew, kurtosis = (up[2] - down[2]) / (square * spread), (up[3] + down[3]) / (square * square)
    points = []
    for z in (-NORMAL_90, NORMAL_90):
        w = z + skew * (z**2 - 1) / 6 + kurtosis * (z**3 - 3 * z) / 24 - skew * skew * (2 * z**3 - 5 * z) / 36
        with np.errstate(over="ignore"):  # next to nothing of very many: the point is 0
            points.append(np.where(flat, mean, 1 / (1 + np.exp(-(up[0] - down[0] + spread * w)))))
    return points[0], points[1]


def amount_bounds(
    x: Floats, n: Floats, strength: Floats, lowest: Floats, highest: Floats
) -> tuple[Floats, Floats]:
    """10 % and 90 % points around ``x``; ``lowest``, ``highest``: the peers' own, on the scored scale.

    An amount is no share: its posterior is taken as normal there, the peers' own half-width times sqrt(k / (n + k)),
    which is how a normal mean with prior strength k narrows as n grows.
    """
    half = (highest - lowest) / 2 * np.sqrt(strength / (n + strength))
    return x - half, x + half


def _log_gamma_cumulants(shape: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Cumulants 1 to 4 of log G, G ~ Gamma(shape): polygamma, by recurrence and series (A&S 6.3.18, 6.4.11)."""
    lifted = shape + _LIFT
    y = 1 / lifted
    y2 = y * y
    first = np.log(lifted) - y / 2 - y2 * (1 / 12 - y2 * (1 / 120 - y2 / 252))
    second = y + y2 / 2 + y * y2 * (1 / 6 - y2 * (1 / 30 - y2 / 42))
    third = -(y2 + y * y2 + y2 * y2 * (1 / 2 - y2 * (1 / 6 - y2 / 6)))
    fourth = y2 * y * (2 + 3 * y + y2 * (2 - y2 * (1 - y2 * 4 / 3)))
    for j in range(_LIFT):
        part = 1 / (shape + j)
        square = part * part
        first -= part
        second += square
        third -= 2 * square * part
        fourth += 6 * square * square
    return first, second, third, fourth
