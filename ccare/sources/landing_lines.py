"""Event tables of a DuckDB connection as landing lines, planted faults included, copied file by file.

``lines`` (grain: one line of one file): file_no, at_utc, event_id, event_type, origin, planted (null,
duplicate or a kind of bad line), line. file_no 1-4 is the quarter of history; 10 + n is the n-th day from
go-live on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

FIRST_DAILY = 10

MACROS = (
    "CREATE OR REPLACE MACRO text_field(name, v) AS "
    "CASE WHEN v IS NULL THEN '' ELSE ',\"' || name || '\":\"' || v || '\"' END",
    "CREATE OR REPLACE MACRO number_field(name, v) AS "
    "CASE WHEN v IS NULL THEN '' ELSE ',\"' || name || '\":' || v END",
    "CREATE OR REPLACE MACRO user_field(v) AS "
    "CASE WHEN v IS NULL THEN ',\"user_id\":null' ELSE ',\"user_id\":\"' || v || '\"' END",
    "CREATE OR REPLACE MACRO event_start(event_id, event_type, clock, at_utc, merchant_id, origin) AS "
    '\'{"event_id":"\' || event_id || \'","event_type":"\' || event_type || \'","\' || clock || \'":"\' '
    '|| rfc3339(at_utc) || \'","merchant_id":"\' || merchant_id || \'","origin":"\' || origin || \'"\'',
    "CREATE OR REPLACE MACRO file_number(d) AS CASE WHEN d >= getvariable('go_live') "
    "THEN 10 + (d - getvariable('go_live')) WHEN d < getvariable('first_day') THEN 1 ELSE quarter(d) END",
)

PAYMENTS = """
SELECT at_utc, event_id, 'paid' AS event_type, 'real' AS origin, NULL AS planted,
       event_start(event_id, 'paid', 'occurred_at', at_utc, merchant_id, 'real') || user_field(user_id)
       || text_field('trade_no', trade_no) || number_field('amount_fen', amount_fen)
       || number_field('merchant_discount_fen', merchant_discount_fen)
       || number_field('platform_discount_fen', platform_discount_fen) || number_field('fee_fen', 0)
       || text_field('store_id', store_id) || '}' AS line
FROM (SELECT *, 'cjp-' || trade_no || '-' || merchant_id AS event_id FROM trades)
"""

REFUNDS = """
UNION ALL
SELECT at_utc, event_id, event_type, 'simulated', NULL,
       event_start(event_id, event_type, 'occurred_at', at_utc, merchant_id, 'simulated')
       || user_field(user_id) || text_field('trade_no', trade_no) || text_field('refund_no', refund_no)
       || number_field('amount_fen', amount_fen) || number_field('merchant_discount_fen', 0)
       || number_field('platform_discount_fen', 0) || number_field('fee_fen', 0)
       || text_field('store_id', store_id) || '}'
FROM sim_refunds
"""

VOUCHERS = """
SELECT at_utc, event_id, event_type, 'real' AS origin, NULL AS planted,
       event_start(event_id, event_type, 'occurred_at', at_utc, merchant_id, 'real') || user_field(user_id)
       || text_field('voucher_code', voucher_code) || text_field('activity_id', activity_id)
       || text_field('trade_no', trade_no) || number_field('merchant_contribute_fen', 0)
       || number_field('platform_contribute_fen', 0) || '}' AS line
FROM voucher_events
"""

MERCHANTS = """
SELECT utc_time(CAST(first_date AS TIMESTAMP)) AS at_utc, lpad(merchant_id, 8, '0') AS event_id,
       'merchant' AS event_type, 'real' AS origin, NULL AS planted,
       '{"merchant_id":"' || merchant_id || '","origin":"real","name":' || CAST(to_json(name) AS VARCHAR)
       || ',"industry":' || CAST(to_json(industry) AS VARCHAR) || ',"city_tier":null'
       || ',"own_brand":' || own_brand || ',"joined_on":"' || first_date
       || '","valid_from":"' || first_date || '"}' AS line
FROM merchants
"""

MINI_PROGRAM = """
SELECT at_utc, event_id, event_type, 'simulated' AS origin, NULL AS planted,
       event_start(event_id, event_type, 'occurred_at', at_utc, merchant_id, 'simulated')
       || user_field(user_id) || text_field('session_id', session_id) || text_field('scene', scene)
       || text_field('promo_position', promo_position) || text_field('page', page)
       || number_field('stay_ms', stay_ms) || text_field('message_kind', message_kind)
       || text_field('terminal_id', terminal_id) || '}' AS line
FROM sim_mini_program
"""

LIFE_ACCOUNT = """
SELECT at_utc, event_id, event_type, 'simulated' AS origin, NULL AS planted,
       event_start(event_id, event_type, 'occurred_at', at_utc, merchant_id, 'simulated')
       || user_field(user_id) || text_field('content_id', content_id)
       || text_field('content_type', content_type) || number_field('stay_ms', stay_ms)
       || text_field('scene', scene) || '}' AS line
FROM sim_life_account
"""

TRAFFIC = """
SELECT at_utc, event_id, event_type, 'simulated' AS origin, NULL AS planted,
       event_start(event_id, event_type, 'hour_start', at_utc, merchant_id, 'simulated')
       || text_field('slot', slot) || number_field('impressions', impressions)
       || number_field('clicks', clicks) || text_field('source', source) || text_field('arm', arm)
       || '}' AS line
FROM sim_traffic
"""

REAL = {"merchants": MERCHANTS, "payments": PAYMENTS, "vouchers": VOUCHERS}
SIMULATED = {
    "merchants": MERCHANTS,
    "payments": PAYMENTS + REFUNDS,
    "vouchers": VOUCHERS,
    "mini_program": MINI_PROGRAM,
    "life_account": LIFE_ACCOUNT,
    "traffic": TRAFFIC,
}

# Planted faults, picked by draw: 24 copies of history lines in the same file and 8 of lines of the go-live
# days delivered again a day later; as many bad lines, made from good ones under ids of their own, kinds in
# turn.
PICKS = """
CREATE OR REPLACE TABLE picks AS
SELECT *, row_number() OVER (PARTITION BY daily ORDER BY drawn, event_id) AS pick
FROM (SELECT *, file_no >= 10 AS daily, draw('planted', event_id) AS drawn
      FROM lines WHERE file_no <> (SELECT max(file_no) FROM lines) AND word_of(drawn, 3) < 1024)
QUALIFY pick <= CASE WHEN daily THEN 16 ELSE 48 END
"""

DUPLICATES = """
INSERT INTO lines BY NAME
SELECT CASE WHEN daily THEN file_no + 1 ELSE file_no END AS file_no, at_utc, event_id, event_type, origin,
       line, 'duplicate' AS planted
FROM picks WHERE pick % 2 = 0
"""

BAD_LINES = """
INSERT INTO lines BY NAME
SELECT file_no, at_utc, 'bad-' || event_id AS event_id, event_type, origin, kind AS planted,
       CASE kind
       WHEN 'malformed_json' THEN left(renamed, length(renamed) - 4)
       WHEN 'unknown_event_type'
           THEN replace(renamed, '"event_type":"' || event_type, '"event_type":"teleport')
       WHEN 'time_without_offset'
           THEN regexp_replace(renamed, '(T\\d\\d:\\d\\d:\\d\\d)[+-]\\d\\d:\\d\\d', '\\1')
       WHEN 'missing_merchant_id' THEN regexp_replace(renamed, '"merchant_id":"[^"]*",', '')
       ELSE replace(renamed, '"impressions":', '"impressions":-') END AS line
FROM (SELECT *, replace(line, '"event_id":"', '"event_id":"bad-') AS renamed,
             list_extract(['malformed_json', 'unknown_event_type', 'time_without_offset',
                           'missing_merchant_id', 'negative_impressions'],
                          1 + (pick // 2) % CASE event_type WHEN 'delivered' THEN 5 ELSE 4 END) AS kind
      FROM picks WHERE pick % 2 = 1)
"""


@dataclass(frozen=True)
class LineFile:
    """One file to write: which rows of ``lines`` it holds, when it is delivered, and its name."""

    file_no: int
    delivery_date: date
    name: str


def create_line_macros(con: duckdb.DuckDBPyConnection, go_live: date, first_day: date) -> None:
    """Macros that lines are made with. History before ``first_day`` goes into the first quarter's file."""
    con.execute(f"SET VARIABLE go_live = DATE '{go_live.isoformat()}'")
    con.execute(f"SET VARIABLE first_day = DATE '{first_day.isoformat()}'")
    for macro in MACROS:
        con.execute(macro)


def create_lines(con: duckdb.DuckDBPyConnection, query: str, *, plant: bool) -> None:
    """Table lines of one stream up to the variable last_day; ``plant`` adds duplicates and bad lines."""
    con.execute("CREATE OR REPLACE TEMP VIEW stream_lines AS " + query)
    con.execute(
        "CREATE OR REPLACE TABLE lines AS "
        "SELECT CAST(file_number(local_date(at_utc)) AS INTEGER) AS file_no, at_utc, event_id, event_type, "
        "origin, CAST(planted AS VARCHAR) AS planted, line "
        "FROM stream_lines WHERE local_date(at_utc) <= getvariable('last_day')"
    )
    if plant:
        con.execute(PICKS)
        con.execute(DUPLICATES)
        con.execute(BAD_LINES)


def line_files(con: duckdb.DuckDBPyConnection, stream: str, go_live: date) -> Iterator[LineFile]:
    """The files that ``lines`` fills, in order of delivery."""
    for (file_no,) in con.execute("SELECT DISTINCT file_no FROM lines ORDER BY file_no").fetchall():
        if file_no < FIRST_DAILY:
            yield LineFile(file_no, go_live, f"{stream}-history-{file_no}.jsonl")
        else:
            day = go_live + timedelta(days=file_no - FIRST_DAILY)
            yield LineFile(file_no, day + timedelta(days=1), f"{stream}-{day.isoformat()}.jsonl")


def copy_lines(con: duckdb.DuckDBPyConnection, file_no: int, path: Path) -> None:
    """Write one file, ordered by time, event_id and planted, one line a row, byte for byte."""
    con.execute(
        "COPY (SELECT line FROM lines WHERE file_no = $1 ORDER BY at_utc, event_id, planted NULLS FIRST) "
        "TO $2 (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')",
        [file_no, str(path)],
    )
