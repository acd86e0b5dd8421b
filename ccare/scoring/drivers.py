"""The rows of score_drivers: each metric of each merchant among its frozen peers, what it adds and what to aim at."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ccare.metrics.definitions import METRIC_BY_ID, Metric
from ccare.runtime.rowstore import arrow_schema
from ccare.scoring.arithmetic import Floats
from ccare.scoring.columns import chosen, floats, told, whole
from ccare.scoring.months import ANY_INDUSTRY, TIERS, days_of
from ccare.scoring.places import (
    BAD,
    GOOD,
    NONE,
    NOTHING,
    WATCH,
    Benchmark,
    Benchmarks,
    Groups,
    Placed,
    columns_of,
    driver_status,
    goal,
    measured,
    places,
)
from ccare.scoring.policy import ScoringPolicy
from ccare.tables import table

# A merchant keeps the group of its first score since the benchmarks came into use. An industry that the freeze did
# not know compares with everyone.
_MEMBERS = """
with cuts as (
    select industry, tier_low, tier_high from score_benchmarks
    where month = $month and metric_id = 'c_mau28' and tier = $small
), held as (
    select merchant_id, arg_min(peer_group, as_of_date) as peer_group from score_merchants
    where as_of_date between $since and $day and peer_group is not null group by all
), compared as (
    select m.*, coalesce(own, anyone) as cut
    from metric_merchants m
    left join (select industry, cuts as own from cuts) using (industry)
    left join (select cuts as anyone from cuts where industry = $anyone) on true
    where as_of_date = $day
)
select c.merchant_id, <columns>, coalesce(h.peer_group, cut.industry || '/' || case
    when c_mau28 <= cut.tier_low then $small when c_mau28 <= cut.tier_high then $mid else $large end) as peer_group
from compared c left join held h using (merchant_id)
order by c.merchant_id
"""
_STATUSES = (GOOD, WATCH, BAD, NONE)


def drivers(
    con: duckdb.DuckDBPyConnection, day: date, policy: ScoringPolicy, benchmarks_of: str, run_id: str
) -> pa.Table:
    """score_drivers for one day, by merchant and then as the policy lists its metrics.

    ``con`` has metric_merchants, score_benchmarks and score_merchants as published before, whose rows since the
    benchmarks came into use hold each merchant's frozen group; ``benchmarks_of``: the month (YYYY-MM) compared with.
    """
    metrics = [METRIC_BY_ID[name] for d in policy.dimensions for name in policy.metrics_of(d)]
    names = columns_of([m.id for m in metrics])
    since, _ = days_of(benchmarks_of, day)
    asked = _MEMBERS.replace("<columns>", ", ".join(names))
    bound: dict[str, object] = {**dict(zip(TIERS, TIERS, strict=True)), "anyone": ANY_INDUSTRY}
    bound |= {"month": benchmarks_of, "since": since, "day": day}
    members = con.execute(asked, bound).to_arrow_table()
    benchmarks = benchmarks_in(con, benchmarks_of)
    groups = Groups.of(members["peer_group"].to_pylist())
    rows = floats(members, names)
    placed = places(rows, groups, benchmarks, policy)
    return _table(members, metrics, rows, placed, groups, benchmarks, day, policy, run_id)


def benchmarks_in(con: duckdb.DuckDBPyConnection, month: str) -> Benchmarks:
    """The month's rows of score_benchmarks."""
    found = con.execute(
        "select peer_group, metric_id, quantiles, prior_mean, prior_strength from score_benchmarks "
        "where month = $1",
        [month],
    ).fetchall()
    return {
        (group, metric): Benchmark(None if ordered is None else np.array(ordered), mean, strength)
        for group, metric, ordered, mean, strength in found
    }


def _table(
    members: pa.Table,
    metrics: Sequence[Metric],
    rows: Mapping[str, Floats],
    placed: Mapping[str, Placed],
    groups: Groups,
    benchmarks: Benchmarks,
    day: date,
    policy: ScoringPolicy,
    run_id: str,
) -> pa.Table:
    count, many = members.num_rows, len(metrics)
    who, which = np.repeat(np.arange(count), many), np.tile(np.arange(many), count)
    each = [placed[m.id] for m in metrics]
    weights = [policy.weights[m.id] for m in metrics]
    percentile = _by_merchant(p.percentile for p in each)
    statuses = _by_merchant(driver_status(p.known, p.percentile, policy) for p in each)
    targets = _by_merchant(groups.spread(_goals(m, groups, benchmarks, policy)) for m in metrics)
    compared = _by_merchant(
        groups.spread([benchmarks.get((g, m.id), NOTHING).ordered is not None for g in groups.names])
        for m in metrics
    )
    columns = {
        "merchant_id": members["merchant_id"].take(pa.array(who)),
        "as_of_date": pa.repeat(pa.scalar(day), count * many),
        "metric_id": chosen(which, [m.id for m in metrics]),
        "dimension": chosen(which, [m.dimension for m in metrics]),
        "value": told(_by_merchant(measured(m, rows).value for m in metrics)),
        **_counts(members, metrics, rows),
        "shrunk_value": told(_by_merchant(p.shrunk for p in each)),
        "percentile": pa.array(percentile),
        "percentile_low": pa.array(_by_merchant(p.low for p in each)),
        "percentile_high": pa.array(_by_merchant(p.high for p in each)),
        "weight": pa.array(np.array(weights)[which]),
        "contribution": pa.array(np.array(weights)[which] * percentile),
        "target": told(targets),
        "target_condition": chosen(which, ["at_most" if m.lower_is_better else "at_least" for m in metrics]),
        "target_status": chosen(
            np.where(~np.isnan(targets), 0, np.where(compared > 0, 1, 2)), ["reachable", "ceiling", None]
        ),
        "driver_status": chosen(_codes(statuses), _STATUSES),
        "window_days": pa.array(np.array([m.window_days for m in metrics], np.int32)[which]),
        "peer_group": members["peer_group"].take(pa.array(who)),
        "policy_version": pa.repeat(policy.version, count * many),
        "run_id": pa.repeat(run_id, count * many),
    }
    schema = arrow_schema(table("score_drivers"))
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _by_merchant(columns: Iterable[NDArray]) -> NDArray:
    """A column for each metric -> one value for each merchant and metric, merchants first."""
    return np.stack(list(columns), axis=1).ravel()


def _codes(statuses: NDArray[np.str_]) -> NDArray[np.intp]:
    codes = np.zeros(statuses.shape, np.intp)
    for code, status in enumerate(_STATUSES):
        codes[statuses == status] = code
    return codes


def _goals(
    metric: Metric, groups: Groups, benchmarks: Benchmarks, policy: ScoringPolicy
) -> list[float | None]:
    return [goal(metric, benchmarks.get((name, metric.id), NOTHING), policy) for name in groups.names]


def _counts(members: pa.Table, metrics: Sequence[Metric], rows: Mapping[str, Floats]) -> dict[str, pa.Array]:
    """numerator, denominator and n, whole to the last digit."""
    tops, bottoms, people = [], [], []
    for m in metrics:
        nothing = np.zeros(members.num_rows, np.int64), np.ones(members.num_rows, bool)
        if not m.is_ratio:
            tops.append(whole(members[m.id]))
            bottoms.append(nothing)
            people.append(nothing)
            continue
        top, bottom = whole(members[f"{m.id}_num"]), whole(members[f"{m.id}_den"])
        if m.scored_as == "part_of_whole":
            bottom = top[0] + bottom[0], top[1] | bottom[1]
        n, _ = bottom if m.scored_as == "part_of_whole" else whole(members[m.population])
        unknown = np.isnan(measured(m, rows).value)
        tops.append(top)
        bottoms.append(bottom)
        people.append((np.where(unknown, 0, n), np.zeros(n.shape, bool)))
    return {
        name: pa.array(_by_merchant(v for v, _ in parts), mask=_by_merchant(null for _, null in parts))
        for name, parts in (("numerator", tops), ("denominator", bottoms), ("n", people))
    }
