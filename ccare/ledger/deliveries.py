"""Impressions that a programme granted directly: what traffic delivered of them is spent, lot by lot.

A traffic row names the lot as its grant_id. Rows dated from the day after the lot's effective date through its last day
count in the programme's slot, as far as they were treated. Delivery is told late, so the unspent rest expires
``REPORTED_DAYS`` closes after the last day.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from ccare.ledger import codes
from ccare.ledger.accounts import delivered_account, merchant_account
from ccare.ledger.booked import Booked, fetched
from ccare.ledger.redemptions import Row
from ccare.ledger.touched import Inputs

if TYPE_CHECKING:
    from ccare.runtime.close import Close

IMPRESSION = "IMPRESSION"
REPORTED_DAYS = 7
"""Closes after a lot of impressions can be used no more in which its delivery still counts."""


def deliver(inputs: Inputs, adjusted: Booked, close: "Close") -> Booked:
    """Spends what was delivered since the last close; ``adjusted`` has changed lots already in this one.

    A close whose policy grants no impressions reads nothing.
    """
    slots = {p.name: p.slot for p in close.ledger.programmes if p.asset == IMPRESSION and p.slot}
    if not slots:
        return Booked()
    held = F.col("programme").isin(*slots) & (F.col("asset") == IMPRESSION) & (F.col("active") > 0)
    lots = fetched(inputs["ledger_lots"].filter(held))
    if not lots:
        return Booked()
    rows = inputs["core_traffic_hours"].filter(
        F.col("taken_on").between(F.lit(min(lot["effective_date"] for lot in lots)), F.lit(close.day))
        & (F.col("arm") == "treated")
        & F.col("grant_id").isNotNull()
    )
    sums = rows.groupBy("grant_id", "merchant_id", "slot", "business_date").agg(F.sum("impressions"))
    came = [(tuple(row)[:4], row[4]) for row in sums.collect()]
    taken = {lot_id: parts.get("active", 0) for lot_id, parts in adjusted.lots.items()}
    left = {lot["lot_id"]: lot["active"] + taken.get(lot["lot_id"], 0) for lot in lots}
    booked = Booked()
    for lot, units in spent(lots, came, left, slots):
        booked.lots[lot["lot_id"]]["active"] -= units
        booked.lots[lot["lot_id"]]["redeemed"] += units
        booked.moves.append(_move(lot, slots[lot["programme"]] or "", units, close.day))
    return booked


def spent(
    lots: Iterable[Row],
    came: Iterable[tuple[tuple[str, str, str, date], int]],
    left: Mapping[str, int],
    slots: Mapping[str, str | None],
) -> list[tuple[Row, int]]:
    """(lot, units) newly spent: what came for it so far, at most its amount, less what was spent before.

    ``came``: ((grant_id, merchant_id, slot, business date), impressions); ``left``: lot_id -> units still there.
    """
    of_grant: dict[str, list[tuple[tuple[str, str, str, date], int]]] = defaultdict(list)
    for key, units in came:
        of_grant[key[0]].append((key, units))
    found = []
    for lot in sorted(lots, key=lambda each: each["lot_id"]):
        total = sum(
            units
            for (_, merchant, slot, day), units in of_grant[lot["lot_id"]]
            if (merchant, slot) == (lot["merchant_id"], slots[lot["programme"]])
            and lot["effective_date"] < day <= lot["expires_on"]
        )
        units = min(total - lot["redeemed"], left[lot["lot_id"]])
        if units > 0:
            found.append((lot, units))
    return found


def _move(lot: Row, slot: str, units: int, day: date) -> Row:
    names = ("business_key", "programme", "merchant_id", "asset", "lot_id", "matures_on", "expires_on")
    about = {name: lot[name] for name in names} | {"revision": lot["revision"], "effective_date": day}
    return about | {
        "code": codes.SETTLE,
        "debit_account": merchant_account(lot["merchant_id"], "active"),
        "credit_account": delivered_account(slot),
        "amount": units,
        "reason": f"delivered in {slot}",
        "leg": (day - lot["effective_date"]).days,
    }
