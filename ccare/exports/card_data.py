"""Everything a merchant's card shows, read from one published version and checked to add up."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ccare.errors import InputMissing, IntegrityBroken
from ccare.exports.drivers import NO_PEERS, Drivers, read_drivers
from ccare.exports.figures import Figures, figures
from ccare.exports.points_data import Points, read_points
from ccare.exports.programmes_data import NotGranted, not_granted, promotion
from ccare.exports.query import one, rows_of
from ccare.exports.statement import Span, statement_rows
from ccare.exports.suppression import MIN_PEERS
from ccare.exports.words import Words
from ccare.metrics.definitions import DIMENSIONS, METRIC_BY_ID, Metric

TREND_DAYS = 90
_ROUNDING = 0.0505
"""A score is its contributions' sum to one decimal; percentiles carry four."""


@dataclass(frozen=True)
class Driver:
    """One row of score_drivers as it may be told. ``place`` and what follows from it are None among too few peers.

    ``change``: of contribution since ``CardData.since``, None where that day had no such driver.
    """

    metric_id: str
    dimension: str
    figures: Figures
    at: int
    place: float | None
    weight: float
    contribution: float
    change: float | None
    target: float | None
    target_condition: str | None
    target_status: str | None
    driver_status: str
    window_days: int
    peers: int


@dataclass(frozen=True)
class CardData:
    """One merchant on one as-of day. ``scores`` and ``trend`` are score_merchants rows, oldest first.

    ``facts``: figures of metrics beside the drivers; ``counts``: sums of 28 days; ``statement``: its rows;
    ``promotion``: slots and impressions that it is given for nothing on the next day.
    """

    merchant_id: str
    name: str
    industry: str | None
    as_of_date: date
    scores: dict[str, Any]
    trend: tuple[dict[str, Any], ...]
    since: date | None
    drivers: dict[str, tuple[Driver, ...]]
    facts: dict[str, tuple[Metric, Figures]]
    counts: dict[str, int]
    points: Points
    statement: pa.Table
    not_granted: tuple[NotGranted, ...]
    promotion: tuple[tuple[Words, str], ...]
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
FACTS = (
    "c_reachable",
    "c_net_reach_rate",
    "a_engagement_rate",
    "a_message_click_rate",
    "a_content_to_service",
    "a_pay_bind_rate",
    "a_retention_d7",
    "r_voucher_use_rate",
)
COUNTS = ("launches", "content_views", "vouchers_received", "vouchers_used")
_FACTS = "from metric_merchants where merchant_id = $merchant and as_of_date = $day"
_COUNTS = f"""
select {", ".join(f"coalesce(sum({name}), 0)::bigint as {name}" for name in COUNTS)} from state_merchant_days
where merchant_id = $merchant and business_date between $day::date - 27 and $day::date
"""
_NEAR = """
select m.merchant_id as id, any_value(m.name) as name,
    max(greatest(jaro_winkler_similarity(m.merchant_id, $merchant),
                 jaro_winkler_similarity(lower(m.name), lower($merchant)))) as likeness
from core_merchants m join score_merchants using (merchant_id)
where as_of_date = $day group by 1 having likeness > 0.7 order by likeness desc, id limit 3
"""


def known_merchant(con: duckdb.DuckDBPyConnection, merchant_id: str, last: date | None) -> None:
    """Raise InputMissing naming near merchants where ``merchant_id`` is not scored on ``last``."""
    scored = "select count(*) from score_merchants where merchant_id = $merchant and as_of_date = $day"
    if last is None or not one(con, scored, merchant=merchant_id, day=last):
        raise _unknown(con, merchant_id, last)


def read_card(
    con: duckdb.DuckDBPyConnection,
    merchant_id: str,
    drivers: Drivers | None = None,
    rows: pa.Table | None = None,
) -> CardData:
    """Read the merchant on the last published as-of day.

    ``drivers``, ``rows``: its drivers and statement rows where they are read already. Raises InputMissing naming
    near merchants where it is not scored then, IntegrityBroken where drivers do not make the scores or transfers
    do not make the balance.
    """
    last = rows_of(con, "select max(as_of_date) as day from score_merchants")[0]["day"]
    known_merchant(con, merchant_id, last)
    trend = rows_of(con, _TREND, merchant=merchant_id, days=TREND_DAYS)
    merchant = next(iter(rows_of(con, _MERCHANT, merchant=merchant_id, day=last)), {})
    events = rows_of(con, _EVENTS, merchant=merchant_id, day=last)[0]
    span = Span(merchant_id, merchant_id, last)
    drivers = drivers or read_drivers(con, span)
    data = CardData(
        merchant_id=merchant_id,
        name=merchant.get("name") or merchant_id,
        industry=merchant.get("industry"),
        as_of_date=last,
        scores=trend[-1],
        trend=tuple(trend),
        since=drivers.since,
        drivers=_drivers(drivers),
        facts=_facts(con, drivers, merchant_id, last),
        counts=next(iter(rows_of(con, _COUNTS, merchant=merchant_id, day=last))),
        points=read_points(con, merchant_id),
        statement=statement_rows(con, span) if rows is None else rows,
        not_granted=not_granted(con, merchant_id, last),
        promotion=promotion(con, merchant_id, last),
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


def _drivers(read: Drivers) -> dict[str, tuple[Driver, ...]]:
    found = []
    where = {int(p): (f, i) for places, f in read.figures.values() for i, p in enumerate(places)}
    for place, row in enumerate(read.rows.to_pylist()):
        figures, at = where[place]
        placed, before = bool(read.placed[place]), row["contribution_before"]
        contribution = row["contribution"] or 0.0
        found.append(
            Driver(
                metric_id=row["metric_id"],
                dimension=row["dimension"],
                figures=figures,
                at=at,
                place=row["percentile"] if placed else None,
                weight=row["weight"],
                contribution=contribution,
                change=contribution - before if before is not None and read.moved[place] else None,
                target=row["target"] if placed else None,
                target_condition=row["target_condition"],
                target_status=row["target_status"],
                driver_status=_status(row, placed, bool(read.alone[place])),
                window_days=row["window_days"],
                peers=row["compared"],
            )
        )
    return {d: tuple(driver for driver in found if driver.dimension == d) for d in DIMENSIONS}


def _status(row: dict[str, Any], placed: bool, alone: bool) -> str:
    """The driver's status, or why there is none: its own peers, or those of another metric of the dimension."""
    if alone:
        return NO_PEERS
    if placed:
        return str(row["driver_status"])
    return "few_peers" if row["compared"] < MIN_PEERS else "few_beside"


def _facts(
    con: duckdb.DuckDBPyConnection, read: Drivers, merchant_id: str, day: date
) -> dict[str, tuple[Metric, Figures]]:
    row = next(iter(rows_of(con, _FACTS, merchant=merchant_id, day=day)), {})
    at = np.array([read.merchants.index(merchant_id)]) if row else None
    found = {}
    for metric in (METRIC_BY_ID[name] for name in FACTS):
        if at is None:
            continue
        ends = (f"{metric.id}_num", f"{metric.id}_den") if metric.is_ratio else (metric.id, None)
        names = {"value": metric.id, "numerator": ends[0], "denominator": ends[1], "n": metric.population}
        numbers = {
            n: np.array([np.nan if not column or row.get(column) is None else row[column]], dtype=float)
            for n, column in names.items()
        }
        found[metric.id] = metric, figures(metric, numbers, read.safe, at)
    return found


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
