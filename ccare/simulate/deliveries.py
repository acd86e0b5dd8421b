"""Rows of simulated shops on their way to landing files: events with the clocks and ids that the contract asks for."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ccare.simulate.files import write_lines

Row = dict[str, Any]
Delivery = tuple[str, date]
HIRED = 2
BRUSHED_TRADES = 40


class Deliveries:
    """Rows by stream and delivery date; every event has origin simulated."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.rows: dict[Delivery, list[Row]] = defaultdict(list)

    def write(self, landing: Path, name: str) -> int:
        """One file called ``name`` a stream and delivery date; gives the rows."""
        for (stream, delivered), rows in self.rows.items():
            write_lines(landing / stream / str(delivered) / name, rows)
        return sum(map(len, self.rows.values()))

    def add(self, stream: str, day: date, *rows: Row) -> None:
        """Rows of ``day`` in the folder dated the day after."""
        self.rows[stream, day + timedelta(days=1)].extend(rows)

    def visit(
        self,
        shop: str,
        user: str,
        day: date,
        at: str,
        *,
        delivered: date | None = None,
        terminal: str | None = None,
    ) -> None:
        """A launch of the shop's mini-program, by a scan where ``terminal`` is given."""
        row = self.event(f"{user}-{day}", "launch", shop, user, at)
        row |= {"scene": "1011", "terminal_id": terminal} if terminal else {"scene": "1005"}
        self.rows["mini_program", delivered or day + timedelta(days=1)].append(row)

    def brushed(self, shop: str, day: date) -> list[str]:
        """Forty trades of two hired payers within an hour; gives the payers."""
        hired = [f"{shop}-hired-{n}" for n in range(HIRED)]
        for n in range(BRUSHED_TRADES):
            paid = self.paid(shop, f"hired-{n}", hired[n % HIRED], self.at(day, 10, n), 20_000)
            self.add("payments", day, paid)
        return hired

    def paid(self, shop: str, name: str, user: str, at: str, amount: int) -> Row:
        """A trade without a fee."""
        row = self.event(f"{shop}-{name}", "paid", shop, user, at)
        return row | {"trade_no": f"{shop}-{name}", "amount_fen": amount, "fee_fen": 0}

    def event(self, event_id: str, kind: str, shop: str, user: str, at: str) -> Row:
        """What every event says."""
        row = {"event_id": event_id, "event_type": kind, "occurred_at": at, "merchant_id": shop}
        return row | {"user_id": user, "origin": "simulated"}

    def at(self, day: date, hour: int, minute: int) -> str:
        """A local time as an instant."""
        at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
        return at.astimezone(UTC).isoformat()
