"""Fundings and adjustments that were delivered and approved: what a close books of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from ccare.ledger.adjustments import adjust, adjustment_key
from ccare.ledger.approvals import Asked, asked_under
from ccare.ledger.booked import Booked, among, fetched
from ccare.ledger.entitlements import Inputs
from ccare.ledger.programmes import funding_key
from ccare.ledger.redemptions import Row
from ccare.tables.streams import MOST_UNITS

if TYPE_CHECKING:
    from ccare.runtime.close import Close

FUNDING_RULE = "funding"
"""What positions and refusals of fundings have for a rule."""


def asked_so_far(inputs: Inputs, close: "Close") -> list[Asked]:
    """Everything that deliveries taken by this close ask for or approve, by reference."""
    approvals, alone = fetched(inputs["core_approvals"]), close.ledger.adjust_alone
    if not approvals and not alone:
        return []
    fundings, adjustments = fetched(inputs["core_fundings"]), fetched(inputs["core_adjustments"])
    found = asked_under(fundings, adjustments, approvals, alone)
    return [a for _, a in sorted(found.items())]


@dataclass(frozen=True)
class Funded:
    """``due``: fundings in the form of those of conf/funding.toml; ``refused``: ledger_refusals rows of the others."""

    due: list[Row] = field(default_factory=list)
    refused: list[Row] = field(default_factory=list)


def decided_fundings(asked: list[Asked], close: "Close") -> Funded:
    """Delivered fundings that this close decides, each once: when it is approved, and its own date has come.

    Those of conf/funding.toml win over them. An approval that counts for nothing refuses what it was meant for.
    """
    done = Funded()
    pools = {(pool.name, pool.asset): pool for pool in close.ledger.pools}
    known = {funding.business_key for funding in close.ledger.fundings}
    refused: dict[tuple[str, str], Row] = {}
    for row, why in _decided_now(asked, close):
        key, pool = funding_key(row["pool"], row["approval"]), pools.get((row["pool"], row["asset"]))
        about = {"business_key": key, "programme": pool.programme if pool else row["pool"]}
        about |= {name: row[name] for name in ("asset", "effective_date")}
        if why is None and pool is None:
            why = "unknown_pool"
        elif why is None and pool is not None and not pool.grants_on(row["effective_date"]):
            why = "pool_closed"
        elif why is None and not 1 <= row["amount"] <= MOST_UNITS:
            why = "bad_amount"
        elif why is None and key in known:
            why = "already_funded"
        if why is None:
            known.add(key)
            done.due.append(about | {n: row[n] for n in ("pool", "approval")} | {"funded": row["amount"]})
        else:
            told = refused.setdefault((key, why), about | {"rule": FUNDING_RULE, "reason": why, "amount": 0})
            told |= {"amount": told["amount"] + row["amount"], "decided_on": close.day}
    done.refused.extend(refused.values())
    return done


def _decided_now(asked: list[Asked], close: "Close") -> Iterator[tuple[Mapping[str, Any], str | None]]:
    """Fundings that this close is the first to be able to decide; why none may be booked, if it is for its approval."""
    first = close.day == close.earn_start
    for each in asked:
        rows = sorted(each.fundings, key=lambda row: (row["taken_on"], row["pool"], row["content_hash"]))
        for row in rows if each.since is not None else ():
            due = max(each.since or close.day, row["effective_date"])
            if due == close.day or (first and due < close.day):
                yield row, None
        for ignored in each.ignored:
            since = ignored.since or close.day
            if since == close.day or (first and since < close.day):
                meant = ignored.taken_on == since
                yield from ((row, ignored.why) for row in rows if meant or row["taken_on"] == since)


def adjusted(inputs: Inputs, asked: list[Asked], close: "Close") -> Booked:
    """Adjustments that this close is the first to find approved."""
    first = close.day == close.earn_start
    rows = [
        {**row, "approved_by": each.approved_by}
        for each in asked
        if each.since is not None and (each.since == close.day or (first and each.since < close.day))
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
