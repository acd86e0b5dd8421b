"""One small simulated road of redemption for the demo: the best seller turns points into impressions.

Requests and the traffic that delivers them, origin simulated: one grant is delivered in full, one in part, one
request is below the minimum. What is asked is safely covered: points of three days at the least multiplier.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from ccare.ledger.arms import TREATED, arm
from ccare.ledger.redemption_terms import RedemptionTerms
from ccare.simulate.files import write_lines

POINTS = 100
LEAST_FEN = 4 * POINTS * 1_000
"""Sales of the first three days that make 2 x POINTS certain: a point is 1,000 fen, the least multiplier a half."""
ASKED_AFTER = 5
"""Days after go-live on which it is asked: by then the demo's points of three days are usable."""
_FILE = "simulated-redemption.jsonl"
_PER_HOUR = 125
_FIRST_HOUR = 8
_BEST = """
select merchant_id from read_json($files, format = 'newline_delimited', ignore_errors = true, columns = {
    merchant_id: 'varchar', event_type: 'varchar', amount_fen: 'bigint', origin: 'varchar'})
where event_type = 'paid' and origin = 'real' and merchant_id <> 'unknown'
group by merchant_id having sum(amount_fen) >= $least order by sum(amount_fen) desc, merchant_id limit 1
"""


def write_redemptions(landing: Path, go_live: date, timezone: str, terms: RedemptionTerms) -> str | None:
    """Write the requests and their traffic beside the landing files of the go-live week.

    Returns the merchant, None where nobody sold enough. The same landing gives the same bytes.
    """
    days = [go_live + timedelta(days=n) for n in (1, 2, 3)]
    files = [str(path) for day in days for path in sorted((landing / "payments" / str(day)).glob("*.jsonl"))]
    found = (
        duckdb.connect().execute(_BEST, {"files": files, "least": LEAST_FEN}).fetchone() if files else None
    )
    if found is None:
        return None
    merchant, asked = str(found[0]), go_live + timedelta(days=ASKED_AFTER)
    requests = [
        _request(f"sim-redeem-{n}", merchant, slot, points, _at(asked, 10 + n, timezone))
        for n, (slot, points) in enumerate(
            (("search_box", POINTS), ("app_centre", POINTS), ("search_box", 40)), 1
        )
    ]
    hours = [_at(asked + timedelta(days=1), _FIRST_HOUR + n, timezone) for n in range(14)]
    traffic = list(_traffic("sim-redeem-1", merchant, "search_box", hours, terms))
    traffic += _traffic("sim-redeem-2", merchant, "app_centre", hours[:3], terms)
    write_lines(landing / "redemptions" / str(asked + timedelta(days=1)) / _FILE, requests)
    write_lines(landing / "traffic" / str(asked + timedelta(days=2)) / _FILE, traffic)
    return merchant


def _at(day: date, hour: int, timezone: str) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(timezone)).astimezone(UTC)


def _request(number: str, merchant: str, slot: str, points: int, at: datetime) -> dict[str, Any]:
    row = {"request_id": number, "merchant_id": merchant, "requested_at": at.isoformat(), "slot": slot}
    return {**row, "points": points, "origin": "simulated"}


def _traffic(
    grant: str, merchant: str, slot: str, hours: Iterable[datetime], terms: RedemptionTerms
) -> Iterable[dict[str, Any]]:
    for number, hour in enumerate(hours):
        drawn = arm(terms, merchant, slot, hour)
        row = {"event_id": f"{grant}-{number}", "event_type": "delivered", "hour_start": hour.isoformat()}
        row |= {"merchant_id": merchant, "slot": slot, "source": "points", "arm": drawn, "grant_id": grant}
        clicks = _PER_HOUR // 25 if drawn == TREATED else 0
        yield {**row, "impressions": _PER_HOUR, "clicks": clicks, "origin": "simulated"}
