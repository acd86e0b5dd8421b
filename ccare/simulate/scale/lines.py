"""Events of the days at hand as landing lines, with lines that come late, twice, or with a fault.

``lines`` (one row a line): day, late (0 on time, 1 with the day's late file), at_s, event_id, fate (accepted,
duplicate, or the reason that ingest must give), line.
"""

from __future__ import annotations

import duckdb

from ccare.simulate.scale import commerce, curves, visits

_START = "event_start(event_id, event_type, '{clock}', at_utc(at_s), merchant_id, 'simulated')"
_TEXT, _NUMBER = "text_field('{0}', {0})", "number_field('{0}', {0})"


def _line(
    texts: tuple[str, ...], numbers: tuple[str, ...], *, user: bool = True, clock: str = "occurred_at"
) -> str:
    parts = [_START.format(clock=clock)] + (["user_field(user_id)"] if user else [])
    parts += [_TEXT.format(name) for name in texts] + [_NUMBER.format(name) for name in numbers]
    return " || ".join([*parts, "'}'"])


_VISIT_FIELDS = ("session_id", "scene", "promo_position", "page", "message_kind", "terminal_id")
_RELATION_COLUMNS = (
    "NULL AS session_id, NULL AS scene, NULL AS promo_position, 'pages/offers' AS page, NULL AS stay_ms, "
    "NULL AS message_kind, NULL AS terminal_id"
)
_FOLLOW_COLUMNS = "NULL AS content_id, NULL AS content_type, NULL AS stay_ms, '1020' AS scene"
_OF_RELATIONS = """
SELECT at_s, event_id, event_type, merchant_id, user_id, {columns} FROM ({events}) WHERE kind {kind} 'follow'
"""
_STAY: dict[str, object] = {"stay": list(curves.STAY_S)}

# stream -> (query of its events, its line, values that the query wants)
STREAMS: dict[str, tuple[str, str, dict[str, object]]] = {
    "payments": (
        commerce.PAYMENTS,
        _line(
            ("trade_no", "refund_no", "store_id", "terminal_id", "scene", "promo_position", "voucher_code"),
            ("amount_fen", "merchant_discount_fen", "platform_discount_fen", "fee_fen"),
        ),
        {},
    ),
    "mini_program": (
        " UNION ALL ".join(
            (
                visits.VISIT_EVENTS,
                visits.MESSAGE_EVENTS,
                _OF_RELATIONS.format(columns=_RELATION_COLUMNS, events=visits.RELATION_EVENTS, kind="<>"),
            )
        ),
        _line(_VISIT_FIELDS, ("stay_ms",)),
        _STAY,
    ),
    "life_account": (
        " UNION ALL ".join(
            (
                visits.CONTENT_EVENTS,
                _OF_RELATIONS.format(columns=_FOLLOW_COLUMNS, events=visits.RELATION_EVENTS, kind="="),
            )
        ),
        _line(("content_id", "content_type", "scene"), ("stay_ms",)),
        _STAY,
    ),
    "vouchers": (
        commerce.VOUCHERS,
        _line(("voucher_code", "activity_id", "trade_no", "scene"), ()),
        {"offer_days": commerce.OFFER_DAYS},
    ),
    "traffic": (
        commerce.TRAFFIC,
        _line(
            ("slot", "source", "arm", "grant_id"), ("impressions", "clicks"), user=False, clock="hour_start"
        ),
        {},
    ),
}

LAGS = (*(1,) * 12, *(2,) * 10, *(3,) * 6, 5, 5, 9, 33)
"""Days by which a day's late file comes late: one a stream and day; 33 days are beyond the late window."""
REDELIVERED_WITHIN = 9
"""A line is delivered again with the late file only where ingest still looks for its number then."""

BAD = {
    "malformed_json": "left(renamed, length(renamed) - 3)",
    "unknown_event_type": """replace(renamed, '"event_type":"' || event_type, '"event_type":"teleport')""",
    "missing_merchant_id": r"""regexp_replace(renamed, '"merchant_id":"[^"]*",', '')""",
    "unknown_merchant": r"""regexp_replace(renamed, '"merchant_id":"', '"merchant_id":"nobody-')""",
    "bad_origin": """replace(renamed, '"origin":"simulated"', '"origin":"made_up"')""",
}
"""Reason -> what is done to a sound line, under a number of its own (``renamed``), to be refused for it alone."""

_SOUND = """
CREATE OR REPLACE TEMP TABLE sound AS
SELECT day, at_s, event_id, event_type, line, f,
       CASE WHEN word_of(f, 0) < $late THEN 1 ELSE 0 END AS late
FROM (SELECT CAST(at_s // 86400 AS INTEGER) AS day, at_s, event_id, event_type, {line} AS line,
             draw('line', event_id) AS f
      FROM ({query}))
"""

# Lags stand beside each day: whether a copy may come with the late file depends on how late that is.
_LINES = """
CREATE OR REPLACE TEMP TABLE lines AS
SELECT day, late, at_s, event_id, 'accepted' AS fate, line FROM sound
UNION ALL
SELECT s.day, CASE WHEN byte_of(f, 6) < 128 AND l.lag <= $within THEN 1 ELSE 0 END, at_s, event_id, 'duplicate',
       line
FROM sound s JOIN lags l USING (day) WHERE late = 0 AND word_of(f, 1) < $duplicate
UNION ALL
SELECT day, late, at_s, 'x' || event_id, kind,
       CASE kind {bad} END
FROM (SELECT *, replace(line, '"event_id":"', '"event_id":"x') AS renamed,
             pick($kinds, byte_of(f, 7) % {count}) AS kind
      FROM sound WHERE word_of(f, 2) < $bad)
"""


def create_lines(
    con: duckdb.DuckDBPyConnection, stream: str, shares: tuple[int, int, int], lags: dict[int, int]
) -> None:
    """Table lines of one stream. ``shares``: late, duplicate, bad, in 65,536; ``lags``: day -> its late file's lag."""
    query, line, values = STREAMS[stream]
    late, duplicate, bad = shares if stream != "traffic" else (0, 0, 0)
    con.execute(_SOUND.format(query=query, line=line), values | {"late": late})
    con.execute("CREATE OR REPLACE TEMP TABLE lags(day INTEGER, lag INTEGER)")
    con.executemany("INSERT INTO lags VALUES (?, ?)", [list(item) for item in lags.items()])
    cases = " ".join(f"WHEN '{kind}' THEN {change}" for kind, change in BAD.items())
    con.execute(
        _LINES.format(bad=cases, count=len(BAD)),
        {"duplicate": duplicate, "bad": bad, "within": REDELIVERED_WITHIN, "kinds": list(BAD)},
    )
    con.execute("DROP TABLE sound")


def fates(con: duckdb.DuckDBPyConnection) -> dict[tuple[int, int], dict[str, int]]:
    """(day, late) -> fate -> lines: what each file holds."""
    told: dict[tuple[int, int], dict[str, int]] = {}
    rows = con.execute("SELECT day, late, fate, count(*) FROM lines GROUP BY ALL ORDER BY ALL").fetchall()
    for day, late, fate, count in rows:
        told.setdefault((day, late), {})[fate] = count
    return told


def copy_lines(con: duckdb.DuckDBPyConnection, day: int, late: int, path: str) -> None:
    """Write one file, ordered by time, number and fate, one line a row, byte for byte."""
    con.execute(
        "COPY (SELECT line FROM lines WHERE day = $1 AND late = $2 ORDER BY at_s, event_id, fate) "
        "TO $3 (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')",
        [day, late, path],
    )
