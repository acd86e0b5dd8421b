"""The counts of users behind a merchant's figures: which are the same, and which add up to which."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from ccare.exports.orders import PUBLIC_TOTAL
from ccare.exports.suppression import Ints, Protected, Relation, protect
from ccare.metrics.definitions import METRICS, Metric

SAME = {
    "c_growth_new": "c_new_users",
    "a_return_rate_num": "c_growth_retained",
    "c_quick_ratio_den": "c_growth_churned",
    "r_pay_conversion_num": "r_payers",
    "r_pay_conversion_den": "c_mau28",
    "r_arpu_den": "c_mau28",
    "a_l28_den": "c_mau28",
    "e_cost_per_new_payer_den": "c_new_payers",
    "a_content_to_service_den": "a_engagement_rate_den",
}
"""Columns of metric_merchants that hold one and the same count, each under the name that it is kept by."""
OF_ORDERS = frozenset(
    {"r_aov", "e_refund_rate", "e_discount_rate", "e_fee_rate", "e_private_share", "e_public_conversion"}
)
OF_USER_DAYS = frozenset({"a_stickiness", "a_l28"})
_MONEY_PER_USER = frozenset({"r_arpu", "e_cost_per_new_payer"})
_MONEY = frozenset({"r_realised_ratio"})
_GROWTH = (
    Relation(
        "a_return_rate_den",
        ("c_growth_retained", "c_growth_churned"),
        ("c_growth_churned", "c_growth_retained", "a_return_rate_den"),
    ),
    Relation(
        "c_quick_ratio_num",
        ("c_new_users", "c_growth_resurrected"),
        ("c_growth_resurrected", "c_quick_ratio_num", "c_new_users"),
    ),
    # The last less the second: bounds are worked out sum by sum, so what two sums give together is a sum of its own.
    Relation(
        "c_mau28",
        ("c_quick_ratio_num", "c_growth_retained"),
        ("c_quick_ratio_num", "c_growth_retained", "c_mau28"),
    ),
    Relation(
        "c_mau28",
        ("c_new_users", "c_growth_retained", "c_growth_resurrected"),
        ("c_growth_resurrected", "c_growth_retained", "c_new_users", "c_mau28"),
    ),
)
"""In the order in which they are mended: what is worth least to a merchant is given up first."""


@dataclass(frozen=True)
class Parts:
    """What stands behind a metric. ``numerator``, ``denominator``: cells, None where they count no users.

    ``guards``: cells that must be shown for the value to be; ``payers``: whether few payers withhold it.
    ``orders``: the numerator's cell counts orders, ``times`` of which one is: it is kept among the orders by slot.
    """

    numerator: str | None
    denominator: str | None
    guards: tuple[str, ...]
    payers: bool
    units: tuple[str, str]
    orders: str | None = None
    times: int = 1


def cell(column: str) -> str:
    """The name under which a column's count is kept."""
    return SAME.get(column, column)


@cache
def parts_of(metric: Metric) -> Parts:
    """Cells and units of a metric's numerator and denominator."""
    if not metric.is_ratio:
        own = metric.id if metric.unit == "users" else None
        return Parts(cell(own) if own else None, None, (), False, (metric.unit, ""))
    numerator, denominator = cell(f"{metric.id}_num"), cell(f"{metric.id}_den")
    if metric.id in OF_ORDERS:
        if metric.id == "e_public_conversion":
            return Parts(None, None, (), True, ("trades", "impressions"), PUBLIC_TOTAL, 1000)
        return Parts(None, None, (), True, ("fen", "trades") if metric.id == "r_aov" else ("fen", "fen"))
    if metric.id in OF_USER_DAYS:
        unit = "user days" if metric.id == "a_stickiness" else "users"
        return Parts(
            None, None if unit == "user days" else "c_mau28", ("c_mau28",), False, ("user days", unit)
        )
    if metric.id in _MONEY_PER_USER:
        return Parts(None, denominator, (denominator,), False, ("fen", "users"))
    if metric.id in _MONEY:
        return Parts(None, None, (), True, ("fen", "fen"))
    if metric.id == "c_net_reach_rate":
        return Parts(None, denominator, (denominator, "c_reachable"), False, ("users", "users"))
    units = ("codes", "codes") if metric.id == "r_voucher_use_rate" else ("users", "users")
    return Parts(numerator, denominator, (denominator,), False, units)


@cache
def _rests() -> dict[str, tuple[str, str]]:
    """Cells that no page shows, the rest of a share -> its numerator and denominator."""
    shares = [
        m
        for m in METRICS
        if m.is_ratio and parts_of(m).numerator and m.id not in ("a_return_rate", "c_quick_ratio")
    ]
    return {f"{m.id}_rest": (cell(f"{m.id}_num"), cell(f"{m.id}_den")) for m in shares}


@cache
def relations() -> tuple[Relation, ...]:
    """Every sum that a reader can form out of the cells."""
    shares = (Relation(den, (num, rest), (num, den)) for rest, (num, den) in _rests().items())
    return (*_GROWTH, *shares)


@cache
def columns() -> tuple[str, ...]:
    """Columns of metric_merchants that hold counts of users."""
    found = [m.id for m in METRICS if not m.is_ratio and m.unit == "users"]
    for m in METRICS:
        parts = parts_of(m)
        if m.is_ratio:
            found += [f"{m.id}_num"] if parts.numerator else []
            found += [f"{m.id}_den"] if parts.denominator else []
    return tuple(found)


def protected(
    metrics: Mapping[str, Ints], before: Mapping[str, npt.NDArray[np.bool_]] | None = None
) -> Protected:
    """The state of every cell, from ``columns()`` of metric_merchants; see ``protect``."""
    cells: dict[str, Ints] = {}
    for name in columns():
        cells.setdefault(cell(name), metrics[name])
    for rest, (num, den) in _rests().items():
        cells[rest] = np.maximum(cells[den] - cells[num], 0)
    return protect(
        cells, relations(), unpublished={rest: num for rest, (num, _) in _rests().items()}, before=before
    )
