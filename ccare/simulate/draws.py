"""Draws and traits: integer variates from MD5, and how keen each merchant, user and pair is."""

from __future__ import annotations

import duckdb

# draw128, draw: 128 and 64 uniform bits of (seed, purpose, key). byte_of / word_of: disjoint pieces of a draw.
# minutes_of_day: between two hours, densest in the middle. at_local: UTC instant of a local date and time.
MACROS = (
    "CREATE OR REPLACE MACRO draw128(purpose, k) AS "
    "md5_number(getvariable('seed_text') || '|' || purpose || '|' || k)",
    # The half that md5_number_lower gives, which takes three times as long for it.
    "CREATE OR REPLACE MACRO high64(x) AS CAST(x >> 64 AS UBIGINT)",
    "CREATE OR REPLACE MACRO low64(x) AS CAST(x & 18446744073709551615 AS UBIGINT)",
    "CREATE OR REPLACE MACRO draw(purpose, k) AS high64(draw128(purpose, k))",
    "CREATE OR REPLACE MACRO byte_of(h, i) AS CAST((h >> (8 * i)) & 255 AS INTEGER)",
    "CREATE OR REPLACE MACRO word_of(h, i) AS CAST((h >> (16 * i)) & 65535 AS BIGINT)",
    "CREATE OR REPLACE MACRO hex16(h) AS lpad(lower(to_hex(h)), 16, '0')",
    "CREATE OR REPLACE MACRO minutes_of_day(a, b, opens, closes) AS "
    "opens * 60 + ((a + b) * (closes - opens) * 60) // 512",
    "CREATE OR REPLACE MACRO at_local(d, minutes, seconds) AS "
    "utc_time(CAST(d AS TIMESTAMP) + to_seconds(CAST(minutes * 60 + seconds AS BIGINT)))",
)

# Share of users a merchant's mini-program or life account reaches, per mille: a tenth have none, a tenth
# reach half or more (heavy tail). Users differ by a factor of 0.4 to 1.6.
ADOPTION_PERMILLE = (0, 60, 90, 120, 160, 200, 240, 300, 400, 550)

MERCHANT_TRAITS = """
CREATE OR REPLACE TABLE merchant_traits AS
SELECT merchant_id, first_date,
       CAST(list_extract($adoption, CAST(h % 10 AS INTEGER) + 1) AS INTEGER) AS adoption,
       CAST(list_extract($adoption, CAST((h >> 20) % 10 AS INTEGER) + 1) AS INTEGER) AS following
FROM (SELECT merchant_id, draw('merchant', merchant_id) AS h,
             greatest(first_date, (SELECT min(business_date) FROM trades)) AS first_date FROM merchants)
"""

USER_TRAITS = """
CREATE OR REPLACE TABLE user_traits AS
SELECT user_id, CAST(400 + draw('user', user_id) % 1201 AS INTEGER) AS affinity
FROM (SELECT DISTINCT user_id FROM trades)
"""

PAIRS = """
CREATE OR REPLACE TABLE pairs AS
SELECT t.merchant_id, t.user_id, m.adoption, m.following, u.affinity, min(t.at_utc) AS first_at,
       draw('pair', t.merchant_id || '|' || t.user_id) AS h,
       draw('pair when', t.merchant_id || '|' || t.user_id) AS h_when
FROM trades t JOIN merchant_traits m USING (merchant_id) JOIN user_traits u USING (user_id)
GROUP BY ALL
"""


def create_draws(con: duckdb.DuckDBPyConnection, seed: int) -> None:
    """Fix the seed for this connection and create the macros all simulators draw with."""
    con.execute("SET VARIABLE seed_text = CAST($1 AS VARCHAR)", [str(seed)])
    for macro in MACROS:
        con.execute(macro)


def create_traits(con: duckdb.DuckDBPyConnection) -> None:
    """Tables merchant_traits, user_traits and pairs (one row a merchant and user with a trade)."""
    con.execute(MERCHANT_TRAITS, {"adoption": list(ADOPTION_PERMILLE)})
    con.execute(USER_TRAITS)
    con.execute(PAIRS)


def thinning_limit(rows: int, target: int) -> int:
    """The bound on a 16-bit draw that keeps about ``target`` of ``rows``; 65536 keeps all."""
    return 65536 if rows <= target else target * 65536 // rows


def drop_tables(con: duckdb.DuckDBPyConnection, *names: str) -> None:
    """Free working tables; ``names`` are this package's own."""
    for name in names:
        con.execute(f"DROP TABLE {name}")
