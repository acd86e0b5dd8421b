"""A published score derived again from core rows, frozen benchmarks and policy, and held against what was published."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from ccare.growth.snapshot import connect_to, quoted, view_sql
from ccare.metrics.definitions import DIMENSIONS, METRIC_BY_ID, Metric
from ccare.potential.realised import realised
from ccare.scoring import arithmetic as a
from ccare.scoring.months import ANY_INDUSTRY
from ccare.scoring.places import STATUSES, Placed, as_columns, columns_of, driver_status, goal
from ccare.scoring.published import Row, Scored
from ccare.scoring.remeasure import Sources, metrics_of, rows_of_merchant
from ccare.scoring.score import Replayed, replay
from ccare.tables import table

_UNTOLD: Row = {"r_realised_ratio_num": None, "r_realised_ratio_den": None, "r_realised_ratio_users": 0}
_ROUNDING = 0.5e-4 + 1e-9
"""Published places have four decimals: the nearest lies within half of the last, and noise of doubles."""
_LIBRARY = 1e-12
"""Two libraries' exp and log may differ in the last bit."""
_PLACES = ("percentile", "percentile_low", "percentile_high")


@dataclass(frozen=True)
class Difference:
    """One published value that does not come out: where, what is published, and what the rows give."""

    table: str
    metric_id: str
    column: str
    published: Any
    derived: Any

    def __str__(self) -> str:
        what = f"{self.metric_id}.{self.column}" if self.metric_id else self.column
        return f"{what} is published as {self.published!r} and comes to {self.derived!r}"


@dataclass(frozen=True)
class Derived:
    """A score as the rows give it: the peer group, one row a driver, and the scores, named as the tables name them."""

    peer_group: str | None
    drivers: Mapping[str, Row]
    scores: Row


def derive(scored: Scored, sources: Sources) -> Derived:
    """The score of the merchant's day from its core rows, under the policy and the benchmarks that it names."""
    day = scored.day
    with rows_of_merchant(sources, scored.merchant_id, day, day) as con:
        metrics = metrics_of(con, day, day)
        industry = industry_of(con, sources, scored.merchant_id, day)
    model = _realised(sources, scored.merchant_id, day)
    return derive_from(replace(scored, model=model), metrics, industry)


def _realised(sources: Sources, merchant_id: str, day: date) -> Row:
    """r_realised_ratio's parts, from the merchant's rows and the model that was in force."""
    pinned = {
        name: sources.versions.get(name) for name in ("core_payments", "core_staff", "score_potentials")
    }
    with connect_to(sources.lake, pinned) as con:
        for name in pinned:
            mine = f"from memory.{name} where merchant_id = {quoted(merchant_id)}"
            con.execute(f"create temp view {name} as {mine}")
        told = next(realised(con, day), {})
    return {name: told.get(name, nothing) for name, nothing in _UNTOLD.items()}


def derive_from(scored: Scored, metrics: Mapping[str, int], industry: str | None) -> Derived:
    """The same from counts that are at hand (``metrics_of``)."""
    group = scored.first_group or _fresh_group(scored, industry, metrics["c_mau28"])
    if not scored.frozen:
        group = None
    row = {**_UNTOLD, **scored.model, **metrics}
    columns = as_columns([row], columns_of(tuple(scored.policy.weights)))
    blocked = scored.scores["score_status"] == "unreconciled"
    result = replay(columns, [group], scored.benchmarks, scored.policy, [blocked])
    drivers = {
        name: _driver(METRIC_BY_ID[name], placed, group, scored) for name, placed in result.drivers.items()
    }
    return Derived(group, drivers, _scores(result, group, scored))


def differences(scored: Scored, derived: Derived) -> list[Difference]:
    """Every published value of the drivers and of the score that does not come out to its last digit."""
    return [*_driver_differences(scored, derived), *_score_differences(scored, derived)]


def industry_of(con: Any, sources: Sources, merchant_id: str, day: date) -> str | None:
    """The industry by the latest record begun by ``day``."""
    sql = view_sql(sources.lake, table("core_merchants"), sources.versions.get("core_merchants"))
    found = con.execute(
        f"from ({sql}) select arg_max(industry, valid_from) "
        "where merchant_id = $1 and valid_from <= $2 and taken_on <= $2",
        [merchant_id, day],
    ).fetchone()
    return found[0] if found else None


def _fresh_group(scored: Scored, industry: str | None, mau: int) -> str | None:
    if not scored.cuts:
        return None
    name = industry if industry is not None and industry in scored.cuts else ANY_INDUSTRY
    low, high = scored.cuts[name]
    return f"{name}/{'small' if mau <= low else 'mid' if mau <= high else 'large'}"


def _driver(metric: Metric, placed: Placed, group: str | None, scored: Scored) -> Row:
    told, (bench,), policy = placed.told, placed.benches, scored.policy
    percentile = float(placed.percentile[0])
    to_reach = goal(metric, bench, policy)
    weight = policy.weights[metric.id]
    return {
        "dimension": metric.dimension,
        "value": _plain(told.value),
        "numerator": _whole(told.numerator),
        "denominator": _whole(told.denominator),
        "n": _whole(told.n),
        "shrunk_value": _plain(placed.shrunk),
        "percentile": percentile,
        "percentile_low": float(placed.low[0]),
        "percentile_high": float(placed.high[0]),
        "weight": weight,
        "contribution": weight * percentile,
        "target": to_reach,
        "target_condition": "at_most" if metric.lower_is_better else "at_least",
        "target_status": None if bench.ordered is None else "ceiling" if to_reach is None else "reachable",
        "driver_status": STATUSES[driver_status(placed.known, placed.percentile, policy)[0]],
        "window_days": metric.window_days,
        "peer_group": group,
        "policy_version": policy.version,
    }


def _scores(result: Replayed, group: str | None, scored: Scored) -> Row:
    told = {name: _plain(values) for name, values in result.scores.items()}
    facts = [row for row in scored.frozen if row["peer_group"] == group and row["metric_id"] == "c_mau28"]
    return told | {
        "score_status": str(result.status[0]),
        "peer_group": group,
        "peers": facts[0]["members"] if facts else None,
        "policy_version": scored.policy.version,
    }


def _driver_differences(scored: Scored, derived: Derived) -> Iterator[Difference]:
    for name in sorted({*scored.drivers, *derived.drivers}):
        published, again = scored.drivers.get(name), derived.drivers.get(name)
        if published is None or again is None:
            what = ("no row", "a row") if published is None else ("a row", "no row")
            yield Difference("score_drivers", name, "driver", *what)
            continue
        for column, value in again.items():
            if not _comes_out(column, published[column], value, again, published):
                yield Difference("score_drivers", name, column, published[column], value)


def _comes_out(column: str, published: Any, derived: Any, again: Row, row: Row) -> bool:
    if published is None or derived is None or isinstance(derived, str):
        return bool(published == derived)
    if column in _PLACES:
        return abs(published - derived) <= _ROUNDING and published == a.round_one(published, 4)
    if column == "contribution":
        return bool(published == row["weight"] * row["percentile"])
    if column == "target":
        return math.isclose(published, derived, rel_tol=_LIBRARY, abs_tol=_LIBRARY)
    return bool(published == derived)


def _score_differences(scored: Scored, derived: Derived) -> Iterator[Difference]:
    for column, value in derived.scores.items():
        if scored.scores[column] != value:
            yield Difference("score_merchants", "", column, scored.scores[column], value)
    for d in DIMENSIONS:
        made = math.fsum(row["contribution"] for row in scored.drivers.values() if row["dimension"] == d)
        score = scored.scores[f"{d}_score"]
        if score is not None and not abs(made - score) <= 0.05 + 1e-9:
            yield Difference("score_drivers", "", f"sum of {d} contributions", made, score)


def _plain(values: a.Floats) -> float | None:
    return None if np.isnan(values[0]) else float(values[0])


def _whole(values: a.Floats) -> int | None:
    return None if np.isnan(values[0]) else int(values[0])
