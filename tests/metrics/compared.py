"""What the product tells beside what the oracle tells of the same core rows, cell by cell."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from ccare.metrics.definitions import METRICS
from tests.metrics.closes import Closes, Frames
from tests.oracle.from_core import SIDE_TABLES, SUPPORTS, Cells, Oracle

LIFT_PARTS = ("", "_treated_shown", "_holdout_shown", "_treated_orders", "_holdout_orders")
RATIOS = {m.id for m in METRICS if m.is_ratio}
COMPARED = (*(m.id for m in METRICS), *SUPPORTS)
"""Metrics, and the counts beside them."""


@dataclass
class Told:
    """What the product and the oracle say of one day."""

    product: Frames
    merchants: dict[str, str | None]
    metrics: dict[tuple[str, str], tuple[int, int | None]]
    lifts: dict[str, tuple[int, ...]]
    sides: dict[str, Cells]
    people: dict[str, int]


def told_of(closes: Closes, oracle: Oracle, day: date) -> Told:
    """Both as of ``day``, which ``closes`` closed last."""
    oracle.stand_at(day)
    sides = {name: oracle.side(name) for name in SIDE_TABLES}
    return Told(
        closes.metrics(day), oracle.merchants(), oracle.metrics(), oracle.lifts(), sides, oracle.people()
    )


def differences(told: Told, metric_id: str) -> list[str]:
    """Merchants where the product tells a metric otherwise than the oracle, to the last digit."""
    found = []
    for row in told.product["metric_merchants"].to_pylist():
        known = told.metrics.get((row["merchant_id"], metric_id))
        num, den = known or (0, None)
        if metric_id in RATIOS:
            den = den or 0
            want: tuple[Any, ...] = (num / den if den else None, num, den)
            if metric_id == "r_realised_ratio" and known is None:
                want = (None, None, None)
            got = tuple(row[f"{metric_id}{part}"] for part in ("", "_num", "_den"))
        else:
            want, got = (num,), (row[metric_id],)
        if got != want:
            found.append(f"{row['merchant_id']} {row['as_of_date']} {metric_id}: {got}, by the oracle {want}")
    return found


def lift_differences(told: Told) -> list[str]:
    """Merchants whose lift, or one of the sums that it is made of, the oracle tells otherwise."""
    found = []
    for row in told.product["metric_merchants"].to_pylist():
        treated, withheld, sold, sold_without = told.lifts.get(row["merchant_id"], (0, 0, 0, 0))
        both = treated and withheld
        rate = 1000 * (sold / treated - sold_without / withheld) if both else None
        want = (rate, treated, withheld, sold, sold_without)
        got = tuple(row[f"e_points_lift{part}"] for part in LIFT_PARTS)
        if got != want:
            found.append(f"{row['merchant_id']} {row['as_of_date']}: {got}, by the oracle {want}")
    return found


def side_differences(told: Told, name: str) -> list[str]:
    """Cells of a side table that only one of both has, or that differ."""
    key = SIDE_TABLES[name]
    got: Cells = {}
    for row in told.product[name].to_pylist():
        row.pop("as_of_date")
        at = tuple(row[k] for k in key)
        assert at not in got, f"{name}: the key {at} repeats"
        got[at] = {k: v for k, v in row.items() if k not in key}
    want = told.sides[name]
    cells = sorted(got.keys() | want.keys(), key=str)
    return [
        f"{at}: {got.get(at)}, by the oracle {want.get(at)}" for at in cells if got.get(at) != want.get(at)
    ]
