"""Life-account (content account) activity: follows, exposures of weekly content, and what viewers do with it.

A share of buyers follows a merchant within days of the first purchase; some unfollow, a few come back. Each
merchant publishes one content a week. Followers are exposed to about a third of it while they follow, other
buyers now and then around a purchase; views, likes, comments, shares and clicks hang on the exposure.
"""

from __future__ import annotations

import duckdb

from ccare.simulate.draws import drop_tables, thinning_limit

MAX_ROWS = 600_000
TARGET_ROWS = 570_000

FOLLOWS = """
CREATE OR REPLACE TABLE follows AS
SELECT merchant_id, user_id, f AS h,
       first_at + to_seconds(CAST(300 + byte_of(f, 0)
           + 86400 * greatest(0, byte_of(f, 1) // 32 - 3) AS BIGINT)) AS starts_at,
       CASE WHEN byte_of(f, 2) < 40 THEN 10 + byte_of(f, 3) // 2 END AS held_days,
       byte_of(f, 4) < 40 AS returns, 5 + byte_of(f, 5) // 4 AS away_days, word_of(f, 3) AS thin
FROM (SELECT *, draw('follow', merchant_id || '|' || user_id) AS f FROM pairs)
WHERE byte_of(h_when, 4) * 8000 < following * affinity
"""

FOLLOW_EVENTS = """
CREATE OR REPLACE TABLE sim_life_account AS
SELECT 'sf-' || hex16(h) || '-' || step AS event_id, event_type, at_utc, merchant_id, user_id,
       CAST(NULL AS VARCHAR) AS content_id, CAST(NULL AS VARCHAR) AS content_type,
       CAST(NULL AS INTEGER) AS stay_ms, '1020' AS scene, thin
FROM (
    SELECT *, 1 AS step, 'follow' AS event_type, starts_at AS at_utc FROM follows
    UNION ALL SELECT *, 2, 'unfollow', starts_at + to_days(held_days) FROM follows WHERE held_days IS NOT NULL
    UNION ALL SELECT *, 3, 'follow', starts_at + to_days(held_days + away_days) FROM follows
              WHERE held_days IS NOT NULL AND returns
)
WHERE local_date(at_utc) <= getvariable('last_day')
"""

# Followers see about a third of a merchant's weekly content; the list draws a
# weekday, Monday 0, with more weight from Friday on.
EXPOSURES = """
CREATE OR REPLACE TABLE exposures AS
SELECT h, merchant_id, user_id,
       at_local(monday + list_extract([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4,
                                       5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6], 1 + byte_of(h, 1) // 8),
                minutes_of_day(byte_of(h, 2), byte_of(h, 3), 7, 24), byte_of(h, 4) % 60) AS at_utc
FROM (SELECT f.merchant_id, f.user_id, w.monday,
             draw('exposure', f.merchant_id || '|' || f.user_id || '|' || w.monday) AS h
      FROM follows f JOIN weeks w
        ON w.monday > local_date(f.starts_at)
       AND (f.held_days IS NULL OR w.monday + 6 < local_date(f.starts_at) + f.held_days))
WHERE byte_of(h, 0) < 90
UNION ALL
SELECT draw('reach', t.trade_no || '|' || t.merchant_id) AS h, t.merchant_id, t.user_id,
       t.at_utc - to_seconds(CAST(600 + word_of(h, 1) * 8 AS BIGINT))
FROM trades t JOIN merchant_traits m USING (merchant_id)
WHERE byte_of(h, 0) * 5000 < m.following * 256
"""

EXPOSURE_DRAWS = """
CREATE OR REPLACE TABLE exposure_draws AS
SELECT e.h, e.merchant_id, e.user_id, e.at_utc, draw('reaction', CAST(e.h AS VARCHAR)) AS g,
       concat_ws('-', 'post', e.merchant_id, e.week) AS content_id,
       CASE WHEN kind < 128 THEN 'image_text' WHEN kind < 230 THEN 'short_video' ELSE 'live' END
           AS content_type
FROM (SELECT x.*, CAST(date_trunc('week', local_date(x.at_utc)) AS DATE) AS week,
             byte_of(draw('content', x.merchant_id || '|' || week), 0) AS kind FROM exposures x) e
JOIN merchant_traits m USING (merchant_id)
WHERE local_date(e.at_utc) BETWEEN m.first_date AND getvariable('last_day')
"""

# step, event_type, keep out of 256 (of exposures for view, of views for the rest), seconds after the exposure
REACTIONS: tuple[tuple[int, str, int, int], ...] = (
    (1, "expose", 256, 0),
    (2, "view", 90, 2),
    (3, "like", 26, 30),
    (4, "comment", 6, 60),
    (5, "share", 5, 70),
    (6, "voucher_click", 9, 45),
    (7, "mini_program_click", 18, 50),
    (8, "live_enter", 120, 4),
)

REACTION_EVENTS = """
INSERT INTO sim_life_account BY NAME
SELECT 'se-' || hex16(e.h) || '-' || r.step AS event_id, r.event_type,
       e.at_utc + to_seconds(CAST(r.base_s + byte_of(e.h, 5) % 20 AS BIGINT)) AS at_utc,
       e.merchant_id, e.user_id, e.content_id, e.content_type,
       CASE WHEN r.event_type = 'view' THEN 800 + byte_of(e.h, 6) * byte_of(e.h, 6) END AS stay_ms,
       CASE WHEN e.content_type = 'live' THEN '1022' ELSE '1020' END AS scene, word_of(e.h, 3) AS thin
FROM exposure_draws e JOIN reactions r
  ON r.step = 1 OR (byte_of(e.g, 1) < (SELECT keep FROM reactions WHERE step = 2)
                    AND (r.step = 2 OR byte_of(e.g, r.step - 1) < r.keep)
                    AND (r.event_type <> 'live_enter' OR e.content_type = 'live'))
"""


def create(con: duckdb.DuckDBPyConnection) -> None:
    """Table sim_life_account: one row an event, at most MAX_ROWS."""
    con.execute(
        "CREATE OR REPLACE TABLE weeks AS SELECT CAST(unnest(range("
        "(SELECT date_trunc('week', min(business_date)) FROM trades), "
        "CAST(getvariable('last_day') AS TIMESTAMP) + INTERVAL 1 DAY, INTERVAL 7 DAY)) AS DATE) AS monday"
    )
    con.execute(
        "CREATE OR REPLACE TABLE reactions(step INTEGER, event_type VARCHAR, keep INTEGER, base_s INTEGER)"
    )
    con.executemany("INSERT INTO reactions VALUES (?, ?, ?, ?)", [list(reaction) for reaction in REACTIONS])
    for statement in (FOLLOWS, FOLLOW_EVENTS, EXPOSURES, EXPOSURE_DRAWS, REACTION_EVENTS):
        con.execute(statement)
    row = con.execute("SELECT count(*) FROM sim_life_account").fetchone()
    limit = thinning_limit(int(row[0]) if row else 0, TARGET_ROWS)
    con.execute("DELETE FROM sim_life_account WHERE thin >= $1", [limit])
    drop_tables(con, "follows", "exposures", "exposure_draws")
