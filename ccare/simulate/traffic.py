"""Traffic delivered by slot: impressions and clicks on days a merchant sells, more for those that sell more.

At most three slots a merchant and day and one hour each, so at most one row a merchant, slot and day.
"""

from __future__ import annotations

import duckdb

from ccare.simulate.draws import drop_tables, thinning_limit

MAX_ROWS = 250_000
TARGET_ROWS = 235_000

# slot, clicks per 10,000 impressions
SLOTS: tuple[tuple[str, int], ...] = (
    ("search_box", 520),
    ("app_centre", 180),
    ("message_reminder", 240),
    ("recommendation_card", 130),
    ("payment_success", 310),
    ("life_channel", 160),
    ("coupon_channel", 430),
    ("membership_channel", 270),
)

MERCHANT_DAYS = """
CREATE OR REPLACE TABLE merchant_days AS
SELECT t.merchant_id, t.business_date, count(*) AS trades, m.adoption,
       draw('traffic', t.merchant_id || '|' || t.business_date) AS h
FROM trades t JOIN merchant_traits m USING (merchant_id)
WHERE t.business_date <= getvariable('last_day')
GROUP BY ALL
"""

# The n-th slot of a day needs more trades: 1, 4 and 16. Slots step by 3 of 8, so the three differ.
TRAFFIC = """
CREATE OR REPLACE TABLE sim_traffic AS
SELECT 'st-' || hex16(g) AS event_id, 'delivered' AS event_type, merchant_id, s.slot,
       at_local(business_date, 60 * (8 + byte_of(g, 1) % 14), 0) AS at_utc, impressions,
       CAST(least(impressions, impressions * s.click_rate * (128 + byte_of(g, 2)) // (10000 * 256)) AS BIGINT)
           AS clicks,
       CASE WHEN byte_of(g, 3) < 31 THEN 'paid' ELSE 'free' END AS source, 'treated' AS arm,
       word_of(g, 3) AS thin
FROM (
    SELECT d.merchant_id, d.business_date, (byte_of(d.h, 0) + 3 * n.n) % 8 AS k, g,
           CAST((20 + byte_of(g, 4)) * (1 + d.trades) * (100 + d.adoption) // 100 AS BIGINT) AS impressions
    FROM (SELECT *, unnest([0, 1, 2]) AS n FROM merchant_days) d
    JOIN (SELECT unnest([0, 1, 2]) AS n) n USING (n),
    LATERAL (SELECT draw('slot', d.merchant_id || '|' || d.business_date || '|' || n.n) AS g)
    WHERE d.adoption > 0 AND d.trades >= list_extract([1, 4, 16], n.n + 1) AND byte_of(g, 0) < 200
) t JOIN slots s USING (k)
"""


def create(con: duckdb.DuckDBPyConnection) -> None:
    """Table sim_traffic: one row a merchant, slot and day with an hour (at_utc), at most MAX_ROWS."""
    con.execute("CREATE OR REPLACE TABLE slots(k INTEGER, slot VARCHAR, click_rate INTEGER)")
    con.executemany("INSERT INTO slots VALUES (?, ?, ?)", [[k, *slot] for k, slot in enumerate(SLOTS)])
    con.execute(MERCHANT_DAYS)
    con.execute(TRAFFIC)
    row = con.execute("SELECT count(*) FROM sim_traffic").fetchone()
    limit = thinning_limit(int(row[0]) if row else 0, TARGET_ROWS)
    con.execute("DELETE FROM sim_traffic WHERE thin >= $1", [limit])
    drop_tables(con, "merchant_days")
