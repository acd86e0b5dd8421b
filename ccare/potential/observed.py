"""What the models are fitted to, read by DuckDB from core tables: paid days, histories, spends."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from ccare.potential.gamma_gamma import Spends
from ccare.potential.histories import Array, Histories

MANY_USERS = 1_000_000
"""Merchants with more paying users are told in whole weeks and hundredths of the logarithm of spend."""

# A paid day of a user: any paid event of theirs. What it nets: its trades less their refunds known by then.
_PAID_DAYS = """
create or replace temp table paid_days as
with known as (
    select p.merchant_id, p.trade_no, p.user_key, p.event_type, p.business_date, p.amount_fen from core_payments p
    where ($taken_by is null or p.taken_on <= $taken_by) and p.business_date <= $until
), refunds as (
    select merchant_id, trade_no, sum(amount_fen) as refund_fen from known
    where event_type = 'refunded' and business_date <= $refunds_until group by all
), staff as (
    select distinct merchant_id, user_key from core_staff where $taken_by is null or taken_on <= $taken_by
)
select k.merchant_id, k.user_key, k.business_date as paid_on,
    sum(k.amount_fen - coalesce(r.refund_fen, 0))::bigint as net_fen
from known k
left join refunds r using (merchant_id, trade_no)
anti join staff s on s.merchant_id = k.merchant_id and s.user_key = k.user_key
where k.event_type = 'paid' and k.user_key is not null
group by all
"""

_USERS = """
create or replace temp table users_by_end as
with first as (
    select merchant_id, user_key, min(paid_on) as first_on from paid_days where paid_on <= $end group by all
), users as (
    select d.merchant_id, d.user_key, $end - any_value(f.first_on) as age,
        count(*) - 1 as repeats, max(d.paid_on) - any_value(f.first_on) as recency,
        count(*) filter (d.net_fen > 0 and d.paid_on > f.first_on) as spend_days,
        coalesce(sum(d.net_fen) filter (d.net_fen > 0 and d.paid_on > f.first_on), 0) as spent_fen,
        coalesce(sum(d.net_fen) filter (d.net_fen > 0), 0) as all_fen,
        count(*) filter (d.net_fen > 0) as all_days
    from paid_days d join first f using (merchant_id, user_key)
    where d.paid_on <= $end group by all
)
select *, count(*) over (partition by merchant_id) > $many as many from users
"""

# In weeks a day of age counts whole where it began; recency never passes it.
_HISTORIES = """
select merchant_id, repeats, case when many then recency // 7 * 7 else recency end as recency,
    case when many then age // 7 * 7 else age end as age, spend_days,
    count(*) as users, sum(spent_fen)::double as spent_fen, sum(all_fen)::double as all_fen,
    sum(all_days)::double as all_days
from users_by_end group by all order by all
"""
_SPENDS = """
select merchant_id, spend_days, case when many then exp(round(ln(spent_fen / spend_days), 2))
    else spent_fen / spend_days end as mean_fen, count(*) as users
from users_by_end where spend_days > 0 group by all order by all
"""


@dataclass(frozen=True)
class Observed:
    """One merchant's users by the end of observation; days, fen.

    ``histories`` and the arrays beside it have one row for users alike: ``spend_days`` repeat days that net more
    than nothing and ``spent`` on them, summed over the row's users. ``day_mean``: net spend of all days that do.
    """

    histories: Histories
    spend_days: Array
    spent: Array
    spends: Spends | None
    day_mean: float


def load_paid_days(
    con: duckdb.DuckDBPyConnection,
    until: date,
    *,
    taken_by: date | None = None,
    refunds_until: date | None = None,
) -> None:
    """Make ``paid_days`` (merchant, user, day; net_fen) from core_payments and core_staff, up to ``until``.

    ``taken_by`` leaves out rows that later closes took, ``refunds_until`` refunds dated later (default: ``until``).
    """
    told = {"until": until, "taken_by": taken_by, "refunds_until": refunds_until or until}
    con.execute(_PAID_DAYS, told)


def first_paid_day(con: duckdb.DuckDBPyConnection) -> date | None:
    """The first paid day of all."""
    row = con.execute("select min(paid_on) from paid_days").fetchone()
    return row[0] if row else None


def observe(con: duckdb.DuckDBPyConnection, end: date, many: int = MANY_USERS) -> dict[str, Observed]:
    """Merchant -> its users as they stand at ``end``, from ``paid_days``; merchants without one are left out."""
    con.execute(_USERS, {"end": end, "many": many})
    rows, spends = con.execute(_HISTORIES).fetchnumpy(), con.execute(_SPENDS).fetchnumpy()
    money = dict(by_merchant(spends))
    result = {}
    for merchant, part in by_merchant(rows):
        own = money.get(merchant)
        days = float(part["all_days"].sum())
        result[merchant] = Observed(
            Histories.of(part["repeats"], part["recency"], part["age"], part["users"]),
            part["spend_days"].astype(float),
            part["spent_fen"],
            None if own is None else Spends.of(own["spend_days"], own["mean_fen"], own["users"]),
            float(part["all_fen"].sum()) / days if days else 0.0,
        )
    return result


def paid_days_after(con: duckdb.DuckDBPyConnection, end: date, last: date) -> dict[str, int]:
    """Merchant -> paid days in (``end``, ``last``] of users first paid by ``end``: what a forecast is held against."""
    rows = con.execute(
        """with known as (select merchant_id, user_key from paid_days where paid_on <= $end)
        select merchant_id, count(*) from paid_days semi join known using (merchant_id, user_key)
        where paid_on > $end and paid_on <= $last group by all""",
        {"end": end, "last": last},
    ).fetchall()
    return dict(rows)


def paid_days_within(con: duckdb.DuckDBPyConnection, first: date, last: date) -> dict[str, int]:
    """Merchant -> paid days in [``first``, ``last``], whoever paid."""
    rows = con.execute(
        "select merchant_id, count(*) from paid_days where paid_on between $first and $last group by all",
        {"first": first, "last": last},
    ).fetchall()
    return dict(rows)


def industries(con: duckdb.DuckDBPyConnection, on: date) -> dict[str, str]:
    """Merchant -> industry by the latest record begun by ``on``."""
    rows = con.execute(
        "select merchant_id, arg_max(industry, valid_from) from core_merchants where valid_from <= $on group by all",
        {"on": on},
    ).fetchall()
    return {merchant: industry or "" for merchant, industry in rows}


def by_merchant(columns: Mapping[str, Any]) -> list[tuple[str, dict[str, NDArray]]]:
    """Columns of rows in merchant order, cut where the merchant changes: merchant, and its part of each column."""
    names = np.asarray(columns["merchant_id"], dtype=object)
    if not names.size:
        return []
    cuts = np.flatnonzero(names[1:] != names[:-1]) + 1
    starts, ends = [0, *cuts.tolist()], [*cuts.tolist(), len(names)]
    return [
        (str(names[s]), {k: np.ma.getdata(v[s:e]) for k, v in columns.items() if k != "merchant_id"})
        for s, e in zip(starts, ends)
    ]
