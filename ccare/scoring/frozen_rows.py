"""The rows of score_benchmarks: a month frozen from metric_merchants as DuckDB reads it."""

from datetime import date, timedelta

import duckdb
import pyarrow as pa

from ccare.metrics.definitions import SCORED_METRICS
from ccare.runtime.rowstore import arrow_rows
from ccare.scoring.benchmarks import Frozen, freeze
from ccare.scoring.columns import floats
from ccare.scoring.months import BOOTSTRAP, MONTHLY, month_of
from ccare.scoring.places import columns_of
from ccare.scoring.policy import ScoringPolicy
from ccare.tables import table

_ACTIVE = """
select industry, <columns> from metric_merchants where as_of_date = $1 and c_mau28 > 0 order by merchant_id
"""


def freezing(con: duckdb.DuckDBPyConnection, day: date, policy: ScoringPolicy) -> tuple[date, str]:
    """The as-of day to freeze for the month of ``day``, and the status it gives.

    The previous month's last day when enough merchants were active then, else ``day`` itself as a bootstrap.
    """
    before = day.replace(day=1) - timedelta(days=1)
    found = con.execute(
        "select count(*) from metric_merchants where as_of_date = $1 and c_mau28 > 0", [before]
    ).fetchone()
    enough = found is not None and found[0] >= policy.min_active_merchants
    return (before, MONTHLY) if enough else (day, BOOTSTRAP)


def month_frozen(con: duckdb.DuckDBPyConnection, day: date, policy: ScoringPolicy) -> pa.Table:
    """score_benchmarks for the month of ``day``, of every metric that any policy can weigh.

    Peers are merchants with c_mau28 > 0 on the frozen day. No rows when nobody was active: the next close of the
    month tries again.
    """
    frozen_on, status = freezing(con, day, policy)
    names = list(dict.fromkeys(["c_mau28", *columns_of([m.id for m in SCORED_METRICS])]))
    active = con.execute(_ACTIVE.replace("<columns>", ", ".join(names)), [frozen_on]).to_arrow_table()
    columns, industries = floats(active, names), active["industry"].to_pylist()
    told = {
        "month": month_of(day),
        "frozen_on": frozen_on,
        "status": status,
        "policy_version": policy.version,
    }
    rows = [_row(each) | told for each in freeze(columns, industries, SCORED_METRICS, policy)]
    return arrow_rows(table("score_benchmarks"), rows)


def _row(frozen: Frozen) -> dict[str, object]:
    bench = frozen.benchmark
    return {
        "peer_group": frozen.peer_group,
        "metric_id": frozen.metric.id,
        "industry": frozen.industry,
        "tier": frozen.tier,
        "members": frozen.members,
        "quantiles": bench.ordered,
        "prior_mean": bench.mean,
        "prior_strength": bench.strength,
        "peers": frozen.peers,
        "compared_with": frozen.level,
        "tier_low": frozen.cuts[0],
        "tier_high": frozen.cuts[1],
    }
