"""Everything a merchant's card shows, read from one published version and checked to add up."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from ccare.errors import InputMissing, IntegrityBroken
from ccare.exports.points_data import Points, read_points
from ccare.exports.query import one, rows_of
from ccare.metrics.definitions import DIMENSIONS, METRICS

TREND_DAYS = 90
_ROUNDING = 0.0505
"""A score is its contributions' sum to one decimal; percentiles carry four."""


@dataclass(frozen=True)
class Driver:
    """One row of score_drivers."""

    metric_id: str
    dimension: str
    value: float | None
    numerator: int | None
    denominator: int | None
    n: int | None
    percentile: float | None
    weight: float
    contribution: float
    target: float | None
    target_condition: str | None
    target_status: str | None
    driver_status: str
    window_days: int


@dataclass(frozen=True)
class CardData:
    """One merchant on one as-of day. ``scores`` and ``trend`` are score_merchants rows, oldest first."""

    merchant_id: str
    name: str
    industry: str | None
    as_of_date: date
    scores: dict[str, Any]
    trend: tuple[dict[str, Any], ...]
    drivers: dict[str, tuple[Driver, ...]]
    payers: int
    points: Points
    events_56d: int
    simulated_events_56d: int


_TREND = """
select * from (from score_merchants where merchant_id = $merchant order by as_of_date desc limit $days)
order by as_of_date
"""
_MERCHANT = """
select name, industry from core_merchants where merchant_id = $merchant and valid_from <= $day
order by valid_from desc limit 1
"""
_EVENTS = """
select coalesce(sum(events), 0)::bigint as events_56d,
    coalesce(sum(simulated_events), 0)::bigint as simulated_events_56d
from state_merchant_days
where merchant_id = $merchant and business_date between $day::date - 55 and $day::date
"""
_DRIVERS = "from score_drivers where merchant_id = $merchant and as_of_date = $day"
_PAYERS = "select r_payers from metric_merchants where merchant_id = $merchant and as_of_date = $day"
_NEAR = """
select m.merchant_id as id, any_value(m.name) as name,
    max(greatest(jaro_winkler_similarity(m.merchant_id, $merchant),
                 jaro_winkler_similarity(lower(m.name), lower($merchant)))) as likeness
from core_merchants m join score_merchants using (merchant_id)
where as_of_date = $day group by 1 having likeness > 0.7 order by likeness desc, id limit 3
"""


def read_card(con: duckdb.DuckDBPyConnection, merchant_id: str) -> CardData:
    """Read the merchant on the last published as-of day.

    Raises InputMissing naming near merchants where it is not scored then, IntegrityBroken where drivers do
    not make the scores or transfers do not make the balance.
    """
    last = rows_of(con, "select max(as_of_date) as day from score_merchants")[0]["day"]
    trend = rows_of(con, _TREND, merchant=merchant_id, days=TREND_DAYS)
    if not trend or trend[-1]["as_of_date"] != last:
        raise _unknown(con, merchant_id, last)
    merchant = next(iter(rows_of(con, _MERCHANT, merchant=merchant_id, day=last)), {})
    events = rows_of(con, _EVENTS, merchant=merchant_id, day=last)[0]
    data = CardData(
        merchant_id=merchant_id,
        name=merchant.get("name") or merchant_id,
        industry=merchant.get("industry"),
        as_of_date=last,
        scores=trend[-1],
        trend=tuple(trend),
        drivers=_drivers(con, merchant_id, last),
        payers=one(con, _PAYERS, merchant=merchant_id, day=last),
        points=read_points(con, merchant_id),
        events_56d=events["events_56d"],
        simulated_events_56d=events["simulated_events_56d"],
    )
    _check(data)
    return data


def _unknown(con: duckdb.DuckDBPyConnection, merchant_id: str, last: date | None) -> InputMissing:
    if last is None:
        return InputMissing("No day is scored yet.", remedy="Close a day first: ccare run --day D.")
    near = rows_of(con, _NEAR, merchant=merchant_id, day=last)
    names = ", ".join(f"{row['id']} ({row['name']})" for row in near)
    return InputMissing(
        f"No merchant {merchant_id} is scored on {last}.",
        remedy=f"Did you mean {names}?" if near else "See merchant_id in scores.csv of that day.",
    )


def _drivers(con: duckdb.DuckDBPyConnection, merchant_id: str, day: date) -> dict[str, tuple[Driver, ...]]:
    names = list(Driver.__dataclass_fields__)
    declared = {metric.id: place for place, metric in enumerate(METRICS)}
    rows = rows_of(con, _DRIVERS, merchant=merchant_id, day=day)
    rows.sort(key=lambda row: (declared.get(row["metric_id"], len(declared)), row["metric_id"]))
    found = [
        Driver(**{name: row[name] for name in names} | {"contribution": row["contribution"] or 0.0})
        for row in rows
    ]
    return {d: tuple(driver for driver in found if driver.dimension == d) for d in DIMENSIONS}


def _check(data: CardData) -> None:
    for dimension, drivers in data.drivers.items():
        score = data.scores[f"{dimension}_score"]
        made = sum(driver.contribution for driver in drivers)
        if score is not None and abs(made - score) > _ROUNDING:
            raise IntegrityBroken(
                f"The {dimension} score of {data.merchant_id} on {data.as_of_date} is {score} "
                f"and its drivers make {made:.4f}.",
                remedy="Run ccare verify; no card is written until score_drivers and score_merchants agree.",
            )
