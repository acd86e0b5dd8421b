"""What is bought: sales with their refunds and vouchers, and the public traffic that merchants are given."""

from __future__ import annotations

import duckdb

from ccare.simulate.scale import curves
from ccare.simulate.traffic import SLOTS

REFUND_DAYS = 14
VOUCHER_LEAD_DAYS = 9
OFFER_DAYS = 14

# h places a sale in time, k says what it is. A voucher is received 1 to 9 days before its trade.
SALES = """
CREATE OR REPLACE TEMP TABLE sales AS
SELECT * EXCLUDE (voucher, received_day, part, refunded, refund_lag),
       CASE WHEN voucher THEN 'c' || pair || 'n' || j END AS voucher_code,
       CASE WHEN voucher THEN moment(received_day, 540 + byte_of(h, 7) * 2, byte_of(h, 6) % 60) END AS received_s,
       CASE WHEN voucher THEN amount_fen * 8 // 100 WHEN part BETWEEN 23 AND 60 THEN amount_fen * 3 // 100 ELSE 0 END
           AS merchant_discount_fen,
       CASE WHEN part >= 230 THEN amount_fen * 2 // 100 ELSE 0 END AS platform_discount_fen,
       amount_fen * 6 // 1000 AS fee_fen,
       CASE WHEN refunded THEN
            CASE WHEN refund_lag = 0 THEN at_s + 600 + byte_of(k, 5) * 10
                 ELSE moment(day + refund_lag, minutes_of_day(byte_of(k, 5), byte_of(k, 6), 9, 21), byte_of(k, 7) % 60)
            END END AS refund_s,
       CASE WHEN refunded THEN CASE WHEN byte_of(k, 5) < 154 THEN amount_fen
            ELSE greatest(1, amount_fen * (64 + byte_of(k, 6) // 2) // 256) END END AS refund_fen
FROM (
    SELECT s.pair, s.j, s.day, s.at_s, s.h, k, p.merchant_id, p.user_id, p.m, byte_of(k, 1) AS part,
           uses_app(p.g, p.adoption) AND byte_of(s.h, 4) < 150 AS in_app,
           greatest(1, p.basket_fen * p.spend * CAST(pick($trade_spend, in64(k, 0)) AS BIGINT) // 1000000)
               AS amount_fen,
           byte_of(k, 1) < 23 AND s.day - 1 - byte_of(k, 7) % $lead >= 0 AS voucher,
           s.day - 1 - byte_of(k, 7) % $lead AS received_day, share(k, 1, 12) AS refunded,
           (byte_of(k, 4) * byte_of(k, 4) * ($refund_days + 1)) // 65536 AS refund_lag
    FROM (SELECT *, draw('sale', pair || '|' || j) AS k FROM purchases
          WHERE day >= getvariable('day_from') - $refund_days AND day < getvariable('day_to') + $lead + 1) s
    JOIN pairs p USING (pair)
)
"""

# Who pays offline by scan has a scene; by showing a code, none. Some of the latter are nobody known.
PAYMENTS = """
SELECT s.at_s, 'p' || s.pair || 'n' || s.j AS event_id, 'paid' AS event_type, s.merchant_id,
       CASE WHEN NOT s.in_app AND s.voucher_code IS NULL AND byte_of(s.k, 6) < 14 THEN NULL ELSE s.user_id END
           AS user_id,
       't' || s.pair || 'n' || s.j AS trade_no, NULL AS refund_no, s.amount_fen, s.merchant_discount_fen,
       s.platform_discount_fen, s.fee_fen, 'store-' || s.merchant_id || '-' || (1 + byte_of(s.k, 2) % 3) AS store_id,
       CASE WHEN NOT s.in_app THEN 'till-' || s.merchant_id || '-' || (1 + byte_of(s.k, 3) % 4) END AS terminal_id,
       CASE WHEN s.in_app THEN x.scene WHEN byte_of(s.h, 5) < 128 THEN '1011' END AS scene,
       CASE WHEN s.in_app THEN x.promo_position END AS promo_position, s.voucher_code
FROM sales s JOIN scene_mix x ON x.k = byte_of(s.h, 5)
WHERE s.day >= getvariable('day_from') AND s.day < getvariable('day_to')
UNION ALL
SELECT refund_s, 'q' || pair || 'n' || j, 'refunded', merchant_id,
       CASE WHEN NOT in_app AND voucher_code IS NULL AND byte_of(k, 6) < 14 THEN NULL ELSE user_id END,
       't' || pair || 'n' || j, 'r' || pair || 'n' || j, refund_fen, 0, 0, 0,
       'store-' || merchant_id || '-' || (1 + byte_of(k, 2) % 3), NULL, NULL, NULL, NULL
FROM sales
WHERE refund_s // 86400 >= getvariable('day_from') AND refund_s // 86400 < getvariable('day_to')
"""

# A trade given back whole gives its voucher back. Offers that nobody uses expire.
VOUCHERS = """
WITH told AS (
    SELECT received_s AS at_s, pair || 'n' || j AS n, 'received' AS event_type, merchant_id, user_id, voucher_code,
           m, NULL AS trade_no, received_s
    FROM sales WHERE voucher_code IS NOT NULL
    UNION ALL SELECT at_s + 1, pair || 'n' || j, 'used', merchant_id, user_id, voucher_code, m,
                     't' || pair || 'n' || j, received_s
              FROM sales WHERE voucher_code IS NOT NULL
    UNION ALL SELECT refund_s + 5, pair || 'n' || j, 'unused', merchant_id, user_id, voucher_code, m,
                     't' || pair || 'n' || j, received_s
              FROM sales WHERE voucher_code IS NOT NULL AND refund_fen = amount_fen
    UNION ALL SELECT from_s, pair || 'o', 'received', merchant_id, user_id, 'o' || pair, m, NULL, from_s FROM offers
    UNION ALL SELECT from_s + $offer_days * 86400, pair || 'o', 'expired', merchant_id, user_id, 'o' || pair, m, NULL,
                     from_s
              FROM offers
)
SELECT at_s, 'w' || n || left(event_type, 2) AS event_id, event_type, merchant_id, user_id, voucher_code,
       'act-' || m || '-' || received_s // 2592000 AS activity_id, trade_no,
       CASE WHEN event_type = 'received' THEN '1403' END AS scene
FROM told
WHERE at_s // 86400 >= getvariable('day_from') AND at_s // 86400 < getvariable('day_to')
"""

OFFERS = """
CREATE OR REPLACE TABLE offers AS
SELECT pair, m, merchant_id, user_id,
       moment(birth + 3, minutes_of_day(byte_of(h, 2), byte_of(h, 3), 9, 20), byte_of(h, 4) % 60) AS from_s
FROM (SELECT *, draw('offer', pair) AS h FROM pairs WHERE birth >= -3) WHERE share(h, 0, 150)
"""

# Up to three slots a merchant and day, an hour each, more for the large. Points pay for some, with a tenth of the
# hours held out.
TRAFFIC = """
SELECT moment(day, 60 * (8 + byte_of(g, 1) % 14), 0) AS at_s, 'f' || m || 'd' || day || 'n' || n AS event_id,
       'delivered' AS event_type, merchant_id, slot, impressions,
       CASE WHEN held THEN 0
            ELSE least(impressions, impressions * click_rate * (128 + byte_of(g, 2)) // (10000 * 256)) END AS clicks,
       source, CASE WHEN held THEN 'holdout' ELSE 'treated' END AS arm,
       CASE WHEN source = 'points' THEN 'grant-' || m || '-' || day // 7 END AS grant_id
FROM (
    SELECT t.*, s.slot, s.click_rate, source = 'points' AND byte_of(g, 6) < 26 AS held
    FROM (SELECT d.day, m.m, m.merchant_id, n.n, g, (byte_of(m.h, 6) + day + 3 * n.n) % 8 AS k,
                 CAST((20 + byte_of(g, 4)) * (1 + 2000 // (m.m + 10)) AS BIGINT) AS impressions,
                 CASE WHEN byte_of(g, 3) < 31 THEN 'paid' WHEN byte_of(g, 3) < 70 THEN 'points' ELSE 'free' END
                     AS source
          FROM merchants m,
               (SELECT unnest(range(getvariable('day_from'), getvariable('day_to'))) AS day) d,
               (SELECT unnest(range(3)) AS n) n,
               LATERAL (SELECT draw('slot', m.m || '|' || d.day || '|' || n.n) AS g)
          WHERE m.adoption > 0 AND byte_of(g, 0) < pick([230, 90, 30], n.n)) t
    JOIN slots s USING (k)
)
"""


def create_commerce(con: duckdb.DuckDBPyConnection) -> None:
    """Tables that hold for all days: offers and slots."""
    con.execute(OFFERS)
    con.execute("CREATE OR REPLACE TABLE slots(k INTEGER, slot VARCHAR, click_rate INTEGER)")
    con.executemany("INSERT INTO slots VALUES (?, ?, ?)", [[k, *slot] for k, slot in enumerate(SLOTS)])


def create_sales(con: duckdb.DuckDBPyConnection) -> None:
    """Working table sales: those of the days at hand, and those whose refunds or vouchers fall on them."""
    told = {"trade_spend": list(curves.TRADE_SPEND_PERMILLE), "lead": VOUCHER_LEAD_DAYS}
    con.execute(SALES, told | {"refund_days": REFUND_DAYS})
