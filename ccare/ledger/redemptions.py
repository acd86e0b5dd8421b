"""Redemptions in plain integers: who is served, which lots give, what is spent of a grant and what goes back.

Whether a request is served depends on everyone before it (points, the slot's day, the pool), so requests are
decided one after the other. Rows are dicts with the columns of their tables.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from ccare.ledger.parties import party_of, spender

if TYPE_CHECKING:
    from ccare.events.slots import SlotMap

Row = dict[str, Any]
REFUSED, RESERVED, SETTLED, VOIDED = "refused", "reserved", "settled", "voided"


@dataclass(frozen=True)
class Taken:
    """One lot's part in a reservation."""

    request: Row
    lot: Row
    leg: int
    amount: int


@dataclass(frozen=True)
class Paid:
    """Points of a lot that became active and paid a debt."""

    debt: Row
    lot: Row
    leg: int
    amount: int


def decide(
    requests: Iterable[Row],
    known: Mapping[str, set[str]],
    balances: Mapping[str, int],
    slots: "SlotMap",
    pool: Row,
    day: date,
    strangers: Set[tuple[str, str]] = frozenset(),
) -> list[Row]:
    """ledger_requests rows for ``requests``, served in the order (requested_at, request_id).

    ``known``: request_id -> contents decided before; ``balances``: party -> active points; ``strangers``: requests
    (request_id, content_hash) of a provider that does not serve the merchant; ``pool``: the impressions' pool, its
    programme, and what it has held. The same request again leaves no row.
    """
    terms, seen = slots.redemption, {number: set(contents) for number, contents in known.items()}
    left, held = dict(balances), pool["held"]
    of_slot: dict[str, int] = defaultdict(int)
    of_merchant: dict[tuple[str, str], int] = defaultdict(int)
    decided = []
    for asked in sorted(requests, key=lambda r: (r["requested_at"], r["request_id"], r["content_hash"])):
        number, slot, merchant, points = (asked[n] for n in ("request_id", "slot", "merchant_id", "points"))
        contents = seen.setdefault(number, set())
        if asked["content_hash"] in contents:
            continue
        again = bool(contents)
        contents.add(asked["content_hash"])
        price = slots.price(slot)
        granted = points * 1_000 // price if price else 0
        payer = spender(asked)
        own = left.get(payer, 0)
        full = (
            of_slot[slot] + granted > terms.capacity
            or of_merchant[slot, merchant] + granted > terms.merchant_capacity
            or granted > held
        )
        tests = {
            "duplicate_request": again,
            "unknown_slot": price is None,
            "merchant_blocked": merchant in terms.blocked_merchants,
            "not_served": (number, asked["content_hash"]) in strangers,
            "below_minimum": points < terms.minimum_points or granted == 0,
            "insufficient": points > own,
            "slot_full": full,
        }
        refusal = next((name for name, broken in tests.items() if broken), None)
        if refusal is None:
            left[payer] = own - points
            of_slot[slot] += granted
            of_merchant[slot, merchant] += granted
            held -= granted
        decided.append(_decided(asked, refusal, price, granted, slots, pool, day))
    return decided


def _decided(
    asked: Row,
    refusal: str | None,
    price: int | None,
    granted: int,
    slots: "SlotMap",
    pool: Row,
    day: date,
) -> Row:
    names = ("request_id", "content_hash", "merchant_id", "service_provider_id", "slot", "points")
    row = {name: asked[name] for name in (*names, "requested_at")}
    row |= {"decided_on": day, "refusal": refusal, "price": price, "slots_version": slots.version}
    if refusal:
        return row | {"status": REFUSED}
    terms = slots.redemption
    days = {"starts_on": 1, "ends_on": terms.run_days, "settles_on": terms.settle_days}
    runs = {name: day + timedelta(days=n) for name, n in days.items()}
    source = {"pool": pool["pool"], "programme": pool["programme"]}
    return row | {"status": RESERVED, "impressions": granted, **source, **runs}


def allocate(requests: Sequence[Row], lots: Iterable[Row]) -> list[Taken]:
    """Lots that give to each request, in debit order. ``lots``, each with its party, hold what is asked together."""
    rooms: dict[str, list[Row]] = defaultdict(list)
    for lot in sorted(lots, key=debit_order):
        rooms[lot["party"]].append({**lot, "room": lot["active"]})
    taken = []
    for request in requests:
        need, leg = request["points"], 0
        mine = rooms[spender(request)]
        while need:
            lot = mine[0]
            amount = min(need, lot["room"])
            if amount:
                leg += 1
                taken.append(Taken(request, lot, leg, amount))
            need, lot["room"] = need - amount, lot["room"] - amount
            if not lot["room"]:
                mine.pop(0)
    return taken


def debit_order(lot: Row) -> tuple[Any, ...]:
    """Debits take what expires soonest, then what was earned first, then by lot_id."""
    booked = lot.get("lot_booked_on") or lot["booked_date"]
    return lot["expires_on"], lot["effective_date"], booked, lot["lot_id"]


def resolve(
    requests: Iterable[Row], delivered: Mapping[str, int], allocations: Iterable[Row], day: date
) -> tuple[list[Row], list[Row]]:
    """Requests and allocations as they stand once they are resolved; those that are not due stay out.

    ``delivered``: request_id -> treated impressions counted so far.
    """
    due = {}
    for request in requests:
        served = min(request["impressions"], delivered.get(request["request_id"], 0))
        if served < request["impressions"] and day < request["settles_on"]:
            continue
        settled = -(-served * request["points"] // request["impressions"])
        voided = request["points"] - settled
        status = SETTLED if settled else VOIDED
        changed = {"status": status, "delivered": served, "settled": settled, "voided": voided}
        due[business_key(request)] = {**request, **changed, "resolved_on": day}
    left = {key: request["settled"] for key, request in due.items()}
    parts = []
    for part in sorted(allocations, key=lambda a: (a["business_key"], a["leg"])):
        key = part["business_key"]
        if key in left:
            settled = min(part["amount"], left[key])
            left[key] -= settled
            voided = part["amount"] - settled
            parts.append({**part, "settled": settled, "voided": voided, "resolved_on": day})
    return list(due.values()), parts


def pay_debts(debts: Iterable[Row], parts: Iterable[Row]) -> list[Paid]:
    """What points given back pay of their parties' debts, oldest debt first, soonest expiring lot first.

    ``debts``: ledger_positions rows in debt; ``parts``: resolved allocations. A lot may come in several parts.
    """
    rooms: dict[str, list[Row]] = defaultdict(list)
    for part in sorted(parts, key=lambda p: (debit_order(p), p["business_key"])):
        if part["voided"]:
            rooms[party_of(part)].append({**part, "room": part["voided"]})
    paid = []
    for debt in sorted(debts, key=lambda d: (d["effective_date"], d["business_key"])):
        owed, leg = debt["debt"], debt["repayments"] + 1
        for lot in rooms[party_of(debt)]:
            amount = min(owed, lot["room"])
            if amount:
                paid.append(Paid(debt, lot, leg, amount))
                owed, leg, lot["room"] = owed - amount, leg + 2, lot["room"] - amount
    return paid


def business_key(request: Row) -> str:
    """Key of a reservation's transfers."""
    return f"redemption|{request['request_id']}"
