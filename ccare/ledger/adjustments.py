"""Approved adjustments: a transfer offset in part or whole by one other, which says so in its key.

What was granted by mistake is taken from its own lot; what was taken, expired or spent by mistake comes back as a
new lot, which pays debt like any other; a funding is taken out of its pool. Nothing posted is changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from typing import Any

from ccare.ledger import codes
from ccare.ledger.accounts import party_account
from ccare.ledger.parties import IDS, party_of

Row = dict[str, Any]
BOOKED, REFUSED = "booked", "refused"
_TAKE_BACK = ("earn", "fund")
_GIVE_BACK = ("fall", "expire", "settle")


@dataclass
class Adjusted:
    """What the adjustments of one close do. ``taken``: lot_id -> (part, units); ``back``: business_key -> units."""

    rows: list[Row] = field(default_factory=list)
    moves: list[Row] = field(default_factory=list)
    lots: list[Row] = field(default_factory=list)
    taken: dict[str, tuple[str, int]] = field(default_factory=dict)
    back: dict[str, int] = field(default_factory=dict)


def adjustment_key(transfer_id: str) -> str:
    """Business key of the one transfer that offsets ``transfer_id``."""
    return f"adjustment|{transfer_id}"


def adjust(
    asked: Iterable[Row],
    transfers: Mapping[str, Row],
    lots: Mapping[str, Row],
    pools: Mapping[tuple[str, str], int],
    expiry_days: Mapping[str, int],
    day: date,
) -> Adjusted:
    """Decides each row of ``asked`` (approval, transfer_id, amount, asked_by, approved_by, note), in order.

    ``transfers``: those asked about and the adjustments of them booked before, by transfer_id and by business key;
    ``lots`` by lot_id; ``pools``: (account, asset) -> units available; ``expiry_days``: programme -> days that a
    lot can be used.
    """
    done, held = Adjusted(), dict(pools)
    for row in sorted(asked, key=lambda r: (r["approval"], r["transfer_id"])):
        target, amount = transfers.get(row["transfer_id"]), row["amount"]
        key = adjustment_key(row["transfer_id"])
        again = key in transfers or any(move["business_key"] == key for move in done.moves)
        refusal = _refusal(target, amount, again) or _book(
            done, target or {}, amount, lots, held, expiry_days, day
        )
        kept = {n: row[n] for n in ("approval", "transfer_id", "amount", "asked_by", "approved_by", "note")}
        status = REFUSED if refusal else BOOKED
        done.rows.append({**kept, "status": status, "refusal": refusal, "decided_on": day})
    return done


def _refusal(target: Row | None, amount: int, again: bool) -> str | None:
    if target is None:
        return "unknown_transfer"
    lot_is_known = target["lot_id"] is not None or target["code"] == "fund"
    if target["code"] not in (*_TAKE_BACK, *_GIVE_BACK) or not lot_is_known:
        return "not_adjustable"
    if again:
        return "already_offset"
    return None if 0 < amount <= target["amount"] else "more_than_the_transfer"


def _book(
    done: Adjusted,
    target: Row,
    amount: int,
    lots: Mapping[str, Row],
    held: dict[tuple[str, str], int],
    expiry_days: Mapping[str, int],
    day: date,
) -> str | None:
    """Books one adjustment, or says why it cannot be."""
    about = {n: target[n] for n in ("asset", "programme", *IDS)}
    about |= {"code": codes.ADJUST, "amount": amount, "effective_date": day, "leg": 1, "revision": 1}
    about |= {"business_key": adjustment_key(target["transfer_id"]), "reason": f"offsets {target['code']}"}
    source, asset = target["credit_account"], target["asset"]
    if target["code"] == "earn":
        lot = lots[target["lot_id"]]
        part = "pending" if lot["pending"] else "active"
        taken = done.taken.get(lot["lot_id"], (part, 0))[1]
        if amount > lot[part] - taken:
            return "insufficient"
        done.taken[lot["lot_id"]] = (part, taken + amount)
        about |= {n: lot[n] for n in ("lot_id", "matures_on", "expires_on")}
        about |= {"debit_account": party_account(party_of(lot), part)}
        done.moves.append(about | {"credit_account": target["debit_account"]})
    elif amount > held.get((source, asset), amount if source.startswith("sink:") else 0):
        return "insufficient"
    elif target["code"] == "fund":
        done.moves.append(about | {"debit_account": source, "credit_account": target["debit_account"]})
    else:
        _give_back(done, about, target, lots[target["lot_id"]], expiry_days, day)
    if target["code"] in _TAKE_BACK:
        done.back[target["business_key"]] = done.back.get(target["business_key"], 0) + amount
    if (source, asset) in held and target["code"] != "earn":
        held[source, asset] -= amount
    return None


def _give_back(
    done: Adjusted, about: Row, target: Row, old: Row, expiry_days: Mapping[str, int], day: date
) -> None:
    fields = (about["programme"], about["code"], about["business_key"], about["leg"], about["revision"])
    lot_id = sha256("\n".join(map(str, fields)).encode()).hexdigest()
    dates = {"matures_on": day, "expires_on": day + timedelta(days=expiry_days[about["programme"]])}
    pending = party_account(party_of(about), "pending")
    sides = {"debit_account": target["credit_account"], "credit_account": pending}
    done.moves.append(about | dates | sides | {"lot_id": lot_id})
    names = ("business_key", "programme", *IDS, "asset", "effective_date", "revision", "amount")
    lot = {name: about[name] for name in names} | dates | {"lot_id": lot_id, "pool": old["pool"]}
    empty = dict.fromkeys(("active", "reserved", "redeemed", "expired", "taken"), 0)
    done.lots.append(lot | empty | {"pending": about["amount"], "booked_date": day})
