"""Which counts of users may leave the house, so that no small one can be worked out from the others.

A count below 10 is few: it is told as "<10". Where counts that add up would give a few one away, another of them is
held back; what is still known of it is an interval. Cells and relations are NumPy columns, one place a merchant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MIN_USERS = 10
MIN_PEERS = 20
SHOWN, FEW, HELD = 0, 1, 2
WIDTH = 5
"""A hidden count keeps at least so many possible values, whatever else is shown."""
UNBOUNDED = 1 << 40

Ints = npt.NDArray[np.int64]
States = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Relation:
    """``whole`` = the sum of ``parts``. ``give_up``: what is held back first where one part is few."""

    whole: str
    parts: tuple[str, ...]
    give_up: tuple[str, ...]

    @property
    def terms(self) -> tuple[tuple[str, int], ...]:
        """Cells with the sign that makes them sum to 0."""
        return ((self.whole, 1), *((part, -1) for part in self.parts))


@dataclass(frozen=True)
class Protected:
    """State of each cell, and the bounds that everything shown leaves for it."""

    state: Mapping[str, States]
    low: Mapping[str, Ints]
    high: Mapping[str, Ints]


def protect(
    cells: Mapping[str, Ints],
    relations: Sequence[Relation],
    *,
    unpublished: Mapping[str, str] | None = None,
    before: Mapping[str, npt.NDArray[np.bool_]] | None = None,
) -> Protected:
    """States and bounds of ``cells`` (name -> counts, all of one length).

    ``unpublished``: cells that stand on no page, each with the cell beside it; they count as few only where the
    other is not. ``before``: where a cell was hidden in an earlier export of the same day: it stays hidden.
    """
    hidden_before = before or {}
    state: dict[str, States] = {}
    for name, values in cells.items():
        own = np.where(values < MIN_USERS, FEW, SHOWN).astype(np.uint8)
        if name in hidden_before:
            own[(own == SHOWN) & hidden_before[name]] = HELD
        state[name] = own
    secret = {name: own != SHOWN for name, own in state.items()}
    for name, beside in (unpublished or {}).items():
        few = (cells[name] < MIN_USERS) & (cells[beside] >= MIN_USERS)
        state[name] = np.where(few, FEW, HELD).astype(np.uint8)
        secret[name] = few
    while _give_up(cells, relations, state, secret):
        pass
    low, high = _bounds(cells, relations, state)
    return Protected(state, low, high)


def _give_up(
    cells: Mapping[str, Ints],
    relations: Sequence[Relation],
    state: dict[str, States],
    secret: dict[str, npt.NDArray[np.bool_]],
) -> bool:
    """Hold back one more cell of each relation that pins a hidden one; False where none does."""
    changed = False
    low, high = _bounds(cells, relations, state)
    for relation in relations:
        pinned = np.zeros(len(cells[relation.whole]), dtype=bool)
        for name, _ in relation.terms:
            below, above = _implied(relation, name, low, high)
            narrow = np.minimum(high[name], above) - np.maximum(low[name], below) + 1 < WIDTH
            pinned |= secret[name] & narrow
        gave = False
        for name in relation.give_up:
            taken = pinned & (state[name] == SHOWN)
            if taken.any():
                state[name][taken] = HELD
                secret[name] = secret[name] | taken
                pinned &= ~taken
                gave = changed = True
        if gave:
            low, high = _bounds(cells, relations, state)
    return changed


def _bounds(
    cells: Mapping[str, Ints], relations: Sequence[Relation], state: Mapping[str, States]
) -> tuple[dict[str, Ints], dict[str, Ints]]:
    """What a reader of everything shown can say: exact, 0 to 9, or anything, narrowed by the relations."""
    low, high = {}, {}
    for name, values in cells.items():
        shown, few = state[name] == SHOWN, state[name] == FEW
        low[name] = np.where(shown, values, 0)
        high[name] = np.where(shown, values, np.where(few, MIN_USERS - 1, UNBOUNDED))
    for _ in range(3):
        for relation in relations:
            for name, _sign in relation.terms:
                below, above = _implied(relation, name, low, high)
                low[name] = np.maximum(low[name], below)
                high[name] = np.minimum(high[name], above)
    return low, high


def _implied(
    relation: Relation, name: str, low: Mapping[str, Ints], high: Mapping[str, Ints]
) -> tuple[Ints, Ints]:
    """Bounds of one cell by the others of a relation."""
    if name == relation.whole:
        return sum(low[p] for p in relation.parts), sum(high[p] for p in relation.parts)  # type: ignore[return-value]
    others = [part for part in relation.parts if part != name]
    below = low[relation.whole] - sum(high[p] for p in others)
    above = high[relation.whole] - sum(low[p] for p in others)
    return below, above
