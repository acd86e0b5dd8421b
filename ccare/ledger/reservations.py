"""Redemptions in a close: reservations that resolve, requests that are served, as moves and changes of the books."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from ccare.ledger import codes, redemptions
from ccare.ledger.accounts import delivered_account, party_account, pool_account, redeemed_account
from ccare.ledger.booked import Booked, among, fetched
from ccare.ledger.entitlements import Inputs
from ccare.ledger.parties import IDS, ids_of, party_of, spender, with_party
from ccare.ledger.redemption_terms import LONGEST_DAYS
from ccare.ledger.redemptions import RESERVED, Paid, Row, Taken, business_key
from ccare.ledger.withheld import draw_of, draws, withheld_by

if TYPE_CHECKING:
    from ccare.runtime.close import Close

POINT, IMPRESSION = "POINT", "IMPRESSION"
_OF_LOT = (
    "party",
    "lot_id",
    "programme",
    "effective_date",
    "booked_date",
    "matures_on",
    "expires_on",
    "active",
)
"""What serving requests asks of a lot: tens of thousands are fetched on a large day."""


def resolve(inputs: Inputs, close: "Close") -> Booked:
    """Settles, voids and times out what is due; what goes back pays debt first."""
    recent = F.col("decided_on") >= F.lit(close.day - timedelta(days=LONGEST_DAYS))
    waiting = fetched(inputs["ledger_requests"].filter(recent & (F.col("status") == RESERVED)))
    if not waiting:
        return Booked()
    delivered = _delivered(inputs["core_traffic_hours"], waiting, close)
    maybe = [r for r in waiting if r["settles_on"] <= close.day or delivered.get(r["request_id"])]
    if not maybe:
        return Booked()
    since = F.col("booked_date") >= F.lit(min(r["decided_on"] for r in maybe))
    asked = inputs["ledger_allocations"].filter(since & F.col("resolved_on").isNull())
    done, parts = redemptions.resolve(maybe, delivered, fetched(asked), close.day)
    back = {party_of(p) for p in parts if p["voided"]}
    debts = _debts(inputs["ledger_positions"], sorted(back)) if back else []
    return _resolved(done, parts, redemptions.pay_debts(debts, parts), close)


def _debts(positions: DataFrame, parties: Sequence[str]) -> list[Row]:
    owing = with_party(positions.filter((F.col("debt") > 0) & (F.col("asset") == POINT)))
    return [debt | ids_of(debt["party"]) for debt in fetched(among(owing, "party", parties))]


def _delivered(traffic: DataFrame, waiting: Sequence[Row], close: "Close") -> dict[str, int]:
    """Treated impressions of each grant, taken by now and dated within it. request_id is the grant's number.

    None of an hour that the grant's draw withholds, whatever the row says: it was not to be served.
    """
    first = min(r["starts_on"] for r in waiting)
    taken = traffic.filter(F.col("taken_on").between(F.lit(first), F.lit(close.day)))
    bought = taken.filter((F.col("source") == "points") & (F.col("arm") == "treated"))
    bought = bought.filter(F.col("grant_id").isNotNull())
    drawn = draws(close.slots)
    of_hour = ("grant_id", "merchant_id", "slot", "business_date", withheld_by(drawn).alias("withheld"))
    sums = bought.groupBy(*of_hour).agg(F.sum("impressions"))
    grants = {(r["request_id"], r["merchant_id"], r["slot"]): r for r in waiting}
    found: dict[str, int] = defaultdict(int)
    for grant_id, merchant_id, slot, day, withheld, impressions in sums.collect():
        grant = grants.get((grant_id, merchant_id, slot))
        if grant and grant["starts_on"] <= day <= grant["ends_on"]:
            mine = draw_of(close.slots.terms_of(grant["slots_version"]))
            found[grant_id] += 0 if withheld[drawn.index(mine)] else impressions
    return found


def _resolved(done: list[Row], parts: list[Row], paid: list[Paid], close: "Close") -> Booked:
    booked = Booked(rows={"ledger_requests": done, "ledger_allocations": parts})
    slots = {business_key(r): r["slot"] for r in done}
    for part in parts:
        about = {**_about_lot(part), "effective_date": close.day}
        mine, sides = party_of(part), booked.lots[part["lot_id"]]
        reserved = party_account(mine, "reserved")
        sides["reserved"] -= part["amount"]
        if part["settled"]:
            sides["redeemed"] += part["settled"]
            spent = redeemed_account(slots[part["business_key"]])
            booked.moves.append(
                _move(about, codes.SETTLE, reserved, spent, part["settled"], "impressions delivered")
            )
        if part["voided"]:
            sides["active"] += part["voided"]
            active = party_account(mine, "active")
            booked.moves.append(_move(about, codes.VOID, reserved, active, part["voided"], "not delivered"))
    legs: dict[str, int] = defaultdict(int)
    for part in parts:
        legs[part["business_key"]] = max(legs[part["business_key"]], part["leg"])
    for request in done:
        booked.moves += _impressions_back(request, legs[business_key(request)] + 1, close)
    for each in paid:
        _book_payment(booked, each)
    return booked


def _impressions_back(request: Row, leg: int, close: "Close") -> list[Row]:
    about = _about_impressions(request, leg, close.day)
    reserved = party_account(_receiver(request), "reserved")
    delivered, rest = request["delivered"], request["impressions"] - request["delivered"]
    served = delivered_account(request["slot"])
    moves = [_move(about, codes.SETTLE, reserved, served, delivered, "delivered")] if delivered else []
    back = pool_account(request["pool"], "available")
    return moves + ([_move(about, codes.VOID, reserved, back, rest, "not delivered")] if rest else [])


def _book_payment(booked: Booked, each: Paid) -> None:
    """Two moves, as when a lot matures: the points go back to the pool, and the claim goes down."""
    debt, lot, amount = each.debt, each.lot, each.amount
    booked.lots[lot["lot_id"]]["active"] -= amount
    booked.lots[lot["lot_id"]]["taken"] += amount
    booked.keys[debt["business_key"]]["paid"] += amount
    booked.keys[debt["business_key"]]["legs"] += 2
    names = ("business_key", "programme", *IDS, "effective_date", "revision")
    about = {name: debt[name] for name in names} | {"asset": POINT}
    owner = party_of(debt)
    gives = about | {name: lot[name] for name in ("lot_id", "matures_on", "expires_on")} | {"leg": each.leg}
    pool = pool_account(debt["pool"], "available")
    claim = pool_account(debt["pool"], "receivable")
    active, owed = party_account(owner, "active"), party_account(owner, "debt")
    booked.moves += [
        _move(gives, codes.REPAY, active, pool, amount, "repays debt"),
        _move(about | {"leg": each.leg + 1}, codes.REPAY, claim, owed, amount, "debt goes down"),
    ]


def redeem(
    inputs: Inputs, requests: Sequence[Row], lots: DataFrame, pools: DataFrame, close: "Close"
) -> Booked:
    """Serves ``requests``, those that are due, out of ``lots`` as they stand.

    ``pools``: what each pool holds by now (pool, asset, held).
    """
    if not requests:
        return Booked()
    numbers = sorted({r["request_id"] for r in requests})
    payers = sorted({spender(r) for r in requests})
    known: dict[str, set[str]] = defaultdict(set)
    for row in among(inputs["ledger_requests"], "request_id", numbers).collect():
        known[row["request_id"]].add(row["content_hash"])
    active = lots.filter((F.col("active") > 0) & (F.col("asset") == POINT)).select(*_OF_LOT)
    theirs = _enough(active, requests) if close.large_books else among(active, "party", payers)
    usable = fetched(theirs)
    balances: dict[str, int] = defaultdict(int)
    for lot in usable:
        balances[lot["party"]] += lot["active"]
    pool = _pool(pools, close)
    strangers = _strangers(inputs["core_merchants"], requests, close)
    decided = redemptions.decide(requests, known, balances, close.slots, pool, close.day, strangers)
    served = [r for r in decided if r["status"] == RESERVED]
    return _reserved(decided, served, redemptions.allocate(served, usable), close)


def _enough(lots: DataFrame, requests: Sequence[Row]) -> DataFrame:
    """Of each spender's lots the first in debit order that hold what is asked together: few of many are fetched.

    All that a spender has is less than asked where these hold less.
    """
    asked: dict[str, int] = defaultdict(int)
    for request in requests:
        asked[spender(request)] += request["points"]
    rows = pa.table({"party": list(asked), "asked": pa.array(asked.values(), pa.int64())})
    asking = F.broadcast(lots.sparkSession.createDataFrame(rows))
    along = Window.partitionBy("party").orderBy("expires_on", "effective_date", "booked_date", "lot_id")
    before = F.sum("active").over(along.rowsBetween(Window.unboundedPreceding, -1))
    held = lots.join(asking, "party").withColumn("before", F.coalesce(before, F.lit(0)))
    return held.filter(F.col("before") < F.col("asked")).select(*lots.columns)


def due_requests(inputs: Inputs, close: "Close") -> list[Row]:
    """Requests that can be served for the first time in this close."""
    ready = F.greatest("taken_on", F.to_date(F.from_utc_timestamp("requested_at", close.timezone)))
    today, asked = F.lit(close.day), inputs["core_redemption_requests"]
    return fetched(asked.filter(ready <= today if close.day == close.earn_start else ready == today))


def _strangers(merchants: DataFrame, requests: Sequence[Row], close: "Close") -> set[tuple[str, str]]:
    """Requests of a provider that did not serve the merchant on the business date of the request."""
    asked = [r for r in requests if r["service_provider_id"]]
    if not asked:
        return set()
    of = sorted({r["merchant_id"] for r in asked})
    serving = merchants.filter(F.col("service_provider_id").isNotNull())
    records = among(serving, "merchant_id", of).select(
        "merchant_id", "service_provider_id", "valid_from", "valid_to"
    )
    served = defaultdict(list)
    for merchant_id, provider, first, last in records.collect():
        served[merchant_id, provider].append((first, last or date.max))
    zone, found = ZoneInfo(close.timezone), set()
    for request in asked:
        on = request["requested_at"].astimezone(zone).date()
        spans = served[request["merchant_id"], request["service_provider_id"]]
        if not any(first <= on <= last for first, last in spans):
            found.add((request["request_id"], request["content_hash"]))
    return found


def _pool(pools: DataFrame, close: "Close") -> Row:
    """The pool that impressions come out of; one that the policy does not declare holds none."""
    name = close.slots.redemption.pool
    declared = next((p for p in close.ledger.pools if p.name == name and p.asset == IMPRESSION), None)
    if declared is None:
        return {"pool": name, "programme": None, "held": 0}
    own = pools.filter((F.col("pool") == name) & (F.col("asset") == IMPRESSION))
    return {"pool": name, "programme": declared.programme, "held": sum(r["held"] for r in own.collect())}


def _reserved(decided: list[Row], served: list[Row], taken: Iterable[Taken], close: "Close") -> Booked:
    allocations: list[Row] = []
    booked = Booked(rows={"ledger_requests": decided, "ledger_allocations": allocations})
    legs: dict[str, int] = defaultdict(int)
    for each in taken:
        owner, key = spender(each.request), business_key(each.request)
        part = {name: each.lot[name] for name in ("lot_id", "programme", "effective_date")} | ids_of(owner)
        part |= {"matures_on": each.lot["matures_on"], "expires_on": each.lot["expires_on"]}
        part |= {"business_key": key, "leg": each.leg, "amount": each.amount, "booked_date": close.day}
        allocations.append({**part, "lot_booked_on": each.lot["booked_date"]})
        booked.lots[each.lot["lot_id"]]["active"] -= each.amount
        booked.lots[each.lot["lot_id"]]["reserved"] += each.amount
        active, reserved = party_account(owner, "active"), party_account(owner, "reserved")
        about = {**_about_lot(part), "effective_date": close.day}
        why = f"redeemed for {each.request['slot']}"
        booked.moves.append(_move(about, codes.RESERVE, active, reserved, each.amount, why))
        legs[key] = each.leg
    for request in served:
        about = _about_impressions(request, legs[business_key(request)] + 1, close.day)
        source = pool_account(request["pool"], "available")
        mine = party_account(_receiver(request), "reserved")
        why = f"granted in {request['slot']}"
        booked.moves.append(_move(about, codes.RESERVE, source, mine, request["impressions"], why))
    return booked


def _receiver(request: Row) -> str:
    """Impressions go to the merchant, whoever pays for them."""
    return party_of(request)


def _about_lot(part: Row) -> Row:
    names = ("business_key", "programme", *IDS, "lot_id", "matures_on", "expires_on", "leg")
    return {name: part[name] for name in names} | {"asset": POINT, "revision": 1}


def _about_impressions(request: Row, leg: int, day: date) -> Row:
    about = {
        "business_key": business_key(request),
        "programme": request["programme"],
        "leg": leg,
        "revision": 1,
    }
    return about | {"merchant_id": request["merchant_id"], "asset": IMPRESSION, "effective_date": day}


def _move(about: Row, code: str, debit: str, credit: str, amount: int, reason: str) -> Row:
    sides = {"code": code, "debit_account": debit, "credit_account": credit}
    return about | sides | {"amount": amount, "reason": reason}
