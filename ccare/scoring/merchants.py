"""The rows of score_merchants: four dimensions and the total of every merchant, from its published drivers."""

from collections.abc import Collection
from datetime import date

import duckdb
import numpy as np
import pyarrow as pa

from ccare.runtime.rowstore import arrow_schema
from ccare.scoring.columns import floats, told
from ccare.scoring.months import LAST_FROZEN, month_of
from ccare.scoring.policy import ScoringPolicy
from ccare.scoring.score import Part, scores
from ccare.tables import table

_MEMBERS = """
with facts as (
    select peer_group, members as peers, if($stands_in, $last_frozen, status) as status from score_benchmarks
    where month = $month and metric_id = 'c_mau28'
), scored as (
    select merchant_id, any_value(peer_group) as peer_group from score_drivers where as_of_date = $day group by all
)
select merchant_id, s.peer_group, peers, status, m.events_56d
from scored s
join (from metric_merchants where as_of_date = $day) m using (merchant_id)
left join facts using (peer_group)
order by merchant_id
"""
_PARTS = """
select place, metric, contribution, weight * (percentile_high - percentile_low) / 2 as half,
    if(driver_status <> 'none', weight, 0) as known
from score_drivers join merchant_places using (merchant_id) join metric_places using (metric_id)
where as_of_date = $day
"""


def merchants(
    con: duckdb.DuckDBPyConnection,
    day: date,
    policy: ScoringPolicy,
    benchmarks_of: str,
    unreconciled: Collection[str],
    run_id: str,
) -> pa.Table:
    """score_merchants for one day, from score_drivers, score_benchmarks and metric_merchants.

    ``unreconciled``: merchants whose bills and payments differ; everything of theirs is null.
    """
    asked = {"stands_in": benchmarks_of != month_of(day), "last_frozen": LAST_FROZEN}
    members = con.execute(_MEMBERS, {"month": benchmarks_of, "day": day, **asked}).to_arrow_table()
    names = members["merchant_id"]
    events = floats(members, ["events_56d"])["events_56d"]
    blocked = np.isin(np.array(names.to_pylist(), dtype=str), sorted(unreconciled))
    found, status = scores(_parts(con, day, names, policy), events, blocked, policy)
    columns = {
        "merchant_id": names,
        "as_of_date": pa.repeat(pa.scalar(day), len(names)),
        **{name: told(values) for name, values in found.items()},
        "score_status": pa.array(status.astype(object), pa.string()),
        "peer_group": members["peer_group"],
        "peers": members["peers"],
        "benchmark_status": members["status"],
        "policy_version": pa.repeat(policy.version, len(names)),
        "run_id": pa.repeat(run_id, len(names)),
    }
    schema = arrow_schema(table("score_merchants"))
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _parts(
    con: duckdb.DuckDBPyConnection, day: date, names: pa.ChunkedArray, policy: ScoringPolicy
) -> dict[str, Part]:
    """What each weighted metric puts in, merchant by merchant; NaN where a merchant has no such driver."""
    weighted = policy.metrics
    # Numbers take the place of texts before millions of rows leave DuckDB.
    con.register("merchant_places", pa.table({"merchant_id": names, "place": np.arange(len(names))}))
    con.register("metric_places", pa.table({"metric_id": weighted, "metric": np.arange(len(weighted))}))
    rows = con.execute(_PARTS, {"day": day}).to_arrow_table()
    con.unregister("merchant_places")
    con.unregister("metric_places")
    at = rows["metric"].to_numpy(), rows["place"].to_numpy()
    told = {name: np.full((len(weighted), len(names)), np.nan) for name in ("contribution", "half", "known")}
    for name, values in told.items():
        values[at] = rows[name].to_numpy()
    return {
        metric: Part(**{name: values[i] for name, values in told.items()})
        for i, metric in enumerate(weighted)
    }
