"""Redemptions in a close: what the driver decided about requests, as moves and as changes of the laid-out books.

Requests of a day and reservations that resolve are few beside lots and keys, so their rows are fetched; a day
without any costs two looks at small tables.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.ledger import codes, redemptions
from ccare.ledger.accounts import delivered_account, merchant_account, pool_account, redeemed_account
from ccare.ledger.entitlements import Inputs, earn_start
from ccare.ledger.redemptions import RESERVED, Paid, Row, Taken, business_key
from ccare.ledger.transfers import MOVE
from ccare.runtime.spark import frame
from ccare.tables import table

if TYPE_CHECKING:
    from ccare.runtime.close import Close

POINT, IMPRESSION = "POINT", "IMPRESSION"
_PARTS = ("pending", "active", "reserved", "redeemed", "taken")
_LOT_CHANGES = pa.schema([("lot_id", pa.string()), *((f"add_{name}", pa.int64()) for name in _PARTS)])
_KEY_CHANGES = pa.schema(
    [("business_key", pa.string()), ("paid", pa.int64()), ("legs", pa.int32()), ("given_back", pa.int64())]
)


@dataclass
class Booked:
    """What one step has booked: transfers to come, changes of lots and keys, new and changed rows of tables."""

    moves: list[Row] = field(default_factory=list)
    lots: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    keys: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    requests: list[Row] = field(default_factory=list)
    allocations: list[Row] = field(default_factory=list)

    def on_lots(self, lots: DataFrame) -> DataFrame:
        """``lots`` with this step's changes."""
        if not self.lots:
            return lots
        rows = [
            {"lot_id": lot_id, **{f"add_{name}": parts.get(name, 0) for name in _PARTS}}
            for lot_id, parts in self.lots.items()
        ]
        changes = F.broadcast(lots.sparkSession.createDataFrame(pa.Table.from_pylist(rows, _LOT_CHANGES)))
        added = {name: F.col(name) + F.coalesce(f"add_{name}", F.lit(0)) for name in _PARTS}
        return lots.join(changes, "lot_id", "left").withColumns(added).select(*lots.columns)

    def on_positions(self, positions: DataFrame, close: "Close") -> DataFrame:
        """``positions`` with debts that this step paid and what it gave back to pools."""
        if not self.keys:
            return positions
        names = [name for name in _KEY_CHANGES.names if name != "business_key"]
        rows = [{"business_key": k, **{n: v.get(n, 0) for n in names}} for k, v in self.keys.items()]
        changes = F.broadcast(
            positions.sparkSession.createDataFrame(pa.Table.from_pylist(rows, _KEY_CHANGES))
        )
        changed = {
            "debt": F.col("debt") - F.coalesce("paid", F.lit(0)),
            "repayments": F.col("repayments") + F.coalesce("legs", F.lit(0)),
            "net": F.col("net") - F.coalesce("given_back", F.lit(0)),
            "updated_on": F.when(F.col("paid").isNotNull(), F.lit(close.day)).otherwise(F.col("updated_on")),
        }
        return positions.join(changes, "business_key", "left").withColumns(changed).select(*positions.columns)

    def moved(self, like: DataFrame) -> DataFrame:
        """The moves as a frame of the session of ``like``."""
        return frame(like.sparkSession, table("ledger_transfers"), self.moves).select(*MOVE)


def resolve(inputs: Inputs, close: "Close") -> Booked:
    """Settles, voids and times out what is due; what goes back pays debt first."""
    waiting = _rows(inputs["ledger_requests"].filter(F.col("status") == RESERVED))
    if not waiting:
        return Booked()
    delivered = _delivered(inputs["core_traffic_hours"], waiting, close)
    asked = inputs["ledger_allocations"].filter(F.col("resolved_on").isNull())
    maybe = [r for r in waiting if r["settles_on"] <= close.day or delivered.get(r["request_id"])]
    if not maybe:
        return Booked()
    done, parts = redemptions.resolve(maybe, delivered, _rows(asked), close.day)
    back = sorted({p["merchant_id"] for p in parts if p["voided"]})
    owing = inputs["ledger_positions"].filter(F.col("debt") > 0)
    debts = [d for d in _rows(_of(owing, "merchant_id", back)) if d["asset"] == POINT] if back else []
    return _resolved(done, parts, redemptions.pay_debts(debts, parts), close)


def _delivered(traffic: DataFrame, waiting: Sequence[Row], close: "Close") -> dict[str, int]:
    """Treated impressions of each grant, taken by now and dated within it. request_id is the grant's number."""
    first = min(r["starts_on"] for r in waiting)
    taken = traffic.filter(F.col("taken_on").between(F.lit(first), F.lit(close.day)))
    bought = taken.filter((F.col("source") == "points") & (F.col("arm") == "treated"))
    bought = bought.filter(F.col("grant_id").isNotNull())
    sums = bought.groupBy("grant_id", "merchant_id", "slot", "business_date").agg(F.sum("impressions"))
    grants = {(r["request_id"], r["merchant_id"], r["slot"]): r for r in waiting}
    found: dict[str, int] = defaultdict(int)
    for grant_id, merchant_id, slot, day, impressions in sums.collect():
        grant = grants.get((grant_id, merchant_id, slot))
        if grant and grant["starts_on"] <= day <= grant["ends_on"]:
            found[grant_id] += impressions
    return found


def _resolved(done: list[Row], parts: list[Row], paid: list[Paid], close: "Close") -> Booked:
    booked = Booked(requests=done, allocations=parts)
    slots = {business_key(r): r["slot"] for r in done}
    for part in parts:
        about = {**_about_lot(part), "effective_date": close.day}
        mine, sides = part["merchant_id"], booked.lots[part["lot_id"]]
        reserved = merchant_account(mine, "reserved")
        sides["reserved"] -= part["amount"]
        if part["settled"]:
            sides["redeemed"] += part["settled"]
            spent = redeemed_account(slots[part["business_key"]])
            booked.moves.append(
                _move(about, codes.SETTLE, reserved, spent, part["settled"], "impressions delivered")
            )
        if part["voided"]:
            sides["active"] += part["voided"]
            active = merchant_account(mine, "active")
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
    reserved = merchant_account(request["merchant_id"], "reserved")
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
    names = ("business_key", "programme", "merchant_id", "effective_date", "revision")
    about = {name: debt[name] for name in names} | {"asset": POINT}
    owner = debt["merchant_id"]
    gives = about | {name: lot[name] for name in ("lot_id", "matures_on", "expires_on")} | {"leg": each.leg}
    pool = pool_account(debt["pool"], "available")
    claim = pool_account(debt["pool"], "receivable")
    active, owed = merchant_account(owner, "active"), merchant_account(owner, "debt")
    booked.moves += [
        _move(gives, codes.REPAY, active, pool, amount, "repays debt"),
        _move(about | {"leg": each.leg + 1}, codes.REPAY, claim, owed, amount, "debt goes down"),
    ]


def redeem(inputs: Inputs, lots: DataFrame, pools: DataFrame, close: "Close") -> Booked:
    """Serves the requests that can be served for the first time in this close, out of ``lots`` as they stand.

    ``pools``: what each pool holds by now (pool, asset, held).
    """
    ready = F.greatest("taken_on", F.to_date(F.from_utc_timestamp("requested_at", close.timezone)))
    today, asked = F.lit(close.day), inputs["core_redemption_requests"]
    due = ready <= today if close.day == earn_start(close) else ready == today
    requests = _rows(asked.filter(due))
    if not requests:
        return Booked()
    numbers = sorted({r["request_id"] for r in requests})
    merchants = sorted({r["merchant_id"] for r in requests})
    known: dict[str, set[str]] = defaultdict(set)
    for row in _of(inputs["ledger_requests"], "request_id", numbers).collect():
        known[row["request_id"]].add(row["content_hash"])
    usable = _rows(
        _of(lots, "merchant_id", merchants).filter((F.col("active") > 0) & (F.col("asset") == POINT))
    )
    balances: dict[str, int] = defaultdict(int)
    for lot in usable:
        balances[lot["merchant_id"]] += lot["active"]
    pool = _pool(pools, close)
    decided = redemptions.decide(requests, known, balances, close.slots, pool, close.day)
    served = [r for r in decided if r["status"] == RESERVED]
    return _reserved(decided, served, redemptions.allocate(served, usable), close)


def _pool(pools: DataFrame, close: "Close") -> Row:
    """The pool that impressions come out of; one that the policy does not declare holds none."""
    name = close.slots.redemption.pool
    declared = next((p for p in close.ledger.pools if p.name == name and p.asset == IMPRESSION), None)
    if declared is None:
        return {"pool": name, "programme": None, "held": 0}
    own = pools.filter((F.col("pool") == name) & (F.col("asset") == IMPRESSION))
    return {"pool": name, "programme": declared.programme, "held": sum(r["held"] for r in own.collect())}


def _reserved(decided: list[Row], served: list[Row], taken: Iterable[Taken], close: "Close") -> Booked:
    booked = Booked(requests=decided)
    legs: dict[str, int] = defaultdict(int)
    for each in taken:
        owner, key = each.request["merchant_id"], business_key(each.request)
        part = {name: each.lot[name] for name in ("lot_id", "merchant_id", "programme", "effective_date")}
        part |= {"matures_on": each.lot["matures_on"], "expires_on": each.lot["expires_on"]}
        part |= {"business_key": key, "leg": each.leg, "amount": each.amount, "booked_date": close.day}
        booked.allocations.append({**part, "lot_booked_on": each.lot["booked_date"]})
        booked.lots[each.lot["lot_id"]]["active"] -= each.amount
        booked.lots[each.lot["lot_id"]]["reserved"] += each.amount
        active, reserved = merchant_account(owner, "active"), merchant_account(owner, "reserved")
        about = {**_about_lot(part), "effective_date": close.day}
        why = f"redeemed for {each.request['slot']}"
        booked.moves.append(_move(about, codes.RESERVE, active, reserved, each.amount, why))
        legs[key] = each.leg
    for request in served:
        about = _about_impressions(request, legs[business_key(request)] + 1, close.day)
        source = pool_account(request["pool"], "available")
        mine = merchant_account(request["merchant_id"], "reserved")
        why = f"granted in {request['slot']}"
        booked.moves.append(_move(about, codes.RESERVE, source, mine, request["impressions"], why))
    return booked


def whole_days(inputs: Inputs, steps: Iterable[Booked]) -> dict[str, DataFrame]:
    """ledger_requests and ledger_allocations where they change: every row of each day that has a changed one."""
    steps = list(steps)
    changed = {
        "ledger_requests": [r for step in steps for r in step.requests],
        "ledger_allocations": [a for step in steps for a in step.allocations],
    }
    result = {}
    for name, rows in changed.items():
        if not rows:
            continue
        declared, before = table(name), inputs[name].select(*table(name).column_names)
        (day,) = declared.partition_by
        new = frame(before.sparkSession, declared, rows)
        of_days = before.filter(F.col(day).isin(*sorted({row[day] for row in rows})))
        key = list(declared.key)
        result[name] = of_days.join(F.broadcast(new.select(*key)), key, "left_anti").unionByName(new)
    return result


def _about_lot(part: Row) -> Row:
    names = ("business_key", "programme", "merchant_id", "lot_id", "matures_on", "expires_on", "leg")
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


def _of(rows: DataFrame, name: str, values: Sequence[str]) -> DataFrame:
    """Rows whose ``name`` is among ``values``."""
    if len(values) <= 200:
        return rows.filter(F.col(name).isin(*values))
    listed = rows.sparkSession.createDataFrame(pa.table({name: pa.array(values, pa.string())}))
    return rows.join(F.broadcast(listed), name, "left_semi")


def _rows(rows: DataFrame) -> list[Row]:
    return rows.toArrow().to_pylist()
