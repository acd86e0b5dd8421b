"""Impressions that a programme granted directly: what traffic delivered of them is spent, lot by lot.

A traffic row names the lot as its grant_id. Rows dated from the day after the lot's effective date through its last day
count in the programme's slot, as far as they were treated; of a service provider's lot, whichever merchant they are
about. None of an hour that is withheld by the draw of the slot policy in force when the lot was granted. Delivery is
told late, so the unspent rest expires ``REPORTED_DAYS`` closes after the last day.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from ccare.ledger import codes
from ccare.ledger.accounts import delivered_account, party_account
from ccare.ledger.booked import Booked, fetched
from ccare.ledger.parties import IDS, party_of
from ccare.ledger.redemptions import Row
from ccare.ledger.touched import Inputs
from ccare.ledger.withheld import draw_of, draws, withheld_by

if TYPE_CHECKING:
    from ccare.runtime.close import Close

IMPRESSION = "IMPRESSION"
REPORTED_DAYS = 7
"""Closes after a lot of impressions can be used no more in which its delivery still counts."""


def deliver(inputs: Inputs, adjusted: Booked, close: "Close") -> Booked:
    """Spends what was delivered since the last close; ``adjusted`` has changed lots already in this one.

    A close whose policy grants no impressions reads nothing.
    """
    granting = [p for p in close.ledger.programmes if p.slot and p.grants_impressions]
    if not granting:
        return Booked()
    slots = {p.name: p.slot for p in granting}
    longest = max(p.maturity_days + p.expiry_days for p in granting) + REPORTED_DAYS
    since = close.day - timedelta(days=longest)
    rows = inputs["core_traffic_hours"].filter(
        F.col("taken_on").between(F.lit(since), F.lit(close.day))
        & (F.col("arm") == "treated")
        & F.col("grant_id").isNotNull()
    )
    drawn = draws(close.slots)
    sums = rows.groupBy(
        F.col("grant_id").alias("lot_id"),
        F.col("merchant_id").alias("served"),
        "slot",
        "business_date",
        withheld_by(drawn).alias("withheld"),
    )
    held = F.col("programme").isin(*slots) & (F.col("asset") == IMPRESSION) & (F.col("active") > 0)
    told = sums.agg(F.sum("impressions").alias("impressions"))
    # Only lots that something was delivered for are fetched: there may be one of every merchant and month.
    found = fetched(told.join(inputs["ledger_lots"].filter(held), "lot_id"))
    lots = list({row["lot_id"]: row for row in found}.values())
    came = [
        ((r["lot_id"], r["served"], r["slot"], r["business_date"]), r["impressions"])
        for r in found
        if not r["withheld"][drawn.index(draw_of(close.slots.terms_on(r["booked_date"])))]
    ]
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
            if slot == slots[lot["programme"]]
            and merchant == (lot["merchant_id"] or merchant)
            and lot["effective_date"] < day <= lot["expires_on"]
        )
        units = min(total - lot["redeemed"], left[lot["lot_id"]])
        if units > 0:
            found.append((lot, units))
    return found


def _move(lot: Row, slot: str, units: int, day: date) -> Row:
    names = ("business_key", "programme", *IDS, "asset", "lot_id", "matures_on", "expires_on")
    about = {name: lot[name] for name in names} | {"revision": lot["revision"], "effective_date": day}
    return about | {
        "code": codes.SETTLE,
        "debit_account": party_account(party_of(lot), "active"),
        "credit_account": delivered_account(slot),
        "amount": units,
        "reason": f"delivered in {slot}",
        "leg": (day - lot["effective_date"]).days,
    }
