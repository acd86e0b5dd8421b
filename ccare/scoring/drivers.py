"""The rows of score_drivers: each metric of each merchant among its frozen peers, what it adds and what to aim at."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ccare.metrics.definitions import METRIC_BY_ID, Metric
from ccare.runtime.rowstore import arrow_schema
from ccare.scoring.columns import chosen, floats, told, whole
from ccare.scoring.months import ANY_INDUSTRY, TIERS, days_of
from ccare.scoring.places import (
    STATUSES,
    Groups,
    Placed,
    as_benchmarks,
    columns_of,
    driver_status,
    goal,
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


def drivers(
    con: duckdb.DuckDBPyConnection, day: date, policy: ScoringPolicy, benchmarks_of: str, run_id: str
) -> pa.Table:
    """score_drivers for one day, by merchant and then as the policy lists its metrics.

    ``con`` has metric_merchants, score_benchmarks and score_merchants as published before, whose rows since the
    benchmarks came into use hold each merchant's frozen group; ``benchmarks_of``: the month (YYYY-MM) compared with.
    """
    metrics = [METRIC_BY_ID[name] for name in policy.metrics]
    names = columns_of([m.id for m in metrics])
    since, _ = days_of(benchmarks_of, day)
    asked = _MEMBERS.replace("<columns>", ", ".join(names))
    bound: dict[str, object] = {**dict(zip(TIERS, TIERS, strict=True)), "anyone": ANY_INDUSTRY}
    bound |= {"month": benchmarks_of, "since": since, "day": day}
    members = con.execute(asked, bound).to_arrow_table()
    frozen = con.execute("from score_benchmarks where month = $1", [benchmarks_of]).to_arrow_table()
    groups = Groups.of(members["peer_group"].to_pylist())
    placed = places(floats(members, names), groups, as_benchmarks(frozen.to_pylist()), policy)
    return _table(members, metrics, placed, groups, day, policy, run_id)


def _table(
    members: pa.Table,
    metrics: Sequence[Metric],
    placed: Mapping[str, Placed],
    groups: Groups,
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
    goals = ([goal(m, bench, policy) for bench in placed[m.id].benches] for m in metrics)
    targets = _by_merchant(groups.spread(of) for of in goals)
    compared = _by_merchant(groups.spread([b.ordered is not None for b in p.benches]) for p in each)
    columns = {
        "merchant_id": members["merchant_id"].take(pa.array(who)),
        "as_of_date": pa.repeat(pa.scalar(day), count * many),
        "metric_id": chosen(which, [m.id for m in metrics]),
        "dimension": chosen(which, [m.dimension for m in metrics]),
        "value": told(_by_merchant(p.told.value for p in each)),
        **_counts(members, metrics, placed),
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
        "driver_status": chosen(statuses, STATUSES),
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


def _counts(
    members: pa.Table, metrics: Sequence[Metric], placed: Mapping[str, Placed]
) -> dict[str, pa.Array]:
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
        unknown = np.isnan(placed[m.id].told.value)
        tops.append(top)
        bottoms.append(bottom)
        people.append((np.where(unknown, 0, n), np.zeros(n.shape, bool)))
    return {
        name: pa.array(_by_merchant(v for v, _ in parts), mask=_by_merchant(null for _, null in parts))
        for name, parts in (("numerator", tops), ("denominator", bottoms), ("n", people))
    }
