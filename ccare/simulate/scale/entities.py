"""Who takes part: merchants and how they change, providers, solutions and their adoption, enrolments, staff.

Each is a query of day (-1 and earlier: delivered on the first day) and line.
"""

from __future__ import annotations

# One in twelve moves to another city tier in the course of the simulation: a row of its own from that day on.
_MERCHANTS = """
SELECT valid_from AS day, merchant_id AS n,
       '{"merchant_id":"' || merchant_id || '","origin":"simulated","name":"Simulated shop ' || m
       || '","industry":"' || pick($industries, byte_of(h, 3) % len($industries))
       || '","city_tier":"' || tier || '","own_brand":' || CASE WHEN byte_of(h, 7) < 60 THEN 'true' ELSE 'false' END
       || text_field('service_provider_id', 'isv' || provider)
       || text_field('mini_program_id', CASE WHEN adoption > 0 THEN 'app-' || merchant_id END)
       || ',"joined_on":"' || date_text(joined) || '","valid_from":"' || date_text(valid_from) || '"}' AS line
FROM (SELECT *, joined AS valid_from, 1 + byte_of(h, 4) % 4 AS tier FROM merchants
      UNION ALL
      SELECT * EXCLUDE (g), CAST(1 + word_of(g, 1) % $days AS INTEGER), 1 + (byte_of(h, 4) + 1) % 4
      FROM (SELECT *, draw('moves', m) AS g FROM merchants) WHERE byte_of(g, 0) < 21)
"""

_PROVIDERS = """
SELECT -1 AS day, 'isv' || p AS n,
       '{"service_provider_id":"isv' || p || '","origin":"simulated","name":"Simulated provider ' || p
       || '","joined_on":"' || date_text(-word_of(draw('joined', p), 0) % 700 - 100) || '"}' AS line
FROM (SELECT unnest(range($providers)) AS p)
"""

_SOLUTIONS = """
SELECT -1 AS day, 'sol' || p AS n,
       '{"solution_id":"sol' || p || '","origin":"simulated","service_provider_id":"isv' || p
       || '","name":"Simulated solution ' || p || '"}' AS line
FROM (SELECT unnest(range($providers)) AS p)
"""

_ADOPTIONS = """
SELECT day, merchant_id AS n,
       '{"solution_id":"sol' || provider || '","origin":"simulated","merchant_id":"' || merchant_id
       || '","adopted_on":"' || date_text(day) || '"}' AS line
FROM (SELECT merchant_id, provider, CAST(word_of(g, 1) % (2 * $days) AS INTEGER) - $days AS day
      FROM (SELECT *, draw('adopts', m) AS g FROM merchants) WHERE provider IS NOT NULL AND byte_of(g, 0) < 90)
"""

_ENROLMENTS = """
SELECT -1 AS day, party AS n,
       '{"programme":"' || programme || '","origin":"simulated","party":"' || party || '","from":"'
       || date_text(-word_of(draw('enrols', party), 0) % 90 - 1) || '"}' AS line
FROM (SELECT 'fanxing' AS programme, merchant_id AS party FROM merchants WHERE byte_of(h, 5) < 200
      UNION ALL SELECT 'chengfeng', 'isv' || p FROM (SELECT unnest(range($providers)) AS p))
"""

# One pair in 500 is somebody who works there: made known on the first day, or when the pair first buys.
_STAFF = """
SELECT greatest(birth, -1) AS day, CAST(pair AS VARCHAR) AS n,
       '{"merchant_id":"' || merchant_id || '","origin":"simulated","user_id":"' || user_id
       || '","valid_from":"' || date_text(birth) || '"}' AS line
FROM pairs WHERE share(draw('staff', pair), 0, 2)
"""

ENTITIES = {
    "merchants": _MERCHANTS,
    "service_providers": _PROVIDERS,
    "solutions": _SOLUTIONS,
    "solution_adoptions": _ADOPTIONS,
    "enrolments": _ENROLMENTS,
    "staff": _STAFF,
}
