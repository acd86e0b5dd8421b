"""Histories for ``bench.day``: state and core tables of any age, generated straight into Delta tables by DuckDB.

Nothing is ingested: rows are drawn by hash, the same for the same sizes, all simulated. Pairs are as many whatever the
history; only how far back their dates lie, and how many days there are of everything else, differ.
"""

import time
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb

from bench.made import made_table

DAY = date(2026, 6, 30)
KEPT_DAYS = 60
"""Days of vouchers, traffic and user days: no metric and no fold looks further back."""
_FILE_ROWS = 2_500_000


@dataclass(frozen=True)
class Size:
    """How much there is: pairs of merchant and user, merchants, days before DAY, events a day before it, events on it.

    ``active``: pairs that the events of DAY are spread over.
    """

    pairs: int
    merchants: int
    days: int
    daily: int
    events: int
    active: int


# Pair n: merchants get n^(-2/3)'s share. A twentieth of the day's pairs were never seen before.
_MACROS = (
    "CREATE MACRO share(n, salt) AS (hash(n, salt) >> 11) / 9007199254740992.0",
    "CREATE MACRO merchant_of(n) AS 'm' || CAST(floor($merchants * power(share(n, 'm'), 3)) AS INTEGER)",
    "CREATE MACRO user_of(n) AS 'k1_' || md5(CAST(n AS VARCHAR)) || md5('u' || n)",
    "CREATE MACRO some_pair(n, salt) AS CAST(floor(share(n, salt) * $pairs) AS BIGINT)",
    "CREATE MACRO instant(d, n) AS to_timestamp(epoch(CAST(d AS TIMESTAMP)) + 3600 + n % 40000)",
)

_USERS = """
SELECT merchant_of(n) AS merchant_id, user_of(n) AS user_key, first AS first_seen_date, last AS last_seen_date,
       CASE WHEN paid THEN first END AS first_paid_date, CASE WHEN paid THEN last END AS last_paid_date,
       CAST((hash(n, 'bits') >> 2) & ((CAST(1 AS HUGEINT) << least(62, last - first)) - 1) AS BIGINT) | 1
           AS active_bits,
       CASE WHEN paid THEN 1 ELSE 0 END AS paid_bits, 0 AS paid_bits_older,
       CASE WHEN paid THEN 2 ELSE 0 END AS orders, CASE WHEN paid THEN 4200 ELSE 0 END AS gmv_fen, 0 AS refund_fen,
       CASE WHEN share(n, 'bound') < .5 THEN first END AS first_bound_date,
       CASE WHEN share(n, 'viewed') < .1 THEN last END AS last_viewed_date,
       CASE WHEN share(n, 'delivered') < .2 THEN last END AS last_delivered_date,
       CASE WHEN share(n, 'follow') < .1 THEN instant(first, n) END AS follow_at,
       CASE WHEN share(n, 'follow') < .1 THEN 'e' || n END AS follow_event_id,
       CASE WHEN share(n, 'follow') < .1 THEN n % 9 > 0 END AS follow_on,
       CASE WHEN paid THEN CASE WHEN first < last THEN 'repeat' ELSE 'paid' END ELSE 'visited' END AS stage
FROM (SELECT *, first + CAST(floor(share(n, 'last') * ($day - first)) AS INTEGER) AS last
      FROM (SELECT n, share(n, 'paid') < .3 AS paid,
                   $day - 1 - CAST(floor(share(n, 'first') * $days) AS INTEGER) AS first
            FROM range($from, $to) r(n)))
"""

_USER_DAYS = """
SELECT merchant_of(p) AS merchant_id, user_of(p) AS user_key, d AS business_date, 4 AS events, 3 AS active_events,
       CASE WHEN n % 8 = 0 THEN 1 ELSE 0 END AS orders, CASE WHEN n % 8 = 0 THEN 2100 ELSE 0 END AS gmv_fen,
       1 AS launches, 4 AS simulated_events, 32 AS marks, 7 << (5 * (n % 12)) AS slot_steps
FROM (SELECT DISTINCT ON (d, p) * FROM (SELECT d, n, some_pair(n, CAST(d AS VARCHAR)) AS p
      FROM (SELECT CAST(unnest(range($day - $kept, $day, INTERVAL 1 DAY)) AS DATE) AS d), range($daily // 4) r(n)))
"""

_MERCHANT_DAYS = """
SELECT 'm' || n AS merchant_id, d AS business_date, 25 AS dau, 3 AS payers, 100 AS events, 75 AS active_events,
       3 AS orders, 6300 AS gmv_fen, 25 AS launches, 100 AS simulated_events
FROM (SELECT CAST(unnest(range($day - $days, $day, INTERVAL 1 DAY)) AS DATE) AS d), range($merchants) r(n)
"""

_EVENT = """
SELECT merchant_of(p) AS merchant_id, user_of(p) AS user_key, d AS business_date, d AS taken_on,
       d + 1 AS delivery_date,
       instant(d, n) AS occurred_at, kind || '-' || strftime(d, '%j') || '-' || n AS event_id, kind AS event_type,
       'simulated' AS origin, list_extract(['search_box', 'private', 'offline_scan', 'unknown'], 1 + n % 4) AS slot,
       {columns}
FROM (SELECT d, n, {kind} AS kind, {pair} AS p
      FROM (SELECT CAST(unnest(range({since}, {until}, INTERVAL 1 DAY)) AS DATE) AS d), range({rows}) r(n))
"""
_BEFORE = "some_pair(n % ($daily // 4), CAST(d AS VARCHAR))"
_TODAY = "CASE WHEN n % $active % 20 = 0 THEN $pairs + n % $active ELSE some_pair(n % $active, 'today') END"

_PAYMENT = (
    "CASE kind WHEN 'paid' THEN 't' || n || d ELSE 't' || (n - 97) || d END AS trade_no, "
    "CASE kind WHEN 'paid' THEN 2100 ELSE 700 END AS amount_fen, 0 AS merchant_discount_fen, "
    "0 AS platform_discount_fen, 12 AS fee_fen"
)
_PAYMENT_KIND = "CASE WHEN n % 97 = 96 AND n > 97 THEN 'refunded' ELSE 'paid' END"
_VISIT_KIND = (
    "list_extract(['launch', 'page_view', 'item_view', 'message_delivered', 'order_submit', 'collect'], "
    "1 + (n // {spread}) % 6)"
)
_CONTENT_KIND = "list_extract(['expose', 'view', 'view', 'follow'], 1 + n % 4)"
_VOUCHER = "'c' || (n // 2) || d AS voucher_code, 'act' AS activity_id"
_HOUR = "100 AS impressions, 3 AS clicks, 'free' AS source, 'treated' AS arm"


def generate(lake: Path, size: Size) -> dict[str, int]:
    """Every table that the state and metrics steps of DAY read; table -> version. Seconds are printed."""
    started = time.monotonic()
    lake.mkdir(parents=True)
    with duckdb.connect() as con:
        con.execute("SET threads = 2")
        con.execute("SET preserve_insertion_order = false")
        con.execute("SET TimeZone = 'UTC'")
        for macro in _MACROS:
            con.execute(_filled(macro, size))
        versions = {
            name: made_table(con, lake, name, [_filled(query, size) for query in queries])
            for name, queries in _queries(size).items()
        }
    print(
        f"history of {size.days} days, {size.pairs:,} pairs: generated in {time.monotonic() - started:.0f} s"
    )
    return versions


def _queries(size: Size) -> dict[str, list[str]]:
    ends = [*range(0, size.pairs, _FILE_ROWS), size.pairs]
    kept = f"DATE '{DAY - timedelta(days=min(size.days, KEPT_DAYS))}'"
    since, day, after = (
        f"DATE '{DAY - timedelta(days=size.days)}'",
        f"DATE '{DAY}'",
        f"DATE '{DAY + timedelta(days=1)}'",
    )

    def events(columns: str, kind: str, before: str, rows_before: int, rows: int) -> list[str]:
        return [
            _EVENT.format(
                columns=columns, kind=kind, pair=_BEFORE, since=before, until=day, rows=rows_before
            ),
            _EVENT.format(columns=columns, kind=kind, pair=_TODAY, since=day, until=after, rows=rows),
        ]

    merchants = "SELECT 'm' || n AS merchant_id, 'Shop' AS name, 'retail' AS industry, false AS own_brand, "
    merchants += (
        "DATE '2024-01-01' AS joined_on, DATE '2024-01-01' AS valid_from, DATE '2024-01-01' AS taken_on, "
    )
    merchants += "DATE '2024-01-02' AS delivery_date, 'simulated' AS origin FROM range($merchants) r(n)"
    staff = "SELECT merchant_of(n) AS merchant_id, user_of(n) AS user_key, DATE '2024-01-01' AS taken_on, "
    staff += (
        "DATE '2024-01-02' AS delivery_date, 'simulated' AS origin FROM range(0, $pairs, $pairs // 2000) r(n)"
    )
    visits = _VISIT_KIND.format(spread=size.active)
    return {
        "state_users": [_USERS.replace("$from", str(a)).replace("$to", str(b)) for a, b in pairwise(ends)],
        "state_user_days": [_USER_DAYS.replace("$day - $kept", kept)],
        "state_merchant_days": [_MERCHANT_DAYS],
        "core_merchants": [merchants],
        "core_staff": [staff],
        "core_payments": events(_PAYMENT, _PAYMENT_KIND, since, size.daily // 8, size.events // 8),
        "core_mini_program_events": [events("900 AS stay_ms", visits, since, 0, size.events * 3 // 4)[1]],
        "core_life_account_events": [events("900 AS stay_ms", _CONTENT_KIND, since, 0, size.events // 16)[1]],
        "core_voucher_events": events(_VOUCHER, "'received'", kept, size.daily // 32, size.events // 32),
        "core_traffic_hours": events(_HOUR, "'delivered'", kept, size.daily // 32, size.events // 32),
    }


def _filled(query: str, size: Size) -> str:
    values = {
        "$merchants": str(size.merchants),
        "$pairs": str(size.pairs),
        "$days": str(size.days),
        "$daily": str(size.daily),
        "$active": str(size.active),
        "$day": f"DATE '{DAY}'",
    }
    for name, value in sorted(values.items(), key=lambda item: -len(item[0])):
        query = query.replace(name, value)
    return query
