"""Mini-program visits, relations and messages of the panel's households.

Visits: before a share of the purchases (5 minutes to 3 hours ahead), and browsing visits around others, from
four weeks before to two weeks after, denser near the purchase and on Fridays to Sundays. Relations: collect,
subscribe, member_join within a week of the pair's first purchase, some ended later. Messages: after
purchases, and every few weeks to subscribers.
"""

from __future__ import annotations

import duckdb

from ccare.simulate.draws import drop_tables, thinning_limit

MAX_ROWS = 1_300_000
TARGET_ROWS = 1_240_000  # leaves room for the scatter of the thinning draw

# Weights out of 256 of how a visit starts: (weight, scene, promo_position).
SCENES: tuple[tuple[int, str | None, str | None], ...] = (
    (34, "1005", None),
    (8, "1005", "search_direct"),
    (16, "1000", None),
    (14, "1001", None),
    (13, "1014", None),
    (6, "1305", None),
    (24, "1003", None),
    (22, "1403", None),
    (11, "1020", None),
    (6, "1022", None),
    (14, None, "coupon_channel"),
    (9, "1209", None),
    (11, "1400", None),
    (13, "1011", None),
    (6, "1011", "guide:counter"),
    (6, "1301", None),
    (17, "1002", None),
    (7, "1007", None),
    (6, "1023", None),
    (4, "1037", None),
    (3, "1038", None),
    (6, None, None),
)
OFFLINE_SCENES = ("1011", "1301")

VISITS_BEFORE_PURCHASE = """
CREATE OR REPLACE TABLE visits AS
SELECT h, TRUE AS bought, t.merchant_id, t.user_id, t.store_id, m.first_date,
       t.at_utc - to_seconds(CAST(300 + ((word_of(h, 1) * word_of(h, 1) // 65536) * 10500) // 65536
                                  AS BIGINT)) AS at_utc
FROM (SELECT *, draw('visit', trade_no || '|' || merchant_id) AS h FROM trades) t
JOIN merchant_traits m USING (merchant_id) JOIN user_traits u USING (user_id)
WHERE word_of(h, 0) * 1000000 // 65536 < m.adoption * u.affinity
"""

# Weekday weights, Monday first, out of 256.
BROWSING_VISITS = """
INSERT INTO visits
SELECT h, FALSE, merchant_id, CASE WHEN byte_of(h, 7) < 4 THEN NULL ELSE user_id END, store_id, first_date,
       at_local(day, minutes_of_day(byte_of(h, 4), byte_of(h, 5), 7, 23), byte_of(h, 6) % 60)
FROM (SELECT t.*, h, m.first_date,
             t.business_date - 28 + (byte_of(h, 2) + byte_of(h, 3)) * 42 // 511 AS day
      FROM (SELECT *, draw('browse', trade_no || '|' || merchant_id) AS h FROM trades) t
      JOIN merchant_traits m USING (merchant_id) JOIN user_traits u USING (user_id)
      WHERE word_of(h, 0) * 1000000 // 65536 < m.adoption * u.affinity * 45 // 100)
WHERE byte_of(h, 6) < list_extract([190, 185, 195, 205, 240, 256, 245], CAST(isodow(day) AS INTEGER))
"""

VISIT_DRAWS = """
CREATE OR REPLACE TABLE visit_draws AS
SELECT v.* EXCLUDE (h), v.h, draw('steps', CAST(v.h AS VARCHAR)) AS g, s.scene, s.promo_position,
       CASE WHEN s.scene IN ('1011', '1301')
            THEN 'counter-' || v.store_id || '-' || (1 + byte_of(v.h, 7) % 4) END AS terminal_id
FROM visits v JOIN scene_mix s ON s.k = byte_of(draw('scene', CAST(v.h AS VARCHAR)), 0)
WHERE local_date(v.at_utc) BETWEEN v.first_date AND getvariable('last_day')
"""

# step, event_type, keep out of 256 when bought / when browsing, seconds into the visit (base), page
STEPS: tuple[tuple[int, str, int, int, int, str | None], ...] = (
    (1, "launch", 256, 256, 0, None),
    (2, "page_view", 256, 256, 3, "pages/home"),
    (3, "item_view", 170, 150, 40, "pages/item"),
    (4, "page_view", 70, 90, 90, "pages/offers"),
    (5, "item_view", 60, 50, 140, "pages/item"),
    (6, "share", 5, 5, 200, None),
    (7, "order_submit", 180, 8, 240, None),
)

VISIT_EVENTS = """
CREATE OR REPLACE TABLE sim_mini_program AS
SELECT 'sm-' || hex16(v.h) || '-' || s.step AS event_id, s.event_type,
       v.at_utc + to_seconds(CAST(
           CASE s.step WHEN 1 THEN 0 ELSE s.base_s + byte_of(v.g, s.step) % 30 END AS BIGINT)) AS at_utc,
       v.merchant_id, v.user_id, 'ss-' || hex16(v.g) AS session_id, v.scene, v.promo_position, s.page,
       CASE WHEN s.page IS NOT NULL
            THEN 400 + byte_of(v.h, s.step) * byte_of(v.h, s.step) END AS stay_ms,
       CAST(NULL AS VARCHAR) AS message_kind, v.terminal_id, word_of(v.g, 0) AS thin
FROM visit_draws v JOIN visit_steps s
  ON byte_of(v.g, s.step - 1) < CASE WHEN v.bought THEN s.keep_bought ELSE s.keep_browsing END
"""

# One row a pair that may enter a relation; later events hang on earlier ones, so a filter on time keeps
# their order.
RELATIONS = """
CREATE OR REPLACE TABLE relations AS
SELECT merchant_id, user_id, h, h_when, first_at,
       first_at + to_seconds(CAST(120 + byte_of(h_when, 0)
           + 86400 * greatest(0, byte_of(h_when, 1) // 32 - 3) AS BIGINT)) AS starts_at,
       8 + byte_of(h_when, 2) // 2 AS held_days, 4 + byte_of(h_when, 3) // 4 AS away_days,
       byte_of(h, 0) < 26 AS collects, byte_of(h, 1) < 50 AS uncollects, byte_of(h, 2) < 40 AS collects_again,
       byte_of(h, 3) < 24 AS subscribes, byte_of(h, 4) < 30 AS refuses_later, byte_of(h, 3) >= 248 AS refuses,
       byte_of(h, 5) < 16 AS joins, byte_of(h, 6) < 26 AS leaves, word_of(h_when, 3) AS thin
FROM pairs WHERE adoption > 0 AND byte_of(h, 7) * 1000 < adoption * affinity
"""

RELATION_EVENTS = """
INSERT INTO sim_mini_program BY NAME
SELECT 'sr-' || hex16(h) || '-' || step AS event_id, event_type, at_utc, merchant_id, user_id, thin,
       CASE WHEN step IN (1, 4, 5, 7) THEN 'pages/offers' END AS page
FROM (
    SELECT *, 1 AS step, 'collect' AS event_type, starts_at AS at_utc FROM relations WHERE collects
    UNION ALL SELECT *, 2, 'uncollect', starts_at + to_days(held_days) FROM relations
              WHERE collects AND uncollects
    UNION ALL SELECT *, 3, 'collect', starts_at + to_days(held_days + away_days) FROM relations
              WHERE collects AND uncollects AND collects_again
    UNION ALL SELECT *, 4, 'subscribe', starts_at + INTERVAL 30 SECOND FROM relations WHERE subscribes
    UNION ALL SELECT *, 5, 'refuse', starts_at + INTERVAL 30 SECOND FROM relations WHERE refuses
    UNION ALL SELECT *, 6, 'refuse', starts_at + to_days(held_days) + INTERVAL 5 MINUTE FROM relations
              WHERE subscribes AND refuses_later
    UNION ALL SELECT *, 7, 'member_join', starts_at + INTERVAL 1 MINUTE FROM relations WHERE joins
    UNION ALL SELECT *, 8, 'member_leave', starts_at + to_days(held_days) + INTERVAL 9 MINUTE FROM relations
              WHERE joins AND leaves
)
WHERE local_date(at_utc) <= getvariable('last_day')
"""

MESSAGES = """
CREATE OR REPLACE TABLE messages AS
SELECT draw('message', t.trade_no || '|' || t.merchant_id) AS h, t.merchant_id, t.user_id,
       t.at_utc + to_seconds(20) AS at_utc,
       CASE WHEN byte_of(h, 0) < 4 THEN 'order' ELSE 'payment' END AS message_kind,
       word_of(h, 3) AS thin
FROM trades t JOIN merchant_traits m USING (merchant_id)
WHERE m.adoption > 0 AND byte_of(h, 0) < 14
UNION ALL
SELECT h, merchant_id, user_id,
       at_local(local_date(starts_at) + k * 24 + byte_of(h, 1) % 10,
                minutes_of_day(byte_of(h, 2), byte_of(h, 3), 10, 20), byte_of(h, 4) % 60),
       'subscription', thin
FROM (SELECT r.merchant_id, r.user_id, r.thin, r.starts_at, r.held_days, r.refuses_later, n.k,
             draw('letter', r.merchant_id || '|' || r.user_id || '|' || n.k) AS h
      FROM relations r CROSS JOIN (SELECT CAST(unnest(range(1, 14)) AS INTEGER) AS k) n WHERE r.subscribes)
WHERE byte_of(h, 0) < 180 AND (NOT refuses_later OR k * 24 + 10 < held_days)
"""

MESSAGE_EVENTS = """
INSERT INTO sim_mini_program BY NAME
SELECT 'sn-' || hex16(h) || '-' || step AS event_id, event_type, at_utc, merchant_id, user_id, message_kind,
       scene, thin
FROM (SELECT *, 1 AS step, 'message_delivered' AS event_type, NULL AS scene FROM messages
      UNION ALL SELECT h, merchant_id, user_id, at_utc + to_seconds(15 + byte_of(h, 5) * 20), message_kind,
                       thin, 2, 'message_click', '1014'
                FROM messages WHERE byte_of(h, 6) < CASE message_kind WHEN 'subscription' THEN 40 ELSE 56 END)
WHERE local_date(at_utc) <= getvariable('last_day')
"""


def create(con: duckdb.DuckDBPyConnection) -> None:
    """Table sim_mini_program: one row an event, at most MAX_ROWS."""
    _create_scene_mix(con)
    con.execute("CREATE OR REPLACE TABLE visit_steps(step INTEGER, event_type VARCHAR, keep_bought INTEGER, "
                "keep_browsing INTEGER, base_s INTEGER, page VARCHAR)")  # fmt: skip
    con.executemany("INSERT INTO visit_steps VALUES (?, ?, ?, ?, ?, ?)", [list(step) for step in STEPS])
    for statement in (
        VISITS_BEFORE_PURCHASE,
        BROWSING_VISITS,
        VISIT_DRAWS,
        VISIT_EVENTS,
        RELATIONS,
        RELATION_EVENTS,
        MESSAGES,
        MESSAGE_EVENTS,
    ):
        con.execute(statement)
    row = con.execute("SELECT count(*) FROM sim_mini_program").fetchone()
    limit = thinning_limit(int(row[0]) if row else 0, TARGET_ROWS)
    con.execute("DELETE FROM sim_mini_program WHERE thin >= $1", [limit])
    drop_tables(con, "visits", "visit_draws", "relations", "messages")


def _create_scene_mix(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE OR REPLACE TABLE scene_mix(k INTEGER, scene VARCHAR, promo_position VARCHAR)")
    rows = [(scene, position) for weight, scene, position in SCENES for _ in range(weight)]
    con.executemany(
        "INSERT INTO scene_mix VALUES (?, ?, ?)",
        [[k, scene, position] for k, (scene, position) in enumerate(rows)],
    )
