"""Paid trades by slot as they may be told, beside every figure that adds them up: public orders and all orders."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt

from ccare.exports.statement_sql import ORDER_SUMS, ORDERS
from ccare.exports.suppression import (
    HELD,
    MIN_USERS,
    UNBOUNDED,
    Ints,
    Protected,
    Relation,
    hidden_before,
    protect,
)
from ccare.tables.state import FUNNEL_SLOTS

PAID = "paid_ad"
SLOTS = tuple(slot for slot in FUNNEL_SLOTS if slot not in ("private", "offline_scan", "unknown"))
PUBLIC = tuple(slot for slot in SLOTS if slot != PAID)
ALL, PUBLIC_TOTAL, _OTHER = "r_orders", "public_orders", "orders_rest"
"""Cells: n of the discount rate; 1,000th of the numerator of public conversion; orders without a slot of a row."""


@dataclass(frozen=True)
class Orders:
    """``merchants``, sorted; ``counts``: slot -> orders of each; ``safe``: the states of all cells."""

    merchants: npt.NDArray[np.str_]
    counts: Mapping[str, Ints]
    safe: Protected


def cell_of(slot: str) -> str:
    """The name under which a slot's orders are kept."""
    return f"orders_{slot}"


def read_orders(
    con: duckdb.DuckDBPyConnection,
    bounds: Mapping[str, object],
    hidden: Mapping[str, Mapping[str, str]] | None = None,
    public: Collection[str] = PUBLIC,
) -> Orders:
    """Orders of every merchant of the span with a row in metric_merchants or an order.

    ``hidden``: merchant -> cells that an earlier export hid; ``public``: the slots that count as public on the day.
    """
    found = con.execute(ORDERS, {**bounds, "slots": list(SLOTS)}).fetchnumpy()
    sums = con.execute(ORDER_SUMS, dict(bounds)).fetchnumpy()
    slots, ids = np.asarray(found["slot"], dtype=str), np.asarray(found["merchant_id"], dtype=str)
    summed = np.asarray(sums["merchant_id"], dtype=str)
    merchants = np.unique(np.concatenate([ids, summed]))
    counts, few_payers = {}, {}
    for slot in SLOTS:
        rows = slots == slot
        at = np.searchsorted(merchants, ids[rows])
        counts[slot] = _spread(len(merchants), at, np.asarray(found["orders"])[rows])
        payers = np.asarray(found["payers"])[rows]
        few_payers[cell_of(slot)] = _spread(len(merchants), at, payers < MIN_USERS).astype(bool)
    at = np.searchsorted(merchants, summed)
    told = {name: _spread(len(merchants), at, np.asarray(sums[name])) for name in (PUBLIC_TOTAL, ALL)}
    before = hidden_before(merchants, hidden or {})
    for name, few in few_payers.items():
        before[name] = before.get(name, few) | few
    return Orders(merchants, counts, protected_orders(counts, told, before, public))


def protected_orders(
    counts: Mapping[str, Ints],
    told: Mapping[str, Ints],
    hidden: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    public: Collection[str] = PUBLIC,
) -> Protected:
    """States of the orders of each slot (``counts``), of public orders and of all orders (``told``).

    A slot without orders has no row, so a reader knows its 0, and a sum of nothing but such. That other orders are
    none can be read off the private share (amounts of all and of known slots).
    """
    in_public = [slot for slot in SLOTS if slot in public]
    beside = [cell_of(slot) for slot in SLOTS if slot not in public]
    cells = {cell_of(slot): counts[slot] for slot in SLOTS}
    cells[PUBLIC_TOTAL] = np.sum([counts[slot] for slot in in_public], axis=0, dtype=np.int64)
    of_slots = np.sum(list(counts.values()), axis=0, dtype=np.int64)
    cells[_OTHER] = np.maximum(told[ALL] - of_slots, 0)
    cells[ALL] = of_slots + cells[_OTHER]
    parts = tuple(cell_of(slot) for slot in in_public)
    relations = (
        Relation(PUBLIC_TOTAL, parts, (*parts, PUBLIC_TOTAL)),
        Relation(ALL, (PUBLIC_TOTAL, *beside, _OTHER), (ALL, *beside, PUBLIC_TOTAL)),
        Relation(ALL, (*parts, *beside, _OTHER), (ALL, *parts, *beside, PUBLIC_TOTAL)),
    )
    safe = protect(
        cells,
        relations,
        unpublished={_OTHER: ALL},
        before=hidden,
        told_zeros=frozenset(cells) - {ALL},
    )
    # A sum that the metrics made of other slots or days is not this one: nothing here bounds it.
    for name in (PUBLIC_TOTAL, ALL):
        other = told[name] != cells[name]
        safe.state[name][other] = HELD
        safe.low[name][other], safe.high[name][other] = 0, UNBOUNDED
    return safe


def _spread(length: int, at: npt.NDArray[np.intp], values: npt.NDArray[np.generic]) -> Ints:
    found = np.zeros(length, dtype=np.int64)
    found[at] = values
    return found
