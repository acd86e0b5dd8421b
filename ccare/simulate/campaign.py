"""One small simulated campaign for the demo: who enrols, and who takes a card before coming to shop.

Enrolments and vouchers received, origin simulated. Places run out: of eleven merchants that enrol, the campaign's terms
leave some out by their number and one by its industry, and one merchant hands out cards without being enrolled.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from ccare.ledger.programmes import Programme
from ccare.simulate.files import write_lines

_FILE = "simulated-campaign.jsonl"
_CARDS = 20
"""Cards that one merchant hands out at most."""
_SHOPPED = 4, 5, 6
"""Days after go-live whose buyers took a card the day before."""
_SELLERS = """
with records as (
    select merchant_id, arg_max(industry, valid_from) as industry
    from read_json($merchants, format = 'newline_delimited', ignore_errors = true, columns = {
        merchant_id: 'varchar', industry: 'varchar', valid_from: 'varchar'}) group by merchant_id
), buyers as (
    select merchant_id, count(distinct user_id) as buyers
    from read_json($payments, format = 'newline_delimited', ignore_errors = true, columns = {
        merchant_id: 'varchar', user_id: 'varchar', event_type: 'varchar', origin: 'varchar'})
    where event_type = 'paid' and origin = 'real' and user_id is not null and merchant_id <> 'unknown'
    group by merchant_id
), ranked as (
    select merchant_id, dense_rank() over (order by sellers desc, industry) as trade,
        row_number() over (partition by industry order by buyers desc, merchant_id) as place
    from (select *, count(*) over (partition by industry) as sellers from buyers join records using (merchant_id))
)
select trade, place, merchant_id from ranked where trade <= 3 and place <= 9 order by trade, place
"""
_BUYERS = """
select distinct merchant_id, user_id
from read_json($files, format = 'newline_delimited', ignore_errors = true, columns = {
    merchant_id: 'varchar', user_id: 'varchar', event_type: 'varchar', origin: 'varchar'})
where event_type = 'paid' and origin = 'real' and user_id is not null
    and list_contains($merchants, merchant_id)
order by merchant_id, user_id
"""


def write_campaign(
    landing: Path, go_live: date, timezone: str, campaign: Programme, promotion: str | None = None
) -> int:
    """Write the enrolments in ``campaign`` and its cards beside the landing files of the go-live week.

    The merchants enrol in ``promotion``, the programme of daily promotion, too.

    Returns the cards; 0 where too few merchants sold. The same landing gives the same bytes.
    """
    days = [go_live + timedelta(days=n) for n in _SHOPPED]
    bought = {day: _files(landing, "payments", day + timedelta(days=1)) for day in days}
    merchants = [str(p) for p in sorted((landing / "merchants").rglob("*.jsonl"))]
    if not merchants or not all(bought.values()):
        return 0
    with duckdb.connect() as con:
        files = [file for each in bought.values() for file in each]
        found = con.execute(_SELLERS, {"merchants": merchants, "payments": files}).fetchall()
        sellers = {(trade, place): merchant for trade, place, merchant in found}
        enrolled = [(sellers.get(at), n) for at, n in _enrolments()]
        outsider = sellers.get((1, 9))
        if outsider is None or any(merchant is None for merchant, _ in enrolled):
            return 0
        about = {"programme": campaign.name, "origin": "simulated"}
        rows = [
            about | {"party": merchant, "from": str(go_live + timedelta(days=n))} for merchant, n in enrolled
        ]
        if promotion:
            rows += [row | {"programme": promotion} for row in rows]
        write_lines(landing / "enrolments" / str(go_live + timedelta(days=1)) / _FILE, rows)
        handing = sorted({str(merchant) for merchant, _ in enrolled} | {outsider})
        activity, cards = _activity(campaign), 0
        for day, paths in bought.items():
            buyers = con.execute(_BUYERS, {"files": paths, "merchants": handing}).fetchall()
            taken = list(_cards(buyers, day - timedelta(days=1), activity, timezone))
            write_lines(landing / "vouchers" / str(day) / _FILE, taken)
            cards += len(taken)
    return cards


def _enrolments() -> Iterable[tuple[tuple[int, int], int]]:
    """(trade, place) and the day after go-live that it enrols from: five, two, one of the third trade, three more."""
    yield from (((1, place), 0) for place in range(1, 6))
    yield from (((2, place), 1) for place in (1, 2))
    yield (3, 1), 2
    yield from (((1, place), 3) for place in range(6, 9))


def _activity(campaign: Programme) -> str:
    return next(a for rule in campaign.rules if rule.kind == "voucher_return" for a in rule.activities)


def _cards(
    buyers: Iterable[tuple[str, str]], day: date, activity: str, timezone: str
) -> Iterable[dict[str, Any]]:
    """One card a buyer and day, taken in the morning; at most so many a merchant."""
    handed: dict[str, int] = {}
    for merchant, user in buyers:
        handed[merchant] = handed.get(merchant, 0) + 1
        if handed[merchant] > _CARDS:
            continue
        number = f"sim-card-{day}-{merchant}-{handed[merchant]}"
        at = datetime(day.year, day.month, day.day, 9, handed[merchant], tzinfo=ZoneInfo(timezone))
        row = {"event_id": number, "event_type": "received", "occurred_at": at.astimezone(UTC).isoformat()}
        row |= {"merchant_id": merchant, "user_id": user, "voucher_code": number, "activity_id": activity}
        yield row | {"origin": "simulated"}


def _files(landing: Path, stream: str, delivered: date) -> list[str]:
    return [str(path) for path in sorted((landing / stream / str(delivered)).glob("*.jsonl"))]
