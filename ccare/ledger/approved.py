"""Fundings and adjustments that were delivered and approved: what a close books of them."""

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from ccare.ledger.adjustments import adjust, adjustment_key
from ccare.ledger.approvals import Asked, asked_under
from ccare.ledger.booked import Booked, among, fetched
from ccare.ledger.entitlements import Inputs
from ccare.ledger.programmes import funding_key
from ccare.ledger.redemptions import Row

if TYPE_CHECKING:
    from ccare.runtime.close import Close


def approved(inputs: Inputs, close: "Close") -> list[Asked]:
    """Everything asked that somebody else has approved by this close, or that the policy lets one person do."""
    approvals, alone = fetched(inputs["core_approvals"]), close.ledger.adjust_alone
    if not approvals and not alone:
        return []
    fundings, adjustments = fetched(inputs["core_fundings"]), fetched(inputs["core_adjustments"])
    found = asked_under(fundings, adjustments, approvals, alone)
    return [a for _, a in sorted(found.items()) if a.since is not None and a.since <= close.day]


def delivered_fundings(asked: list[Asked], close: "Close") -> list[Row]:
    """Approved fundings of declared pools, in the form of those of conf/funding.toml, which win over them."""
    pools = {(pool.name, pool.asset): pool for pool in close.ledger.pools}
    known = {funding.business_key for funding in close.ledger.fundings}
    due: dict[str, Row] = {}
    for row in (row for each in asked for row in each.fundings):
        pool = pools.get((row["pool"], row["asset"]))
        key = funding_key(row["pool"], row["approval"])
        if (
            pool is None
            or key in known
            or key in due
            or row["effective_date"] > close.day
            or not pool.grants_on(row["effective_date"])
            or row["amount"] < 1
        ):
            continue
        about = {"business_key": key, "programme": pool.programme, "funded": row["amount"]}
        due[key] = {n: row[n] for n in ("pool", "asset", "approval", "effective_date")} | about
    return list(due.values())


def adjusted(inputs: Inputs, asked: list[Asked], close: "Close") -> Booked:
    """Adjustments that this close is the first to find approved."""
    first = close.day == close.earn_start
    rows = [
        {**row, "approved_by": each.approved_by}
        for each in asked
        if first or each.since == close.day
        for row in each.adjustments
    ]
    if not rows:
        return Booked()
    ids = sorted({row["transfer_id"] for row in rows})
    posted = inputs["ledger_transfers"]
    of_ids = {t["transfer_id"]: t for t in fetched(among(posted, "transfer_id", ids))}
    keys = among(posted, "business_key", [adjustment_key(each) for each in ids])
    transfers = of_ids | {t["business_key"]: t for t in fetched(keys)}
    lot_ids = sorted({t["lot_id"] for t in of_ids.values() if t["lot_id"]})
    lots = {lot["lot_id"]: lot for lot in fetched(among(inputs["ledger_lots"], "lot_id", lot_ids))}
    held = fetched(inputs["ledger_balances"].filter(F.col("account").like("pool:%:available")))
    pools = {(row["account"], row["asset"]): row["balance"] for row in held}
    terms = {p.name: p.expiry_days for p in sorted(close.ledger.programmes, key=lambda p: p.from_day)}
    done = adjust(rows, transfers, lots, pools, terms, close.day)
    booked = Booked(moves=done.moves, new_lots=done.lots, rows={"ledger_adjustments": done.rows})
    for lot_id, (part, units) in done.taken.items():
        booked.lots[lot_id][part] -= units
        booked.lots[lot_id]["taken"] += units
    for key, units in done.back.items():
        booked.keys[key]["given_back"] += units
    return booked
