"""What ``bench.programmes`` earns from: a folder of Parquet a table, drawn by DuckDB, by day where a lake's is.

Every merchant has two user days a day, of 20 users; a tenth opens with a guided visit, a follow or a joining, a third
is paid, one trade in twenty is returned by half. Of the six weeks before the last four only paid days are made: they
are what trades by day and by month are counted from. A third of the merchants is served by one of 1,200 providers, and
a quarter adopted a solution of one.
"""

from datetime import date, timedelta
from pathlib import Path

import duckdb

DAY, FIRST = date(2026, 5, 31), date(2026, 3, 23)
"""A Sunday that ends a month, and the first day of the history: 70 days, so that three months' ends are told."""
ORDINARY = DAY - timedelta(days=3)
"""A day on which nothing is paid by the month or by the week."""
WHOLE_FROM = DAY - timedelta(days=27)
"""First day of which the days without a trade are made too."""
ENDS = (DAY, date(2026, 4, 30), date(2026, 3, 31))
CAMPAIGN = DAY - timedelta(days=13), DAY + timedelta(days=7)
"""First and last day of the campaign: the packaged one holds no Sunday that ends a month, so it is moved here."""
PROVIDERS = 1_200

_HISTORY = """
copy (
    select 'm' || m as merchant_id, md5('a' || m || '-' || u) || md5('b' || m || '-' || u) as user_key,
        3 as events, 2 as active_events,
        case when h % 3 = 0 then 1 else 0 end as orders, case when h % 3 = 0 then 500 + h % 9000 else 0 end as gmv_fen,
        (case when h % 10 = 1 then 1 else 0 end) | (case when h % 10 = 2 then 2 else 0 end)
            | (case when h % 4 = 1 then 4 else 0 end) | (case when h % 10 = 3 then 8 else 0 end) as tasks,
        case when h % 10 = 3 then 't' || (u % 2) end as guided_terminal,
        case when h % 10 = 1 then true when h % 50 = 7 then false end as follow_on,
        case when h % 10 = 2 then true when h % 50 = 8 then false end as member_on
    from (select m, (hash(m, '{day}') % 20 + k * (1 + hash(m, '{day}', 'y') % 19)) % 20 as u,
              (hash(m, '{day}', k, 'x') % 1000000)::bigint as h
          from range($merchants) t(m), range(2) r(k))
    where date '{day}' >= date '{whole_from}' or h % 3 = 0
) to '{root}/days/business_date={day}/rows.parquet'
"""
_PAYMENTS = """
copy (
    with paid as (
        select *, concat_ws('-', merchant_id, business_date, user_key[:8]) as trade_no
        from '{root}/days/business_date={day}/*.parquet' where orders > 0
    )
    select 'paid' as event_type, merchant_id, user_key, trade_no, gmv_fen as amount_fen, gmv_fen * 6 // 1000 as fee_fen,
        business_date, business_date + 1 as delivery_date from paid
    union all select 'refunded', merchant_id, user_key, trade_no, gmv_fen // 2, 0, business_date, business_date + 1
        from paid where gmv_fen % 20 = 0
) to '{root}/payments/taken_on={day}/rows.parquet'
"""
_CHANGES = (
    "copy (from '{root}/days/business_date={day}/*.parquet') to '{root}/changes/came={day}/rows.parquet'"
)
_REFUNDS = """
copy (
    select merchant_id, user_key, business_date as paid_date, business_date as refund_date,
        sum(amount_fen)::bigint as refund_fen, count(*) as refunds
    from '{root}/payments/*/*.parquet' where event_type = 'refunded' group by all order by paid_date
) to '{root}/refunds/rows.parquet'
"""
_MERCHANTS = """
copy (
    select 'm' || m as merchant_id, date '2025-01-01' as valid_from, date '2025-01-01' as taken_on,
        case when m % 5 > 0 then 'mp' || m end as mini_program_id, m % 11 = 0 as own_brand,
        case when m % 3 = 0 then 'sp' || hash(m, 'served') % {providers} end as service_provider_id,
        ['catering', 'retail', 'beauty', 'transport'][1 + m % 4] as industry from range($merchants) t(m)
) to '{root}/merchants/rows.parquet'
"""
_SCORES = """
copy (
    select 'm' || m as merchant_id, d as as_of_date, (hash(m, d, 's') % 1001) / 10 as scale_score,
        (hash(m, d, 'a') % 1001) / 10 as activity_score, (hash(m, d, 't') % 1001) / 10 as total_score,
        'g' || m % 40 as peer_group, ($merchants // 40)::bigint as peers
    from (select unnest([{scored}]) as d), range($merchants) t(m)
) to '{root}/scores/rows.parquet'
"""
_DRIVERS = """
copy (
    select 'm' || m as merchant_id, d as as_of_date, (hash(m, 'p') % 100) / 100 as shrunk_value,
        'e_private_share' as metric_id
    from (select unnest([date '{day}', date '{ordinary}']) as d), range($merchants) t(m)
) to '{root}/drivers/rows.parquet'
"""
_CARDS = """
copy (
    select 'received' as event_type, merchant_id, user_key, 'wufu-2026' as activity_id, business_date,
        business_date as taken_on from '{root}/days/*/*.parquet'
    where gmv_fen % 7 = 1 and business_date >= date '{campaign}'
) to '{root}/cards/rows.parquet'
"""
_ENROLMENTS = """
copy (
    select 'wufu' as programme, 'm' || m as party, date '{campaign}' as "from", date '{campaign}' as taken_on
    from range(least(1500, $merchants)) t(m)
) to '{root}/enrolments/rows.parquet'
"""
_PROVIDERS = """
copy (
    select 'sp' || n as service_provider_id, date '2025-01-01' + (n % 300)::int as joined_on
    from range({providers}) t(n)
) to '{root}/providers/rows.parquet'
"""
_SOLUTIONS = """
copy (
    select 'so' || n as solution_id, 'sp' || n as service_provider_id from range({providers}) t(n)
) to '{root}/solutions/rows.parquet'
"""
_ADOPTIONS = """
copy (
    select 'so' || hash(m, 'solution') % {providers} as solution_id, 'm' || m as merchant_id,
        date '2026-02-01' + (hash(m, 'adopted') % 119)::int as adopted_on from range($merchants) t(m) where m % 4 = 0
) to '{root}/adoptions/rows.parquet'
"""
_ONCE = {
    "refunds": _REFUNDS,
    "merchants": _MERCHANTS,
    "scores": _SCORES,
    "drivers": _DRIVERS,
    "cards": _CARDS,
    "enrolments": _ENROLMENTS,
    "providers": _PROVIDERS,
    "solutions": _SOLUTIONS,
    "adoptions": _ADOPTIONS,
}
FOLDERS = {
    "state_user_days": "days",
    "state_changes": "changes",
    "state_refund_days": "refunds",
    "core_payments": "payments",
    "core_merchants": "merchants",
    "core_voucher_events": "cards",
    "core_enrolments": "enrolments",
    "core_service_providers": "providers",
    "core_solutions": "solutions",
    "core_solution_adoptions": "adoptions",
    "score_merchants": "scores",
    "score_drivers": "drivers",
}
"""Table -> folder below the scratch folder."""
UNTIL = {
    "state_user_days": "business_date <=",
    "state_changes": "came =",
    "state_refund_days": "refund_date <=",
    "core_payments": "taken_on <=",
    "core_voucher_events": "taken_on <=",
}
"""Table -> what its rows meet with the day of a close that knows them, where that is not all of them."""


def known(table: str, day: date) -> str:
    """SQL of which rows of ``table`` the close of ``day`` knows."""
    return f"{UNTIL[table]} date '{day}'" if table in UNTIL else "true"


def make(root: Path, merchants: int) -> tuple[int, int]:
    """Write every folder of ``FOLDERS`` below ``root``; gives user days and trades."""
    for folder in FOLDERS.values():
        (root / folder).mkdir()
    scored = {ORDINARY, *ENDS, *(end - timedelta(days=28) for end in ENDS)}
    about = {
        "root": root,
        "whole_from": WHOLE_FROM,
        "campaign": CAMPAIGN[0],
        "ordinary": ORDINARY,
        "providers": PROVIDERS,
        "scored": ", ".join(f"date '{day}'" for day in sorted(scored) if day >= FIRST),
    }
    with duckdb.connect() as con:
        con.execute("set threads = 2")
        days = [FIRST + timedelta(days=n) for n in range((DAY - FIRST).days + 1)]
        for day in days:
            for folder, query in (
                (f"days/business_date={day}", _HISTORY),
                (f"payments/taken_on={day}", _PAYMENTS),
            ):
                (root / folder).mkdir()
                _run(con, query.format(**about, day=day), merchants)
        for day in (DAY, ORDINARY):
            (root / f"changes/came={day}").mkdir()
            _run(con, _CHANGES.format(root=root, day=day), merchants)
        for query in _ONCE.values():
            _run(con, query.format(**about, day=DAY), merchants)
        counted = con.execute(
            f"select count(*), sum(orders)::bigint from '{root}/days/*/*.parquet'"
        ).fetchone()
    assert counted is not None
    return counted[0], counted[1]


def _run(con: duckdb.DuckDBPyConnection, query: str, merchants: int) -> None:
    con.execute(query, {"merchants": merchants} if "$merchants" in query else None)
