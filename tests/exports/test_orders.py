"""Orders by slot: who adds and subtracts what is told learns no count of orders below 10."""

import numpy as np
import pytest
from scipy.optimize import linprog

from ccare.exports.figures import figures, suppressed
from ccare.exports.orders import ALL, PAID, PUBLIC, PUBLIC_TOTAL, SLOTS, cell_of, protected_orders
from ccare.exports.suppression import FEW, HELD, SHOWN, Protected
from ccare.metrics.definitions import METRIC_BY_ID

LEAST = 4
"""A hidden count can be one of at least so many numbers."""


def told(
    slots: dict[str, int], *, other: int = 0, hidden: tuple[str, ...] = (), public: int | None = None
) -> Protected:
    """States of one merchant's orders; ``other``: those of no slot; ``public``: as the metric has them."""
    counts = {slot: np.array([slots.get(slot, 0)]) for slot in SLOTS}
    in_public = sum(slots.get(slot, 0) for slot in PUBLIC) if public is None else public
    sums = {PUBLIC_TOTAL: np.array([in_public]), ALL: np.array([sum(slots.values()) + other])}
    return protected_orders(counts, sums, {cell_of(slot): np.array([True]) for slot in hidden})


def states(safe: Protected, *names: str) -> list[int]:
    return [int(safe.state[name][0]) for name in names]


def numerator(safe: Protected, orders: int) -> tuple[int, float, float]:
    """Kind and bounds of the numerator of public conversion, of enough payers."""
    both = safe.beside(
        Protected({"r_payers": np.array([0])}, {"r_payers": np.array([99])}, {"r_payers": np.array([99])})
    )
    numbers = {"value": orders, "numerator": 1000 * orders, "denominator": 1000, "n": 500}
    rows = {name: np.array([float(number)]) for name, number in numbers.items()}
    found = figures(METRIC_BY_ID["e_public_conversion"], rows, both, np.array([0])).numerator
    return int(found.kind[0]), float(found.low[0]), float(found.high[0])


def test_the_public_sum_less_the_slots_told_gives_no_few_orders_away() -> None:
    safe = told({"search_box": 4, "life_channel": 40}, other=100)
    assert states(safe, cell_of("search_box"), cell_of("life_channel"), PUBLIC_TOTAL) == [FEW, HELD, SHOWN]
    assert numerator(safe, 44)[1:] == (44_000, 44_000)


def test_few_public_orders_are_few_in_the_numerator_too() -> None:
    safe = told({"search_box": 4}, other=100)
    assert numerator(safe, 4)[1:] == (0, 10_000)
    assert numerator(told({}, other=100), 0)[1:] == (0, 0), "no slot has a row: anybody knows"


def test_paid_advertising_is_no_part_of_the_public_sum_and_covers_none() -> None:
    safe = told({"search_box": 4, "life_channel": 40, PAID: 60})
    assert states(safe, cell_of("life_channel"), cell_of(PAID)) == [HELD, SHOWN]
    # 4 public orders: all orders less the paid ones would tell them.
    safe = told({"search_box": 4, PAID: 60})
    assert states(safe, PUBLIC_TOTAL, ALL, cell_of(PAID)) == [FEW, HELD, SHOWN]


def test_a_slot_without_orders_hides_no_other() -> None:
    safe = told({"life_channel": 4, "coupon_channel": 40}, other=100)
    assert states(safe, cell_of("search_box"), cell_of("coupon_channel")) == [SHOWN, HELD]


def test_orders_hidden_once_stay_hidden_and_are_named_in_the_manifest() -> None:
    slots = {"search_box": 14, "life_channel": 40}
    assert suppressed(told(slots, other=100)) == [{}]
    (again,) = suppressed(told(slots, other=100, hidden=("search_box",)))
    assert again == {"orders_search_box": "held", "orders_life_channel": "held"}


def test_a_sum_of_other_slots_than_these_is_withheld() -> None:
    safe = told({"search_box": 30}, other=100, public=25)
    assert states(safe, PUBLIC_TOTAL) == [HELD] and safe.low[PUBLIC_TOTAL][0] == 0


@pytest.mark.parametrize("seed", range(3))
def test_no_reader_who_subtracts_learns_few_orders(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [*SLOTS, "public", "all", "other"]
    equal = np.zeros((2, len(names)))
    for column, name in enumerate(names):
        equal[0, column] = 1.0 if name == "public" else -1.0 if name in PUBLIC else 0.0
        equal[1, column] = {"all": 1.0, "public": -1.0, PAID: -1.0, "other": -1.0}.get(name, 0.0)
    exact = 0
    for _ in range(60):
        counts = rng.choice([0, 0, 0, 1, 4, 9, 10, 11, 40, 200], len(SLOTS))
        slots = {slot: int(n) for slot, n in zip(SLOTS, counts, strict=True)}
        other = int(rng.choice([0, 0, 3, 12, 300]))
        hidden = tuple(slot for slot in SLOTS if slots[slot] >= 10 and rng.random() < 0.1)
        safe = told(slots, other=other, hidden=hidden)
        truth = {**slots, "public": sum(slots[s] for s in PUBLIC), "other": other}
        truth["all"] = sum(slots.values()) + other
        cells = {**{slot: cell_of(slot) for slot in SLOTS}, "public": PUBLIC_TOTAL, "all": ALL}
        # What stands in the files; that there are no other orders shows in the amounts.
        known = {n: _bounds(int(safe.state[c][0]), truth[n]) for n, c in cells.items()}
        known["other"] = (0, 0) if other == 0 else (1, 10**6)
        exact += sum(low == high and truth[n] > 0 for n, (low, high) in known.items())
        for name in names:
            if not 0 < truth[name] < 10:
                continue
            ends = []
            for sign in (1.0, -1.0):
                aim = np.array([sign * (n == name) for n in names])
                found = linprog(aim, A_eq=equal, b_eq=[0, 0], bounds=[known[n] for n in names])
                assert found.status == 0, found.message
                ends.append(sign * found.fun)
            assert ends[1] - ends[0] + 1 >= LEAST - 1e-6, (name, truth, known)
    assert exact > 120, "most counts are still told"


def _bounds(state: int, count: int) -> tuple[int, int]:
    if state == SHOWN:
        return count, count
    return (1, 9) if state == FEW else (10, 10**6)
