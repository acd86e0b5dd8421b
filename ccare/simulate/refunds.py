"""Refunds of real trades, simulated: 3 in 1,000 trades, 8 in 1,000 from 2,000 fen up, six times that from
20 December on (returns after the holidays). Three in five are full, the rest a quarter to three quarters;
they come 0 to 14 days after the payment, a quarter on its day, never on 25 December, when no store sells. One
refund a trade, so refunded <= paid.
"""

from __future__ import annotations

import duckdb

REFUNDS = """
CREATE OR REPLACE TABLE sim_refunds AS
SELECT 'sq-' || hex16(h) AS event_id, 'refunded' AS event_type, merchant_id, user_id, store_id, trade_no,
       'r' || hex16(h) AS refund_no,
       CASE WHEN byte_of(h, 2) < 154 THEN amount_fen
            ELSE greatest(1, amount_fen * (64 + byte_of(h, 3) // 2) // 256) END AS amount_fen,
       CASE WHEN days = 0 THEN at_utc + to_seconds(CAST(600 + byte_of(h, 5) * 10 AS BIGINT))
            ELSE at_local(business_date + days, minutes_of_day(byte_of(h, 5), byte_of(h, 6), 9, 21),
                          byte_of(h, 7) % 60) END AS at_utc
FROM (SELECT *, draw('refund', trade_no || '|' || merchant_id) AS h,
             CAST((byte_of(h, 4) * byte_of(h, 4) * 15) // 65536 AS INTEGER) AS days
      FROM trades WHERE merchant_id <> 'unknown' AND amount_fen > 0)
WHERE word_of(h, 0) * 10000 // 65536
      < (CASE WHEN amount_fen >= 2000 THEN 80 ELSE 30 END)
        * (CASE WHEN strftime(business_date, '%m-%d') >= '12-20' THEN 6 ELSE 1 END)
"""

WITHIN = """
DELETE FROM sim_refunds
WHERE local_date(at_utc) > getvariable('last_day') OR strftime(local_date(at_utc), '%m-%d') = '12-25'
"""


def create(con: duckdb.DuckDBPyConnection) -> None:
    """Table sim_refunds: one row a refund; amounts are integers between 1 and the trade's amount_fen."""
    con.execute(REFUNDS)
    con.execute(WITHIN)
