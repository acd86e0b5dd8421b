"""The hours of open grants with their arms, as a platform needs them before it serves: which to serve, which not.

Beside each stands the arm that traffic told of it so far, where it told one: the two differ where somebody did not
keep to the draw. Whom a service provider's impressions will serve is not known before, so those have no hours here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ccare.errors import InputMissing
from ccare.events.slots import load_slots
from ccare.growth.snapshot import connect
from ccare.ledger.arms import TREATED, arm
from ccare.ledger.policy import load_ledger
from ccare.ledger.redemption_terms import RedemptionTerms
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

Row = dict[str, Any]
_HOUR = timedelta(hours=1)
HOUR_COLUMNS = (
    *("grant_id", "merchant_id", "slot", "hour_start", "arm", "seed", "holdout_percent"),
    *("told", "impressions"),
)
_BOUGHT = """
select request_id, merchant_id, slot, starts_on, ends_on, slots_version from ledger_requests
where status = 'reserved' order by all
"""
_GRANTED = """
select lot_id, merchant_id, programme, effective_date + 1, expires_on, booked_date from ledger_lots
where asset = 'IMPRESSION' and merchant_id is not null and pending + active > 0 order by all
"""
_TOLD = """
select grant_id, merchant_id, slot, date_trunc('hour', occurred_at) as hour, list(distinct arm order by arm),
    sum(impressions)::bigint
from core_traffic_hours where list_contains($grants::varchar[], grant_id) group by all
"""


@dataclass(frozen=True)
class Grant:
    """Impressions for a merchant in a slot from ``first`` through ``last``, with the terms that draw its hours."""

    grant_id: str
    merchant_id: str
    slot: str
    first: date
    last: date
    terms: RedemptionTerms


def grant_hours(settings: Settings, row: Published, grant_id: str | None, day: date | None) -> list[Row]:
    """Grain: hour of an open grant (``grant_id`` alone, ``day`` alone where given), in order.

    Keys: grant_id, merchant_id, slot, hour_start (UTC), arm (treated, holdout), seed, holdout_percent, told (the arm
    that was delivered, ``both``, null where nothing was) and impressions (delivered). InputMissing where the grant is
    not open.
    """
    con = connect(settings.lake, row)
    slots = load_slots(settings.conf, row.business_date)
    places = {p.name: p.slot for p in load_ledger(settings.conf).for_day(row.business_date).programmes}
    bought = con.execute(_BOUGHT).fetchall()
    granted = con.execute(_GRANTED).fetchall()
    grants = [
        Grant(request_id, merchant, slot, first, last, slots.terms_of(version))
        for request_id, merchant, slot, first, last, version in bought
    ]
    grants += [
        Grant(lot_id, merchant, slot, first, last, slots.terms_on(booked))
        for lot_id, merchant, programme, first, last, booked in granted
        if (slot := places.get(programme))
    ]
    grants = [grant for grant in grants if grant_id in (None, grant.grant_id)]
    if grant_id is not None and not grants:
        raise InputMissing(
            f"There is no open grant {grant_id} of a merchant.",
            remedy="ledger_requests says what became of each request, ledger_lots what is left of each lot.",
        )
    told = con.execute(_TOLD, {"grants": [grant.grant_id for grant in grants]}).fetchall()
    served = {(*key, _text(hour)): (arms, units) for *key, hour, arms, units in told}
    hours = [each for grant in grants for each in hours_of(grant, settings.timezone, day)]
    for each in hours:
        arms, units = served.get(
            tuple(each[n] for n in ("grant_id", "merchant_id", "slot", "hour_start")), ([], 0)
        )
        each |= {"told": "both" if len(arms) > 1 else next(iter(arms), None), "impressions": units}
    return hours


def hours_of(grant: Grant, timezone: str, day: date | None = None) -> Iterator[Row]:
    """Every hour of its business days, or of ``day`` alone, with the arm that is drawn for it."""
    first, last = max(grant.first, day or grant.first), min(grant.last, day or grant.last)
    at, end = _midnight(first, timezone), _midnight(last + timedelta(days=1), timezone)
    names = {"grant_id": grant.grant_id, "merchant_id": grant.merchant_id, "slot": grant.slot}
    drawn_by = {"seed": grant.terms.seed, "holdout_percent": grant.terms.holdout_percent}
    while at < end:
        drawn = arm(grant.terms, grant.merchant_id, grant.slot, at)
        yield names | {"hour_start": _text(at), "arm": drawn} | drawn_by
        at += _HOUR


def against_the_draw(hours: list[Row]) -> list[Row]:
    """Hours told with another arm than their own; those of them that are drawn as withheld are not charged."""
    return [each for each in hours if each["told"] not in (None, each["arm"])]


def lines(hours: list[Row]) -> list[str]:
    """What the hours come to, in a sentence or two."""
    withheld = sum(each["arm"] != TREATED for each in hours)
    grants = len({each["grant_id"] for each in hours})
    said = [f"{len(hours)} hours of {grants} open grant(s), {withheld} of them withheld."]
    wrong = against_the_draw(hours)
    if wrong:
        served = [each for each in wrong if each["arm"] != TREATED]
        units = sum(each["impressions"] for each in served)
        said.append(
            f"warning: {len(wrong)} hour(s) were told against the draw; {len(served)} of them should have been "
            f"withheld, so their {units} impressions are not charged, and lifts that count them say less."
        )
    return said


def _midnight(day: date, timezone: str) -> datetime:
    """The hour in UTC in which the business day begins."""
    return datetime.combine(day, time(), ZoneInfo(timezone)).astimezone(UTC).replace(minute=0)


def _text(hour: datetime) -> str:
    return hour.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
