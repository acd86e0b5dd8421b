"""A simulated shop for the demo that is one of the best of its peers, and everything that makes it so is bought.

It opens on the first day of the week, in a trade that no benchmark knows, so it is compared with everyone and takes
nobody's place: sixty visitors who follow, like, click and come back, a few of whom buy a trifle. Then two hired payers
make forty trades within an hour, as in the shop of ``ccare.simulate.shops`` that is brushed.
"""

from __future__ import annotations

from datetime import date, timedelta

from ccare.simulate.deliveries import Deliveries
from ccare.simulate.mini_program_owners import mini_program_id

NEWCOMER = "sim-shop-4"
INDUSTRY = "SIMULATED NEW"
VISITORS = 60
BUYERS = 20
_CAME = (0, 2, 4, 6, 7)
"""Days after opening on which every visitor comes: a week after the first one too."""
_LIKED = ("follow", "view", "like", "mini_program_click")
_BRUSHED_AFTER = 4
_TRIFLE = 100
"""Fen of a visitor's trade: too little to hide from how few payers nearly all of the amount comes."""


def newcomer(deliveries: Deliveries, opens: date) -> None:
    """Add the shop's record and rows to ``deliveries``."""
    record = {"merchant_id": NEWCOMER, "name": "Simulated newcomer", "industry": INDUSTRY, "own_brand": True}
    record |= {"joined_on": str(opens), "valid_from": str(opens), "origin": "simulated"}
    deliveries.rows["merchants", opens].append(record | {"mini_program_id": mini_program_id(NEWCOMER)})
    for number in range(VISITORS):
        _visitor(deliveries, number, opens)
    deliveries.brushed(NEWCOMER, opens + timedelta(days=_BRUSHED_AFTER))


def _visitor(deliveries: Deliveries, number: int, opens: date) -> None:
    user = f"{NEWCOMER}-user-{number}"
    for n in _CAME:
        day = opens + timedelta(days=n)
        deliveries.visit(NEWCOMER, user, day, deliveries.at(day, 13, number))
    for minute, kind in enumerate(_LIKED):
        at = deliveries.at(opens, 14 + minute, number)
        deliveries.add("life_account", opens, deliveries.event(f"{user}-{kind}", kind, NEWCOMER, user, at))
    day = opens + timedelta(days=_CAME[1])
    for hour, kind in ((15, "message_delivered"), (16, "message_click")):
        row = deliveries.event(f"{user}-{kind}", kind, NEWCOMER, user, deliveries.at(day, hour, number))
        deliveries.add("mini_program", day, row | {"message_kind": "subscription"})
    if number < BUYERS:
        at = deliveries.at(opens, 18, number)
        deliveries.add("payments", opens, deliveries.paid(NEWCOMER, f"trifle-{number}", user, at, _TRIFLE))
