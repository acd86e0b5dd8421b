"""What points bought a merchant: paid trades in hours that they paid for, against the hours withheld by chance.

DuckDB over the core rows of 28 days; no state keeps hours. A merchant whose points paid for nothing costs nothing.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache

import duckdb
import numpy as np
from numpy.typing import NDArray

from ccare.potential.observed import by_merchant
from ccare.state.facts import FUTURE_DAYS

BOTH_ENDS = (0.05, 0.95)
FEW_DAYS = 5
"""Days with such hours below which no interval is told."""
RESAMPLES = 1_000
_DAYS_BACK = 27
Floats = NDArray[np.float64]

# A row of the window was taken after it happened, or FUTURE_DAYS before at most: older partitions hold none.
_DAYS = """
with recent as (
    select merchant_id, slot, occurred_at as hour, business_date, arm, sum(impressions) as shown
    from core_traffic_hours
    where event_type = 'delivered' and source = 'points' and arm in ('treated', 'holdout')
        and business_date between $first and $day and taken_on between $taken_from and $day
    group by all
), hours as (
    select distinct merchant_id, hour from recent
), sales as (
    select p.merchant_id, h.hour, count(*) as orders
    from core_payments p asof join hours h on p.merchant_id = h.merchant_id and p.occurred_at >= h.hour
    where p.event_type = 'paid' and p.business_date between $first and $day and p.taken_on between $taken_from and $day
        and p.occurred_at < h.hour + interval 1 hour
    group by all
)
select merchant_id, business_date,
    coalesce(sum(orders) filter (arm = 'treated'), 0)::bigint as treated_orders,
    coalesce(sum(shown) filter (arm = 'treated'), 0)::bigint as treated_shown,
    coalesce(sum(orders) filter (arm = 'holdout'), 0)::bigint as holdout_orders,
    coalesce(sum(shown) filter (arm = 'holdout'), 0)::bigint as holdout_shown
from recent left join sales using (merchant_id, hour)
group by all order by all
"""
SUMS = ("treated_orders", "treated_shown", "holdout_orders", "holdout_shown")


def points_lift(con: duckdb.DuckDBPyConnection, day: date) -> Iterator[dict[str, object]]:
    """One row for each merchant with an hour that points paid for in W28, named as metric_merchants names them.

    ``con`` has core_traffic_hours and core_payments; rows taken after ``day`` are left out.
    """
    first = day - timedelta(days=_DAYS_BACK)
    told = {"first": first, "day": day, "taken_from": first - timedelta(days=FUTURE_DAYS)}
    for merchant, mine in by_merchant(con.execute(_DAYS, told).fetchnumpy()):
        yield {"merchant_id": merchant, **_told(np.stack([mine[name] for name in SUMS], axis=1))}


def lift(sums: Floats) -> Floats:
    """Trades per 1,000 opportunities, treated less withheld: shape (..., 4) of SUMS -> (...); nan without both arms."""
    with np.errstate(divide="ignore", invalid="ignore"):
        told = 1000 * (sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3])
    return np.where((sums[..., 1] > 0) & (sums[..., 3] > 0), told, np.nan)


def interval(days: Floats) -> tuple[float | None, float | None]:
    """A 90 % interval of the lift over ``days``, shape (days, 4), by drawing whole days with replacement."""
    if len(days) < FEW_DAYS:
        return None, None
    drawn = lift(_draws(len(days)) @ days)
    drawn = drawn[~np.isnan(drawn)]
    if not drawn.size:
        return None, None
    low, high = np.quantile(drawn, BOTH_ENDS)
    return float(low), float(high)


def _told(days: NDArray[np.int64]) -> dict[str, object]:
    whole = days.sum(axis=0)
    told = float(lift(whole.astype(np.float64)))
    known = not np.isnan(told)
    low, high = interval(days.astype(np.float64)) if known else (None, None)
    return {
        "e_points_lift": told if known else None,
        "e_points_lift_low": low,
        "e_points_lift_high": high,
        **{f"e_points_lift_{name}": int(value) for name, value in zip(SUMS, whole, strict=True)},
    }


@cache
def _draws(days: int) -> Floats:
    """How often each day is drawn in each resample, the same for all merchants with so many days."""
    # RandomState's streams are frozen for good; a Generator's may change with NumPy's version.
    legacy = np.random.RandomState(days)
    return legacy.multinomial(days, np.full(days, 1 / days), RESAMPLES).astype(np.float64)
