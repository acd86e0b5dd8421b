"""A few simulated shops for the demo: what its real purchases cannot show of programmes.

Panel shops pay no fees, nobody serves them, none is suspected, and every row of theirs comes in time. So four shops of
an industry of their own, every row with origin simulated: two pay fees and are served by a provider, one has visitors
guided at one terminal and rows that come late, and one is brushed: two hired payers, forty trades within an hour. A
fifth opens in the week and is one of the best of its peers, all of it bought (``ccare.simulate.newcomer``).
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from ccare.ledger.programmes import Programme
from ccare.simulate.deliveries import Deliveries, Row
from ccare.simulate.mini_program_owners import mini_program_id
from ccare.simulate.newcomer import newcomer
from ccare.simulate.providers import provider_id

INDUSTRY = "SIMULATED"
SERVED = ("sim-shop-0", "sim-shop-1")
"""Shops that pay fees; provider 0 serves the first, provider 1 the second."""
GUIDED, BRUSHED = "sim-shop-2", "sim-shop-3"
SETTLED_TRADES = 12
GUIDED_USERS = 4
_FILE = "simulated-shops.jsonl"
_SETTLED_FROM = 38
"""Days before go-live of the first trade with a fee: settled, and in the month, when the demo's week ends."""
_HALF_BACK = 3
"""The trade of which half is returned: its fee counts by half."""


def write_shops(landing: Path, go_live: date, last_day: date, timezone: str, campaign: Programme) -> int:
    """Write the shops and their rows beside the landing files of the history and the go-live week; gives the rows.

    The brushed shop takes part in ``campaign``. The same parameters give the same bytes.
    """
    deliveries = _Shops(ZoneInfo(timezone))
    deliveries.rows["merchants", go_live] += (_shop(n, go_live) for n in range(4))
    for number, shop in enumerate((*SERVED, BRUSHED)):
        deliveries.settled(shop, 100_000 * (number + 1), go_live)
    deliveries.guided(go_live)
    deliveries.late(go_live, last_day)
    deliveries.suspected(go_live, campaign)
    deliveries.late_card(campaign, last_day)
    newcomer(deliveries, go_live)
    return deliveries.write(landing, _FILE)


class _Shops(Deliveries):
    """What each of the four does."""

    def settled(self, shop: str, fen: int, go_live: date) -> None:
        """A trade every other day, each with a fee of 0.6 %, long before the week; half of one is returned."""
        rows = self.rows["payments", go_live]
        for n in range(SETTLED_TRADES):
            day, amount = go_live - timedelta(days=_SETTLED_FROM - 2 * n), fen + 1_337 * n
            paid = self.paid(shop, f"settled-{n}", f"{shop}-user-{n}", self.at(day, 12, n), amount)
            rows.append(paid | {"fee_fen": amount * 6 // 1_000})
            if n == _HALF_BACK:
                back = {"event_type": "refunded", "refund_no": f"{shop}-back-{n}", "amount_fen": amount // 2}
                at = {"event_id": f"{shop}-back-{n}", "occurred_at": self.at(day, 18, n)}
                rows.append(paid | back | at)

    def guided(self, go_live: date) -> None:
        """Users scan one terminal on their first day and come back on one other: more than a terminal's cap."""
        first, again = go_live + timedelta(days=2), go_live + timedelta(days=4)
        for n in range(GUIDED_USERS):
            user = f"{GUIDED}-user-{n}"
            self.visit(GUIDED, user, first, self.at(first, 11, n), terminal="sim-terminal-0")
            self.visit(GUIDED, user, again, self.at(again, 11, n))

    def late(self, go_live: date, last_day: date) -> None:
        """A trade and a return visit of the first day come with the last day's rows, when their points have expired."""
        came, user = go_live - timedelta(days=2), f"{GUIDED}-user-late"
        self.visit(GUIDED, user, came, self.at(came, 11, 0), delivered=go_live, terminal="sim-terminal-1")
        delivered = last_day + timedelta(days=1)
        self.visit(GUIDED, user, go_live, self.at(go_live, 11, 0), delivered=delivered)
        paid = self.paid(GUIDED, "late", f"{GUIDED}-user-payer", self.at(go_live, 12, 0), 40_000)
        self.add("payments", last_day, paid)

    def suspected(self, go_live: date, campaign: Programme) -> None:
        """The brushing, and cards of the campaign that both payers took the day before.

        Somebody who is guided there the day after comes back while that still speaks against the shop.
        """
        taken, day, guided, again = (go_live + timedelta(days=n) for n in (3, 4, 5, 7))
        user = f"{BRUSHED}-user-guided"
        self.visit(BRUSHED, user, guided, self.at(guided, 9, 0), terminal="sim-terminal-2")
        self.visit(BRUSHED, user, again, self.at(again, 9, 0))
        enrolment = {"programme": campaign.name, "party": BRUSHED, "from": str(go_live)}
        self.add("enrolments", go_live, enrolment | {"origin": "simulated"})
        for n, hired in enumerate(self.brushed(BRUSHED, day)):
            self.card(campaign, hired, f"{BRUSHED}-card-{n}", taken, n)

    def late_card(self, campaign: Programme, last_day: date) -> None:
        """Who took a card comes back on the campaign's first date, told when its points have expired."""
        user, first = f"{BRUSHED}-user-card", campaign.from_day
        self.card(campaign, user, f"{BRUSHED}-card-late", first - timedelta(days=1), 30)
        self.visit(BRUSHED, user, first, self.at(first, 11, 0), delivered=last_day + timedelta(days=1))

    def card(self, campaign: Programme, user: str, number: str, day: date, minute: int) -> None:
        """A card of the campaign, taken at the brushed shop."""
        activity = next(a for r in campaign.rules if r.kind == "voucher_return" for a in r.activities)
        row = self.event(number, "received", BRUSHED, user, self.at(day, 9, minute))
        self.add("vouchers", day, row | {"voucher_code": number, "activity_id": activity})


def _shop(number: int, go_live: date) -> Row:
    joined, shop = str(go_live - timedelta(days=300)), f"sim-shop-{number}"
    row: Row = {"merchant_id": shop, "name": f"Simulated shop {number}", "industry": INDUSTRY}
    row |= {"own_brand": True, "joined_on": joined, "valid_from": joined, "origin": "simulated"}
    if shop in SERVED:
        return row | {"service_provider_id": provider_id(number)}
    return row | {"mini_program_id": mini_program_id(shop)}
