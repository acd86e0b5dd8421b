"""A card as full as cards get: every scored metric with a target, each kind of row as often as the page shows it."""

from dataclasses import replace
from datetime import timedelta
from itertools import cycle

import numpy as np
import pyarrow as pa

from ccare.exports import words
from ccare.exports.card_data import CardData, Driver
from ccare.exports.figures import EXACT, Figures, Told
from ccare.exports.programmes_data import SHOWN, NotGranted
from ccare.exports.words import Words
from ccare.ledger.reasons import REFUSALS
from ccare.metrics.definitions import DIMENSIONS, SCORED_METRICS, Metric

_LONGEST = max(words.DRIVER_STATUS, key=lambda status: len(words.DRIVER_STATUS[status].en))


def fill(data: CardData) -> CardData:
    """``data`` with more of everything, in numbers as long as those of a large merchant."""
    return replace(
        data,
        drivers={d: _drivers(d) for d in DIMENSIONS},
        facts={name: (metric, _figures(metric)) for name, (metric, _) in data.facts.items()},
        counts=dict.fromkeys(data.counts, 1_234_567),
        points=replace(data.points, reserved=1_234_567, redeemed=1_234_567, debt=12_345),
        statement=_statement(data),
        not_granted=_not_granted(data),
        promotion=tuple((name, "111,603") for name in list(words.SLOT.values())[:8]),
    )


def _told(value: float) -> Told:
    return Told(np.array([EXACT], dtype=np.uint8), np.array([value]), np.array([value]))


def _figures(metric: Metric) -> Figures:
    value = 0.8765 if metric.unit == "share" else 123_456.0
    return Figures(_told(value), _told(1_234_567.0), _told(12_345_678.0), _told(123_456.0))


def _drivers(dimension: str) -> tuple[Driver, ...]:
    mine = [m for m in SCORED_METRICS if m.dimension == dimension]
    return tuple(
        Driver(
            metric_id=m.id,
            dimension=dimension,
            figures=_figures(m),
            at=0,
            place=62.5,
            weight=1 / len(mine),
            contribution=62.5 / len(mine),
            change=-1.25,
            target=0.4321 if m.unit == "share" else 123_456.0,
            target_condition="at_least",
            target_status="reachable",
            driver_status="watch" if m is not mine[-1] else _LONGEST,
            window_days=m.window_days,
            peers=1_234,
        )
        for m in mine
    )


def _not_granted(data: CardData) -> tuple[NotGranted, ...]:
    longest = max(REFUSALS.values(), key=lambda told: len(told["en"]))
    kinds = zip(cycle(words.PROGRAMME.values()), cycle(("POINT", "IMPRESSION", "FEN")), range(SHOWN))
    return tuple(
        NotGranted(data.as_of_date - timedelta(n), programme, Words(**longest), 40_983 + n, asset)
        for programme, asset, n in kinds
    )


def _statement(data: CardData) -> pa.Table:
    """Traffic of every slot and source, and more requests than are shown, each refused with the longest reason."""
    day, empty = data.as_of_date, dict.fromkeys(data.statement.column_names)
    traffic = [
        empty | {"section": "traffic", "day": day, "slot": slot, "source": source, "impressions": shown}
        for slot in words.SLOT
        for source, shown in (("free", 1_490_388), ("points", 10_375), ("paid", 290_272))
    ]
    orders = [empty | {"section": "orders", "day": day, "slot": s, "orders": "1,234"} for s in words.SLOT]
    request = {"section": "request", "day": day, "slot": "recommendation_card", "amount": 10_000}
    request |= {"what": "refused", "reason": "duplicate_request"}
    requests = [empty | request | {"reference": f"r{n}"} for n in range(4)]
    more = [row | {"clicks": 34_290} for row in traffic] + orders + requests
    return pa.concat_tables([data.statement, pa.Table.from_pylist(more, schema=data.statement.schema)])
