"""Which counts of users may leave the house, so that no small one can be worked out from the others.

A count below 10 is few: it is told as "<10". Where counts that add up would give a few one away, another of them is
held back; what is still known of it is an interval. Cells and relations are NumPy columns, one place a merchant.
"""

from collections.abc import Collection, Mapping, Sequence
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

    def at(self, places: npt.NDArray[np.intp]) -> "Protected":
        """The cells of some merchants, by their places."""
        state = {name: values[places] for name, values in self.state.items()}
        low, high = ({n: v[places] for n, v in bound.items()} for bound in (self.low, self.high))
        return Protected(state, low, high)

    def beside(self, other: "Protected") -> "Protected":
        """These cells and those of ``other``, of the same merchants."""
        return Protected(
            {**self.state, **other.state}, {**self.low, **other.low}, {**self.high, **other.high}
        )


def hidden_before(
    merchants: npt.NDArray[np.str_], hidden: Mapping[str, Collection[str]]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Cell -> which merchants' is hidden, from merchant -> cells."""
    found: dict[str, npt.NDArray[np.bool_]] = {}
    for place, merchant in enumerate(merchants):
        for name in hidden.get(str(merchant), ()):
            found.setdefault(name, np.zeros(len(merchants), dtype=bool))[place] = True
    return found


def protect(
    cells: Mapping[str, Ints],
    relations: Sequence[Relation],
    *,
    unpublished: Mapping[str, str] | None = None,
    before: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    told_zeros: Collection[str] = (),
) -> Protected:
    """States and bounds of ``cells`` (name -> counts, all of one length).

    ``unpublished``: cells that stand on no page, each with the cell beside it; they count as few only where the
    other is not. ``before``: where a cell was hidden in an earlier export of the same day: it stays hidden.
    ``told_zeros``: cells whose 0 a reader knows: it is no secret and hides no other, and a hidden one is at least 1.
    """
    before = before or {}
    zeros = {name: np.asarray(cells[name] == 0) for name in told_zeros}
    state: dict[str, States] = {}
    for name, values in cells.items():
        own = np.where(values < MIN_USERS, FEW, SHOWN).astype(np.uint8)
        if name in zeros:
            own[zeros[name]] = SHOWN
        if name in before:
            own[(own == SHOWN) & before[name]] = HELD
        state[name] = own
    secret = {name: own != SHOWN for name, own in state.items()}
    unpublished = unpublished or {}
    for name, beside in unpublished.items():
        few = (cells[name] < MIN_USERS) & (cells[beside] >= MIN_USERS)
        state[name] = np.where(few, FEW, HELD).astype(np.uint8)
        if name in zeros:
            few = few & ~zeros[name]
            state[name][zeros[name]] = SHOWN
        secret[name] = few
    while _give_up(cells, relations, state, secret, zeros, unpublished):
        pass
    low, high = _bounds(cells, relations, state, zeros, unpublished)
    return Protected(state, low, high)


def _give_up(
    cells: Mapping[str, Ints],
    relations: Sequence[Relation],
    state: dict[str, States],
    secret: dict[str, npt.NDArray[np.bool_]],
    zeros: Mapping[str, npt.NDArray[np.bool_]],
    unpublished: Collection[str],
) -> bool:
    """Hold back one more cell of each relation that pins a hidden one; False where none does."""
    changed = False
    low, high = _bounds(cells, relations, state, zeros, unpublished)
    for relation in relations:
        pinned = np.zeros(len(cells[relation.whole]), dtype=bool)
        for name, _ in relation.terms:
            below, above = _implied(relation, name, low, high)
            narrow = np.minimum(high[name], above) - np.maximum(low[name], below) + 1 < WIDTH
            pinned |= secret[name] & narrow
        gave = False
        for name in relation.give_up:
            taken = pinned & (state[name] == SHOWN)
            if name in zeros:
                taken &= ~zeros[name]
            if taken.any():
                state[name][taken] = HELD
                secret[name] = secret[name] | taken
                pinned &= ~taken
                gave = changed = True
        if gave:
            low, high = _bounds(cells, relations, state, zeros, unpublished)
    return changed


def _bounds(
    cells: Mapping[str, Ints],
    relations: Sequence[Relation],
    state: Mapping[str, States],
    zeros: Mapping[str, npt.NDArray[np.bool_]],
    unpublished: Collection[str],
) -> tuple[dict[str, Ints], dict[str, Ints]]:
    """What a reader of everything shown can say: exact, 0 to 9, or anything, narrowed by the relations."""
    low, high = {}, {}
    for name, values in cells.items():
        shown, few = state[name] == SHOWN, state[name] == FEW
        least = np.where(zeros[name], 0, 1) if name in zeros else 0
        if name not in unpublished:
            # One below 10 would be told as few: "withheld" says that it is not.
            least = np.where(few, least, np.minimum(values, MIN_USERS))
        low[name] = np.where(shown, values, least)
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
