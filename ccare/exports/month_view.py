"""A card's points of the month and its traffic, out of the rows of the merchant's statement."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from ccare.exports import privacy, words
from ccare.exports.card_data import CardData
from ccare.exports.words import Words, same

REQUESTS = 3


@dataclass(frozen=True)
class Month:
    """Points since the first of the month. ``gone``: expired, taken back, paid for debt or reserved for traffic."""

    first: date
    earned: int
    usable: int
    gone: int
    expiring: int
    by_kind: tuple[tuple[Words, str, int], ...]
    by_day: tuple[tuple[date, int, int], ...]


@dataclass(frozen=True)
class SlotRow:
    """Traffic of one slot in 28 days."""

    name: Words
    free: str
    points: str
    paid: str
    clicks: str
    orders: Words


@dataclass(frozen=True)
class NotGrantedRow:
    """What a programme did not grant for a date, in the unit of its asset."""

    about: date
    programme: Words
    amount: Words
    reason: Words


def month(data: CardData) -> Month:
    """Points moved since the first of the as-of day's month, by kind and by day."""
    first = data.as_of_date.replace(day=1)
    rows = [r for r in data.statement.to_pylist() if r["asset"] == "POINT"]
    moved = [r for r in rows if r["section"] == "transfer" and r["day"] >= first]
    days = {first + timedelta(days=n): [0, 0] for n in range((data.as_of_date - first).days + 1)}
    kinds: dict[tuple[str, str], int] = {}
    for r in moved:
        # An activation moves points from waiting to usable: nothing comes in or goes out.
        change = r["pending"] + r["active"]
        days[r["day"]][change < 0] += abs(change)
        kinds[r["what"], r["programme"] or ""] = kinds.get((r["what"], r["programme"] or ""), 0) + r["amount"]
    return Month(
        first=first,
        earned=_sum(moved, "earn"),
        usable=_sum(moved, "activate"),
        gone=sum(gone for _, gone in days.values()),
        expiring=sum(r["active"] + r["pending"] for r in rows if r["section"] == "expiring"),
        by_kind=tuple(
            (words.CODE.get(code, same(code)), programme, units)
            for (code, programme), units in sorted(kinds.items())
        ),
        by_day=tuple((day, came, gone) for day, (came, gone) in days.items()),
    )


def slots(data: CardData) -> tuple[tuple[SlotRow, ...], dict[str, str]]:
    """Slots with traffic or orders, and the sums of free (daily promotion), points and paid impressions."""
    by_slot: dict[str, dict[str, Any]] = {}
    totals = {"free": 0, "points": 0, "paid": 0, "clicks": 0}
    for r in data.statement.to_pylist():
        if r["section"] == "traffic":
            slot = by_slot.setdefault(r["slot"], {})
            slot[r["source"]] = slot.get(r["source"], 0) + r["impressions"]
            slot["clicks"] = slot.get("clicks", 0) + r["clicks"]
            totals[r["source"]] += r["impressions"]
            totals["clicks"] += r["clicks"]
        elif r["section"] == "orders":
            by_slot.setdefault(r["slot"], {})["orders"] = r["orders"]
    rows = tuple(
        SlotRow(
            name=words.SLOT.get(name, same(name)),
            **{
                source: f"{slot[source]:,}" if slot.get(source) else "–"
                for source in ("free", "points", "paid")
            },
            clicks=f"{slot.get('clicks', 0):,}",
            orders=words.WITHHELD if slot.get("orders") == "withheld" else same(slot.get("orders", "–")),
        )
        for name, slot in by_slot.items()
    )
    return rows, {name: f"{units:,}" for name, units in totals.items()}


def requests(data: CardData) -> list[tuple[date, Words, int, Words, Words]]:
    """The last requests to spend points: day, slot, points, what became of them, and why."""
    rows = [r for r in data.statement.to_pylist() if r["section"] == "request"]
    rows.sort(key=lambda r: (r["day"], r["reference"]), reverse=True)
    return [
        (
            r["day"],
            words.SLOT.get(r["slot"], same(r["slot"])),
            r["amount"],
            words.REQUEST.get(r["what"], same(r["what"])),
            words.REFUSAL.get(r["reason"], same(r["reason"] or "")),
        )
        for r in rows[:REQUESTS]
    ]


def not_granted(data: CardData, currency: str) -> list[NotGrantedRow]:
    """What was not granted lately, newest first."""
    return [
        NotGrantedRow(each.about, each.programme, _units(each.amount, each.asset, currency), each.reason)
        for each in data.not_granted
    ]


def _units(amount: int, asset: str, currency: str) -> Words:
    if asset == "FEN":
        return same(privacy.money(amount, currency))
    unit = words.UNIT.get(asset, same(asset.lower()))
    return Words(
        f"{amount:,} {unit.en.removesuffix('s') if amount == 1 else unit.en}", f"{amount:,} {unit.zh}"
    )


def _sum(rows: list[dict[str, Any]], code: str) -> int:
    return sum(r["amount"] for r in rows if r["what"] == code)
