"""DuckDB macros for local time in one IANA zone, without DuckDB's ICU extension.

Offsets come from ``zoneinfo``, the zone data every other part of the product uses, so one instant has the
same business date everywhere.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb


def create_zone_macros(
    con: duckdb.DuckDBPyConnection, zone: str, first_utc: datetime, last_utc: datetime
) -> None:
    """Create the macros, right for UTC instants (TIMESTAMP without zone) in [first_utc, last_utc].

    ``local_time(utc)``: wall-clock TIMESTAMP. ``utc_time(local)``: its inverse away from the switching hours.
    ``local_date(utc)``: DATE. ``rfc3339(utc)``: local time with its offset, whole seconds.
    """
    offsets = _offsets(zone, first_utc, last_utc)
    seconds = _case([(until, str(offset)) for until, offset in offsets])
    texts = _case([(until, f"'{_offset_text(offset)}'") for until, offset in offsets])
    standard = offsets[0][1]
    con.execute(f"CREATE OR REPLACE MACRO zone_offset_seconds(utc) AS {seconds}")
    con.execute(f"CREATE OR REPLACE MACRO zone_offset_text(utc) AS {texts}")
    con.execute("CREATE OR REPLACE MACRO local_time(utc) AS utc + to_seconds(zone_offset_seconds(utc))")
    con.execute("CREATE OR REPLACE MACRO local_date(utc) AS CAST(local_time(utc) AS DATE)")
    con.execute(
        "CREATE OR REPLACE MACRO utc_time(local) AS "
        f"local - to_seconds(zone_offset_seconds(local - to_seconds({standard})))"
    )
    con.execute(
        "CREATE OR REPLACE MACRO rfc3339(utc) AS "
        "strftime(local_time(utc), '%Y-%m-%dT%H:%M:%S') || zone_offset_text(utc)"
    )


def _offsets(zone: str, first_utc: datetime, last_utc: datetime) -> list[tuple[datetime | None, int]]:
    """(valid until, UTC offset in seconds), in time order; the last one has no end."""
    info = ZoneInfo(zone)
    found: list[tuple[datetime | None, int]] = []
    instant = first_utc.replace(tzinfo=UTC, minute=0, second=0, microsecond=0)
    offset = _offset_seconds(instant, info)
    while instant <= last_utc.replace(tzinfo=UTC):
        instant += timedelta(minutes=15)  # no zone of today switches off the quarter hour
        changed = _offset_seconds(instant, info)
        if changed != offset:
            found.append((instant.replace(tzinfo=None), offset))
            offset = changed
    return [*found, (None, offset)]


def _offset_seconds(instant: datetime, info: ZoneInfo) -> int:
    offset = instant.astimezone(info).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _case(branches: list[tuple[datetime | None, str]]) -> str:
    whens = [f"WHEN utc < TIMESTAMP '{until}' THEN {value}" for until, value in branches if until is not None]
    last = branches[-1][1]
    return f"CASE {' '.join(whens)} ELSE {last} END" if whens else last


def _offset_text(seconds: int) -> str:
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
