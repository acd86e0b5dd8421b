"""A few simulated shops for the demo: what its real purchases cannot show of programmes.

Panel shops pay no fees, nobody serves them, none is suspected, and every row of theirs comes in time. So four shops of
an industry of their own, every row with origin simulated: two pay fees and are served by a provider, one has visitors
guided at one terminal and rows that come late, and one is brushed: two hired payers, forty trades within an hour.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ccare.ledger.programmes import Programme
from ccare.simulate.files import write_lines
from ccare.simulate.providers import provider_id

INDUSTRY = "SIMULATED"
SERVED = ("sim-shop-0", "sim-shop-1")
"""Shops that pay fees; provider 0 serves the first, provider 1 the second."""
GUIDED, BRUSHED = "sim-shop-2", "sim-shop-3"
SETTLED_TRADES = 12
GUIDED_USERS = 4
BRUSHED_TRADES = 40
_FILE = "simulated-shops.jsonl"
_SETTLED_FROM = 38
"""Days before go-live of the first trade with a fee: settled, and in the month, when the demo's week ends."""
_HALF_BACK = 3
"""The trade of which half is returned: its fee counts by half."""

Row = dict[str, Any]
Delivery = tuple[str, date]


def write_shops(landing: Path, go_live: date, last_day: date, timezone: str, campaign: Programme) -> int:
    """Write the shops and their rows beside the landing files of the history and the go-live week; gives the rows.

    The brushed shop takes part in ``campaign``. The same parameters give the same bytes.
    """
    deliveries = _Deliveries(ZoneInfo(timezone))
    deliveries.rows["merchants", go_live] += (_shop(n, go_live) for n in range(4))
    for number, shop in enumerate((*SERVED, BRUSHED)):
        deliveries.settled(shop, 100_000 * (number + 1), go_live)
    deliveries.guided(go_live)
    deliveries.late(go_live, last_day)
    deliveries.brushed(go_live, campaign)
    for (stream, delivered), rows in deliveries.rows.items():
        write_lines(landing / stream / str(delivered) / _FILE, rows)
    return sum(map(len, deliveries.rows.values()))


class _Deliveries:
    """Rows by stream and delivery date."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.rows: dict[Delivery, list[Row]] = defaultdict(list)

    def settled(self, shop: str, fen: int, go_live: date) -> None:
        """A trade every other day, each with a fee of 0.6 %, long before the week; half of one is returned."""
        rows = self.rows["payments", go_live]
        for n in range(SETTLED_TRADES):
            day, amount = go_live - timedelta(days=_SETTLED_FROM - 2 * n), fen + 1_337 * n
            paid = self._paid(shop, f"settled-{n}", f"{shop}-user-{n}", self._at(day, 12, n), amount)
            rows.append(paid | {"fee_fen": amount * 6 // 1_000})
            if n == _HALF_BACK:
                back = {"event_type": "refunded", "refund_no": f"{shop}-back-{n}", "amount_fen": amount // 2}
                at = {"event_id": f"{shop}-back-{n}", "occurred_at": self._at(day, 18, n)}
                rows.append(paid | back | at)

    def guided(self, go_live: date) -> None:
        """Users scan one terminal on their first day and come back on one other: more than a terminal's cap."""
        first, again = go_live + timedelta(days=2), go_live + timedelta(days=4)
        for n in range(GUIDED_USERS):
            user = f"{GUIDED}-user-{n}"
            self._visit(GUIDED, user, self._at(first, 11, n), first, terminal="sim-terminal-0")
            self._visit(GUIDED, user, self._at(again, 11, n), again)

    def late(self, go_live: date, last_day: date) -> None:
        """A trade and a return visit of the first day come with the last day's rows, when their points have expired."""
        came, user = go_live - timedelta(days=2), f"{GUIDED}-user-late"
        self._visit(GUIDED, user, self._at(came, 11, 0), came, delivered=go_live, terminal="sim-terminal-1")
        delivered = last_day + timedelta(days=1)
        self._visit(GUIDED, user, self._at(go_live, 11, 0), go_live, delivered=delivered)
        paid = self._paid(GUIDED, "late", f"{GUIDED}-user-payer", self._at(go_live, 12, 0), 40_000)
        self.rows["payments", delivered].append(paid)

    def brushed(self, go_live: date, campaign: Programme) -> None:
        """Two payers, forty trades within an hour, and cards of the campaign that both took the day before.

        Somebody who is guided there the day after comes back while that still speaks against the shop.
        """
        taken, day, guided, again = (go_live + timedelta(days=n) for n in (3, 4, 5, 7))
        hired, user = [f"{BRUSHED}-hired-{n}" for n in range(2)], f"{BRUSHED}-user-guided"
        self._visit(BRUSHED, user, self._at(guided, 9, 0), guided, terminal="sim-terminal-2")
        self._visit(BRUSHED, user, self._at(again, 9, 0), again)
        enrolment = {"programme": campaign.name, "party": BRUSHED, "from": str(go_live)}
        told = self.rows["enrolments", go_live + timedelta(days=1)]
        told.append(enrolment | {"origin": "simulated"})
        activity = next(
            a for rule in campaign.rules if rule.kind == "voucher_return" for a in rule.activities
        )
        for n, user in enumerate(hired):
            card = {"voucher_code": f"{BRUSHED}-card-{n}", "activity_id": activity}
            row = self._event(f"{BRUSHED}-card-{n}", "received", BRUSHED, user, self._at(taken, 9, n))
            self.rows["vouchers", day].append(row | card)
        trades = self.rows["payments", day + timedelta(days=1)]
        for n in range(BRUSHED_TRADES):
            trades.append(self._paid(BRUSHED, f"hired-{n}", hired[n % 2], self._at(day, 10, n), 20_000))

    def _paid(self, shop: str, name: str, user: str, at: str, amount: int) -> Row:
        row = self._event(f"{shop}-{name}", "paid", shop, user, at)
        return row | {"trade_no": f"{shop}-{name}", "amount_fen": amount, "fee_fen": 0}

    def _visit(
        self,
        shop: str,
        user: str,
        at: str,
        day: date,
        *,
        delivered: date | None = None,
        terminal: str | None = None,
    ) -> None:
        row = self._event(f"{user}-{day}", "launch", shop, user, at)
        row |= {"scene": "1011", "terminal_id": terminal} if terminal else {"scene": "1005"}
        self.rows["mini_program", delivered or day + timedelta(days=1)].append(row)

    def _event(self, event_id: str, kind: str, shop: str, user: str, at: str) -> Row:
        row = {"event_id": event_id, "event_type": kind, "occurred_at": at, "merchant_id": shop}
        return row | {"user_id": user, "origin": "simulated"}

    def _at(self, day: date, hour: int, minute: int) -> str:
        at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
        return at.astimezone(UTC).isoformat()


def _shop(number: int, go_live: date) -> Row:
    joined = str(go_live - timedelta(days=300))
    row: Row = {"merchant_id": f"sim-shop-{number}", "name": f"Simulated shop {number}", "industry": INDUSTRY}
    row |= {"own_brand": True, "joined_on": joined, "valid_from": joined, "origin": "simulated"}
    return row | ({"service_provider_id": provider_id(number)} if row["merchant_id"] in SERVED else {})
