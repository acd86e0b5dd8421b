"""What chance leaves out of the random lake: one small merchant for each edge that a definition turns on.

Every user here has few rows, so that nothing beside them hides the edge.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Row = tuple[str, dict[str, Any]]
"""A core table and one of its rows."""

_NULL_DAYS = {"n1": (5,), "n2": (40,), "n3": (40, 5), "n4": (34, 33, 27, 6), "n5": (80, 5)}
"""Merchants whose only visitor is nobody known, and how many days ago they came: new, churned, retained and so on."""
_USERS: dict[str, list[tuple[int, dict[str, Any]]]] = {
    "short": [(3, {"event_type": "page_view", "stay_ms": 1000})],
    "untold": [(4, {"event_type": "page_view", "stay_ms": None})],
    "first of P28": [(55, {})],
    "first of P28, and again": [(55, {}), (5, {})],
    "back after P28": [(90, {}), (55, {}), (5, {})],
    "bound late": [(20, {"event_type": "paid"}), (12, {"event_type": "launch"})],
    "paid 89 days ago": [(89, {"event_type": "paid"}), (3, {"event_type": "paid"})],
}
"""Users of merchant e1: what they did, and how many days ago; a launch where nothing is said."""


def edges(first: date, last: date, zone: str) -> Iterator[Row]:
    """Rows as of ``last``; the first close is ``first``."""
    told = _Rows(first, last, zone)
    for merchant, days in _NULL_DAYS.items():
        for back in days:
            yield told.visit(merchant, None, back, "launch")
            yield told.visit(merchant, None, back, "paid")
    for user, acts in _USERS.items():
        for back, act in acts:
            kind = act.get("event_type", "launch")
            yield told.visit("e1", user, back, kind, **{k: v for k, v in act.items() if k != "event_type"})
    # The same code twice.
    for back in (50, 30):
        code = {"voucher_code": "twice", "activity_id": "a"}
        yield told.row("core_voucher_events", "e1", "holder", back, event_type="received", **code)
    # Two slots in one hour, a trade within it and one at its end.
    for slot, arm, hour in (
        ("search_box", "treated", 9),
        ("app_centre", "treated", 9),
        ("search_box", "holdout", 12),
    ):
        shown = {"slot": slot, "arm": arm, "source": "points", "impressions": 1000, "clicks": 3}
        yield told.row("core_traffic_hours", "e2", None, 6, hour, event_type="delivered", **shown)
    for hour in (9, 10, 12):
        yield told.visit("e2", None, 6, "paid", hour)


class _Rows:
    def __init__(self, first: date, last: date, zone: str) -> None:
        self.first, self.last, self.zone, self.count = first, last, ZoneInfo(zone), 0

    def visit(self, merchant: str, user: str | None, back: int, kind: str, hour: int = 9, **own: Any) -> Row:
        if kind != "paid":
            return self.row("core_mini_program_events", merchant, user, back, hour, event_type=kind, **own)
        trade = {"amount_fen": 500, "platform_discount_fen": 0, "trade_no": f"e{self.count}"}
        return self.row("core_payments", merchant, user, back, hour, event_type="paid", **trade)

    def row(self, name: str, merchant: str, user: str | None, back: int, hour: int = 9, **own: Any) -> Row:
        self.count += 1
        day = self.last - timedelta(days=back)
        taken = max(self.first, day)
        row: dict[str, Any] = {
            "event_id": f"edge-{self.count:03d}",
            "merchant_id": merchant,
            "occurred_at": datetime(day.year, day.month, day.day, hour, tzinfo=self.zone).astimezone(UTC),
            "business_date": day,
            "delivery_date": taken + timedelta(days=1),
            "taken_on": taken,
            "origin": "real",
            "content_hash": "",
        }
        if name != "core_traffic_hours":
            row["user_key"] = user
        return name, row | own
