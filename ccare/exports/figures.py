"""A driver's value, numerator, denominator and n as they may be told: exact, bounded, "<10" or withheld."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ccare.exports.cells import Parts, cell, parts_of
from ccare.exports.suppression import FEW, HELD, MIN_USERS, SHOWN, UNBOUNDED, Protected
from ccare.metrics.definitions import Metric

NONE, EXACT, LESS, RANGE, WITHHELD = 0, 1, 2, 3, 4
"""Nothing known; exact; below a bound (``high``); between two bounds; not told."""

Floats = npt.NDArray[np.float64]
Kinds = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Told:
    """One figure of many merchants: how it is told, and its bounds (both the value itself where exact)."""

    kind: Kinds
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Figures:
    """The four figures of one metric."""

    value: Told
    numerator: Told
    denominator: Told
    n: Told


def figures(
    metric: Metric, rows: Mapping[str, npt.NDArray[np.float64]], safe: Protected, at: npt.NDArray[np.int64]
) -> Figures:
    """Figures of ``metric`` at ``rows`` (value, numerator, denominator, n: floats, NaN where null).

    ``at``: place of each row's merchant in the cells of ``safe``.
    """
    parts = parts_of(metric)
    withheld = np.zeros(len(at), dtype=bool)
    for guard in parts.guards:
        withheld |= safe.state[guard][at] != SHOWN
    if parts.payers:
        withheld |= safe.low["r_payers"][at] < MIN_USERS
    if metric.is_ratio:
        withheld |= rows["n"] < MIN_USERS
    plain = not metric.is_ratio and parts.numerator is None
    if parts.orders:
        numerator = _orders(parts, rows["numerator"], withheld, safe, at)
    else:
        numerator = _cell(parts.numerator, rows["numerator"], withheld, safe, at)
    denominator = _cell(parts.denominator, rows["denominator"], withheld & ~np.bool_(parts.payers), safe, at)
    if not metric.is_ratio:
        counted = _exact(rows["value"]) if plain else numerator
        return Figures(counted, counted, denominator, _cell(parts.numerator, rows["n"], ~withheld, safe, at))
    value = _share(rows, numerator, withheld)
    return Figures(value, numerator, denominator, _behind(metric, rows["n"], withheld, safe, at))


def _exact(values: Floats) -> Told:
    return Told(np.where(np.isnan(values), NONE, EXACT).astype(np.uint8), values, values)


def _cell(
    name: str | None,
    values: Floats,
    withheld: npt.NDArray[np.bool_],
    safe: Protected,
    at: npt.NDArray[np.int64],
) -> Told:
    """A part: by the state of its cell, else exact unless its value is withheld."""
    if name is None:
        kind = np.where(np.isnan(values), NONE, np.where(withheld, WITHHELD, EXACT))
        return Told(kind.astype(np.uint8), values, values)
    state, low, high = safe.state[name][at], safe.low[name][at], safe.high[name][at]
    held = np.where((high < UNBOUNDED // 2) & (low > MIN_USERS), RANGE, WITHHELD)
    few = (state == FEW) | ((state == HELD) & (high < MIN_USERS))
    kind = np.select([np.isnan(values), state == SHOWN, few], [NONE, EXACT, LESS], held)
    return Told(
        kind.astype(np.uint8),
        np.where(few, 0, low).astype(float),
        np.where(few, MIN_USERS, high).astype(float),
    )


def _orders(
    parts: Parts,
    values: Floats,
    withheld: npt.NDArray[np.bool_],
    safe: Protected,
    at: npt.NDArray[np.int64],
) -> Told:
    """A number of orders, times what it stands in the numerator with: by its cell, and by its payers."""
    told = _cell(parts.orders, values, withheld, safe, at)
    hidden = withheld & np.isin(told.kind, (EXACT, RANGE))
    kind = np.where(hidden, WITHHELD, told.kind).astype(np.uint8)
    return Told(kind, told.low * parts.times, told.high * parts.times)


def _share(rows: Mapping[str, Floats], numerator: Told, withheld: npt.NDArray[np.bool_]) -> Told:
    """The ratio: exact, or bounded like its numerator, or withheld."""
    value, den = rows["value"], rows["denominator"]
    few, ranged = numerator.kind == LESS, numerator.kind == RANGE
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(few | ranged, numerator.low / den, value)
        high = np.where(few | ranged, numerator.high / den, value)
    hidden = withheld | (numerator.kind == WITHHELD)
    kind = np.select([np.isnan(value), hidden, few, ranged], [NONE, WITHHELD, LESS, RANGE], EXACT)
    return Told(kind.astype(np.uint8), low, high)


def _behind(
    metric: Metric, n: Floats, withheld: npt.NDArray[np.bool_], safe: Protected, at: npt.NDArray[np.int64]
) -> Told:
    """n: by its cell where it counts users; orders and impressions are told."""
    parts = parts_of(metric)
    name = cell(metric.population) or parts.denominator or next(iter(parts.guards), "")
    if name in safe.state:
        return _cell(name, n, withheld, safe, at)
    few = withheld & (n < MIN_USERS)
    kind = np.where(np.isnan(n), NONE, np.where(few, LESS, EXACT)).astype(np.uint8)
    return Told(kind, np.where(few, 0, n), np.where(few, MIN_USERS, n))


def suppressed(safe: Protected) -> list[dict[str, str]]:
    """Each merchant's cells that are not shown -> few or held, in name order; cells that no page shows left out."""
    found: list[dict[str, str]] = [{} for _ in next(iter(safe.state.values()))]
    for name, state in sorted(safe.state.items()):
        if not name.endswith("_rest"):
            for kind, text in ((FEW, "few"), (HELD, "held")):
                for at in np.flatnonzero(state == kind).tolist():
                    found[at][name] = text
    return found
