"""What users do between purchases: relations, visits to the mini-program, content, and messages.

Working tables hold the days from the variable day_from up to day_to, which is left out, and a little more where a
later day's row follows from an earlier one.
"""

from __future__ import annotations

import duckdb

from ccare.simulate.life_account import REACTIONS
from ccare.simulate.scale import curves

# kind, event that turns it on, that turns it off, share of pairs per mille, in 256: that end it, that come back
RELATIONS: tuple[tuple[str, str, str, int, int, int], ...] = (
    ("follow", "follow", "unfollow", 1000, 40, 40),
    ("collect", "collect", "uncollect", 120, 50, 40),
    ("subscription", "subscribe", "refuse", 110, 30, 20),
    ("member", "member_join", "member_leave", 70, 26, 30),
)

# A pair's relation begins in the days after its birth; what began before the first day is not told.
RELATION_TIMES = """
CREATE OR REPLACE TABLE relations AS
SELECT pair, kind, user_id, merchant_id, turns_on, turns_off, from_s,
       CASE WHEN byte_of(h, 3) < ends THEN from_s + (6 + byte_of(h, 4) // 2) * 86400 + 3600 END AS until_s,
       CASE WHEN byte_of(h, 3) < ends AND byte_of(h, 5) < returns
            THEN from_s + (6 + byte_of(h, 4) // 2 + 2 + byte_of(h, 6) // 4) * 86400 END AS back_s
FROM (
    SELECT p.pair, r.*, p.user_id, p.merchant_id, h,
           moment(p.birth + greatest(0, byte_of(h, 2) // 32 - 3),
                  minutes_of_day(byte_of(h, 4), byte_of(h, 5), 8, 20), byte_of(h, 6) % 60) AS from_s
    FROM (SELECT p.*, r.kind, draw(r.kind, p.pair) AS h FROM pairs p CROSS JOIN relation_kinds r) p
    JOIN relation_kinds r USING (kind)
    WHERE share(h, 0, CASE r.kind WHEN 'follow' THEN p.following ELSE r.permille END)
      AND (r.kind = 'follow' OR uses_app(p.g, p.adoption))
)
WHERE from_s >= 0
"""

RELATION_EVENTS = """
SELECT at_s, 'r' || pair || left(kind, 1) || step AS event_id, event_type, merchant_id, user_id, kind
FROM (SELECT *, from_s AS at_s, 1 AS step, turns_on AS event_type FROM relations
      UNION ALL SELECT *, until_s, 2, turns_off FROM relations WHERE until_s IS NOT NULL
      UNION ALL SELECT *, back_s, 3, turns_on FROM relations WHERE back_s IS NOT NULL)
WHERE at_s // 86400 >= getvariable('day_from') AND at_s // 86400 < getvariable('day_to')
"""

WEEKS = """
CREATE OR REPLACE TEMP TABLE weeks AS
SELECT week, CAST(7 * week - getvariable('weekday') AS INTEGER) AS monday
FROM (SELECT unnest(range((getvariable('day_from') + getvariable('weekday')) // 7,
                          (getvariable('day_to') - 1 + getvariable('weekday')) // 7 + 1)) AS week)
"""

# Before a purchase in the mini-program, and of their own: a week's seven bytes say on which days.
VISITS = """
CREATE OR REPLACE TEMP TABLE visits AS
SELECT v.*, s.scene, s.promo_position,
       CASE WHEN s.scene IN ('1011', '1301') THEN 'till-' || v.merchant_id || '-' || (1 + byte_of(h, 7) % 4) END
           AS terminal_id
FROM (
    SELECT 'v' || pair || 'n' || j AS visit, TRUE AS bought, merchant_id, user_id, h, g,
           at_s - 420 - byte_of(h, 6) * 10 AS at_s
    FROM (SELECT *, draw('steps', pair || '|' || j) AS g FROM sales WHERE in_app)
    WHERE day >= getvariable('day_from') AND day < getvariable('day_to')
    UNION ALL
    SELECT 'b' || pair || 'd' || day, FALSE, merchant_id, user_id, h, g,
           moment(day, minutes_of_day(byte_of(h, 0), byte_of(h, 1), 7, 22), byte_of(h, 2) % 60)
    FROM (SELECT *, draw('browse', pair || '|' || day) AS h, draw('browsing', pair || '|' || day) AS g
          FROM (SELECT p.pair, p.merchant_id, p.user_id, p.keen, p.birth, p.visits_until, k,
                       w.monday + k AS day, byte_of(p.week_draw, k) AS piece
                FROM (SELECT p.*, w.monday, draw('week', p.pair || '|' || w.week) AS week_draw
                      FROM pairs p JOIN weeks w ON p.birth < w.monday + 7 AND p.visits_until > w.monday
                      WHERE uses_app(p.g, p.adoption)) p,
                     (SELECT CAST(unnest(range(7)) AS INTEGER) AS k) n,
                     LATERAL (SELECT p.monday) w(monday))
          WHERE piece * 100 < keen * pick($weekday, k) AND day >= birth AND day < visits_until
            AND day >= getvariable('day_from') AND day < getvariable('day_to'))
) v JOIN scene_mix s ON s.k = byte_of(h, 5)
"""

# step, event_type, keep in 256 where something was bought, where not, seconds into the visit, page
STEPS: tuple[tuple[int, str, int, int, int, str | None], ...] = (
    (1, "launch", 256, 256, 0, None),
    (2, "page_view", 240, 230, 3, "pages/home"),
    (3, "item_view", 170, 150, 40, "pages/item"),
    (4, "page_view", 70, 90, 90, "pages/offers"),
    (5, "item_view", 60, 50, 140, "pages/item"),
    (6, "share", 5, 5, 200, None),
    (7, "order_submit", 256, 8, 240, None),
)

VISIT_EVENTS = """
SELECT v.at_s + CASE s.step WHEN 1 THEN 0 ELSE s.base_s + byte_of(v.g, s.step) % 30 END AS at_s,
       v.visit || 's' || s.step AS event_id, s.event_type, v.merchant_id,
       CASE WHEN NOT v.bought AND byte_of(v.g, 0) < 6 THEN NULL ELSE v.user_id END AS user_id,
       's' || v.visit AS session_id, v.scene, v.promo_position, s.page,
       CASE WHEN s.page IS NOT NULL
            THEN pick($stay, in16(v.h, 15 - s.step)) * (500 + 4 * byte_of(v.g, s.step)) END AS stay_ms,
       NULL AS message_kind, v.terminal_id
FROM visits v JOIN visit_steps s
  ON byte_of(v.g, s.step - 1) < CASE WHEN v.bought THEN s.keep_bought ELSE s.keep_browsing END
"""

# After a purchase in the mini-program, and most weeks to subscribers.
MESSAGES = """
CREATE OR REPLACE TEMP TABLE messages AS
SELECT 'y' || pair || 'n' || j AS message, draw('message', pair || '|' || j) AS h, merchant_id, user_id,
       at_s + 20 AS at_s, CASE WHEN byte_of(h, 0) < 40 THEN 'order' ELSE 'payment' END AS message_kind
FROM sales
WHERE in_app AND byte_of(h, 6) < 90 AND day >= getvariable('day_from') AND day < getvariable('day_to')
UNION ALL
SELECT 'l' || pair || 'w' || week, h, merchant_id, user_id, at_s, 'subscription'
FROM (SELECT *, moment(monday + byte_of(h, 1) % 7, minutes_of_day(byte_of(h, 2), byte_of(h, 3), 10, 20),
                       byte_of(h, 4) % 60) AS at_s
      FROM (SELECT r.*, w.week, w.monday, draw('letter', r.pair || '|' || w.week) AS h
            FROM relations r JOIN weeks w
              ON r.kind = 'subscription' AND r.from_s < (w.monday + 7) * 86400
             AND (r.until_s IS NULL OR r.until_s > w.monday * 86400))
      WHERE byte_of(h, 0) < 150)
WHERE at_s > from_s AND (until_s IS NULL OR at_s < until_s)
  AND at_s // 86400 >= getvariable('day_from') AND at_s // 86400 < getvariable('day_to')
"""

MESSAGE_EVENTS = """
SELECT at_s, message || 'd' AS event_id, 'message_delivered' AS event_type, merchant_id, user_id,
       NULL AS session_id, NULL AS scene, NULL AS promo_position, NULL AS page, NULL AS stay_ms, message_kind,
       NULL AS terminal_id
FROM messages
UNION ALL
SELECT at_s + 15 + byte_of(h, 5) * 10, message || 'c', 'message_click', merchant_id, user_id,
       NULL, '1014', NULL, NULL, NULL, message_kind, NULL
FROM messages WHERE byte_of(h, 6) < CASE message_kind WHEN 'subscription' THEN 40 ELSE 56 END
"""

# A merchant's weekly content: followers are shown four fifths of it, most of that from Friday on.
EXPOSURES = """
CREATE OR REPLACE TEMP TABLE exposures AS
SELECT *, 'post-' || merchant_id || '-' || week AS content_id,
       CASE WHEN byte_of(c, 0) < 128 THEN 'image_text' WHEN byte_of(c, 0) < 230 THEN 'short_video' ELSE 'live' END
           AS content_type
FROM (SELECT *, draw('content', merchant_id || '|' || week) AS c, draw('reaction', pair || '|' || week) AS g,
             moment(monday + pick([0, 1, 2, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6], byte_of(h, 1) // 16),
                    minutes_of_day(byte_of(h, 2), byte_of(h, 3), 7, 22), byte_of(h, 4) % 60) AS at_s
      FROM (SELECT r.*, w.week, w.monday, draw('exposure', r.pair || '|' || w.week) AS h
            FROM relations r JOIN weeks w
              ON r.kind = 'follow' AND r.from_s < (w.monday + 7) * 86400
             AND (r.until_s IS NULL OR r.until_s > w.monday * 86400))
      WHERE byte_of(h, 0) < 205)
WHERE at_s > from_s AND (until_s IS NULL OR at_s < until_s)
  AND at_s // 86400 >= getvariable('day_from') AND at_s // 86400 < getvariable('day_to')
"""

CONTENT_EVENTS = """
SELECT e.at_s + r.base_s + byte_of(e.h, 5) % 20 AS at_s, 'e' || e.pair || 'w' || e.week || 's' || r.step AS event_id,
       r.event_type, e.merchant_id, e.user_id, e.content_id, e.content_type,
       CASE WHEN r.event_type = 'view' THEN pick($stay, in16(e.h, 12)) * (500 + 4 * byte_of(e.h, 7)) END AS stay_ms,
       CASE WHEN e.content_type = 'live' THEN '1022' ELSE '1020' END AS scene
FROM exposures e JOIN reactions r
  ON r.step = 1 OR (byte_of(e.g, 1) < (SELECT keep FROM reactions WHERE step = 2)
                    AND (r.step = 2 OR byte_of(e.g, r.step - 1) < r.keep)
                    AND (r.event_type <> 'live_enter' OR e.content_type = 'live'))
"""


def create_habits(con: duckdb.DuckDBPyConnection, weekday: int) -> None:
    """Tables that hold for all days: relations and the steps of visits. ``weekday``: the first day's, Monday 0."""
    con.execute("SET VARIABLE weekday = CAST($1 AS INTEGER)", [weekday])
    con.execute(
        "CREATE OR REPLACE MACRO uses_app(g, adoption) AS "
        "adoption > 0 AND CAST((g >> 40) % 1000 AS INTEGER) < 250 + adoption"
    )
    con.execute("CREATE OR REPLACE TABLE relation_kinds(kind VARCHAR, turns_on VARCHAR, turns_off VARCHAR, "
                "permille INTEGER, ends INTEGER, returns INTEGER)")  # fmt: skip
    con.executemany("INSERT INTO relation_kinds VALUES (?, ?, ?, ?, ?, ?)", [list(r) for r in RELATIONS])
    con.execute("CREATE OR REPLACE TABLE visit_steps(step INTEGER, event_type VARCHAR, keep_bought INTEGER, "
                "keep_browsing INTEGER, base_s INTEGER, page VARCHAR)")  # fmt: skip
    con.executemany("INSERT INTO visit_steps VALUES (?, ?, ?, ?, ?, ?)", [list(step) for step in STEPS])
    con.execute(
        "CREATE OR REPLACE TABLE reactions(step INTEGER, event_type VARCHAR, keep INTEGER, base_s INTEGER)"
    )
    con.executemany("INSERT INTO reactions VALUES (?, ?, ?, ?)", [list(reaction) for reaction in REACTIONS])
    con.execute(RELATION_TIMES)


def create_visits(con: duckdb.DuckDBPyConnection) -> None:
    """Working tables of the days at hand, from relations and ``sales``."""
    con.execute(WEEKS)
    con.execute(VISITS, {"weekday": list(curves.WEEKDAY_PERCENT)})
    con.execute(MESSAGES)
    con.execute(EXPOSURES)
