"""Refunds by the day their trade was paid: what refund rates and entitlements look back at. In DuckDB's SQL."""

from datetime import date, timedelta

import duckdb

from ccare.growth.snapshot import date_sql
from ccare.state.facts import new_on

KEY = ("merchant_id", "user_key", "paid_date", "refund_date")
_KEY = ", ".join(KEY)
_SUMS = "sum(refund_fen)::bigint as refund_fen"

LOOKED_UP_FIRST = 60
"""Days of payments that a day's refunds look for their trades in before older ones are read."""


def matched_refunds(con: duckdb.DuckDBPyConnection, day: date, first_day: date, waiting: bool = True) -> str:
    """Pairs of a refund and its trade that became whole on ``day``, summed by payer, paid date, refund date.

    A refund may arrive before its trade: whichever comes second makes the pair. Where no refund of an earlier day
    is ``waiting``, only the day's own can.
    """
    known = (
        f"select * from core_payments where taken_on <= {date_sql(day)} and business_date <= {date_sql(day)}"
    )
    new = new_on("core_payments", day, first_day)
    if day == first_day:
        return _summed(f"({_pairs(known, _refunds(new))})")
    con.execute(f"create or replace temp table came as {_refunds(new)}")
    _meet(con, known, day - timedelta(days=LOOKED_UP_FIRST), first_day)
    if waiting:
        earlier = f"select * from ({_refunds(known)}) anti join came using (event_id)"
        con.execute(f"insert into met {_pairs(new, earlier)}")
    return _summed("met")


def _meet(con: duckdb.DuckDBPyConnection, known: str, since: date, first_day: date) -> None:
    """The day's refunds beside their trades. A trade is paid once, so one found since ``since`` has no other.

    Most are: a look into the partitions before, a whole history, is for what stays unmatched. A younger lake has none.
    """
    if first_day >= since:
        con.execute(f"create or replace temp table met as {_pairs(known, 'from came')}")
        return
    lately, before = (f"{known} and taken_on {than} {date_sql(since)}" for than in (">=", "<"))
    con.execute(f"create or replace temp table met as {_pairs(lately, 'from came')}")
    con.execute("create or replace temp table unmet as select * from came anti join met using (event_id)")
    if con.execute("select 1 from unmet limit 1").fetchone():
        con.execute(f"insert into met {_pairs(before, 'from unmet')}")


def merged_refunds(before: str, pairs: str) -> str:
    """Refund days as they were and the new pairs -> refund days as they are now.

    A payer may be unknown: keys are compared with null like any other value.
    """
    same = " and ".join(f"o.{name} is not distinct from n.{name}" for name in KEY)
    keys = ", ".join(f"coalesce(o.{name}, n.{name}) as {name}" for name in KEY)
    sums = ", ".join(
        f"coalesce(o.{name}, 0) + coalesce(n.{name}, 0) as {name}" for name in ("refund_fen", "refunds")
    )
    return f"select {keys}, {sums} from {before} o full join ({pairs}) n on {same}"


def refolded_refunds(rows: str) -> str:
    """Rows of one key summed into one."""
    return f"select {_KEY}, {_SUMS}, sum(refunds)::bigint as refunds from {rows} group by all"


def _pairs(payments: str, refunds: str) -> str:
    paid = "select merchant_id, trade_no, user_key, business_date as paid_date"
    return (
        f"select event_id, {_KEY}, refund_fen from ({paid} from ({payments}) where event_type = 'paid') "
        f"join ({refunds}) using (merchant_id, trade_no)"
    )


def _refunds(payments: str) -> str:
    return (
        "select event_id, merchant_id, trade_no, business_date as refund_date, amount_fen as refund_fen "
        f"from ({payments}) where event_type = 'refunded'"
    )


def _summed(pairs: str) -> str:
    return f"select {_KEY}, {_SUMS}, count(*) as refunds from {pairs} group by all"
