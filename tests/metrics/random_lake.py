"""Seeded random core tables: each seed is a merchant of one lake, few users, so that edge cases collide.

Deliveries are late, reordered and a day ahead; users are unknown or staff; relations go on and off; refunds come
before their trades; vouchers are used, given back and used again; traffic has arms; slots are known, unknown, none.
"""

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from ccare.runtime.rowstore import arrow_rows
from ccare.tables import table
from tests.metrics.random_edges import edges
from tests.metrics.random_models import random_models
from tests.oracle.from_core import SLOTS

ZONE = "Asia/Shanghai"
LAST = date(2024, 6, 30)
FIRST = LAST - timedelta(days=36)
"""First day ever closed: history before it is taken in one pass. A Saturday; LAST is a Sunday."""
LENGTHS = {seed: 130 if seed % 6 == 5 else 60 for seed in range(24)}
TABLES = (
    "core_payments",
    "core_mini_program_events",
    "core_life_account_events",
    "core_voucher_events",
    "core_traffic_hours",
    "core_merchants",
    "core_staff",
)
_MINI = [
    "launch",
    "launch",
    "page_view",
    "item_view",
    "collect",
    "uncollect",
    "subscribe",
    "refuse",
    "message_delivered",
    "message_delivered",
    "message_click",
    "share",
    "order_submit",
    "member_join",
    "member_leave",
]
_LIFE = [
    "follow",
    "unfollow",
    "expose",
    "view",
    "view",
    "view",
    "like",
    "comment",
    "share",
    "live_enter",
    "voucher_click",
    "mini_program_click",
]


class _Merchant:
    """Rows of one merchant."""

    def __init__(self, seed: int, rows: dict[str, list[dict[str, Any]]]) -> None:
        self.draw, self.rows, self.name = random.Random(seed), rows, f"s{seed:02d}"
        self.days = LENGTHS[seed]
        self.users = {f"u{n}": self._visits() for n in range(self.draw.choice([6, 10, 14]))}
        self.count = 0

    def _visits(self) -> set[date]:
        """Days on which a user may come: a few in a row, then a gap of days, weeks or two months."""
        draw, days = self.draw, set()
        back = draw.randrange(self.days + 1)
        while back >= 0:
            for _ in range(draw.randrange(1, 9)):
                days.add(LAST - timedelta(days=back))
                back -= 1
            back -= draw.choice([1, 3, 7, 21, 27, 28, 29, 40, 57])
        return days

    def fill(self) -> None:
        draw = self.draw
        self._describe()
        for back in range(self.days, -1, -1):
            day = LAST - timedelta(days=back)
            for _ in range(draw.randrange(6)):
                self._event(day)

    def _describe(self) -> None:
        draw = self.draw
        start = LAST - timedelta(days=draw.randrange(self.days + 40))
        end = start + timedelta(days=draw.randrange(90)) if draw.random() < 0.3 else None
        if draw.random() < 0.9:
            row = {"merchant_id": self.name, "industry": draw.choice(["cafe", "bar"]), "valid_from": start}
            self.rows["core_merchants"].append(row | {"valid_to": end, "taken_on": max(FIRST, start)})
        if draw.random() < 0.6:
            taken = max(FIRST, LAST - timedelta(days=draw.randrange(50)))
            row = {"merchant_id": self.name, "user_key": draw.choice(sorted(self.users)), "taken_on": taken}
            self.rows["core_staff"].append(row)

    def _event(self, day: date) -> None:
        draw, pick = self.draw, self.draw.random()
        here = sorted(user for user, days in self.users.items() if day in days)
        user = draw.choice(here) if here and draw.random() > 0.08 else None
        if pick < 0.30:
            kind = draw.choice(_MINI)
            stay = draw.choice([None, 999, 1000]) if kind == "page_view" else None
            self._add("core_mini_program_events", day, user, event_type=kind, stay_ms=stay)
        elif pick < 0.55:
            self._add("core_life_account_events", day, user, event_type=draw.choice(_LIFE))
        elif pick < 0.80:
            self._trade(day, user)
        elif pick < 0.90:
            self._voucher(day, user)
        else:
            self._add(
                "core_traffic_hours",
                day,
                None,
                event_type="delivered",
                slot=draw.choice([*SLOTS, "odd_slot"]),
                impressions=draw.randrange(4000),
                clicks=draw.randrange(40),
                source=draw.choice(["free", "points", "points", "paid"]),
                arm=draw.choice(["treated", "treated", "holdout"]),
            )

    def _trade(self, day: date, user: str | None) -> None:
        draw = self.draw
        amount, trade = draw.choice([0, 1, 990, 12_345]), f"t{self.count}"
        discount, fee = draw.choice([None, 0, 37]), draw.choice([None, 3])
        paid = {"amount_fen": amount, "trade_no": trade, "merchant_discount_fen": discount, "fee_fen": fee}
        paid["platform_discount_fen"] = self.count % 50
        self._add("core_payments", day, user, event_type="paid", **paid)
        while amount and draw.random() < 0.3:
            part = draw.randrange(1, amount + 1)
            amount -= part
            later = day + timedelta(days=draw.randrange(30))
            self._add("core_payments", later, user, event_type="refunded", amount_fen=part, trade_no=trade)

    def _voucher(self, day: date, user: str | None) -> None:
        draw = self.draw
        code = {"voucher_code": f"v{self.count}", "activity_id": "a"}
        self._add("core_voucher_events", day, user, event_type="received", **code)
        for kind in ("used", "unused", "used", "unused"):
            if draw.random() < 0.35:
                break
            day += timedelta(days=draw.choice([0, 0, 3, 12]))
            self._add("core_voucher_events", day, user, event_type=kind, **code)

    def _add(self, name: str, day: date, user: str | None, **own: Any) -> None:
        draw = self.draw
        ahead_or_late = draw.choice([-1, 0, 0, 0, 0, 0, 0, 1, 2, 9, 20, 45])
        taken = max(FIRST, day + timedelta(days=ahead_or_late))
        self.count += 1
        if day > LAST or taken > LAST:
            return
        # On the hour, so that instants tie and ids decide.
        local = datetime(day.year, day.month, day.day, draw.choice([0, 9, 9, 23]), tzinfo=ZoneInfo(ZONE))
        row = {
            "event_id": f"{self.name}-{draw.randrange(1000):03d}-{self.count}",
            "merchant_id": self.name,
            "occurred_at": local.astimezone(UTC),
            "business_date": day,
            "delivery_date": taken + timedelta(days=1),
            "taken_on": taken,
            "slot": draw.choice([*SLOTS, "unknown", "life_channel", None]),
            "origin": draw.choice(["real", "simulated"]),
            "content_hash": "",
        }
        if name != "core_traffic_hours":
            row["user_key"] = user
        self.rows[name].append(row | own)


def random_lake(seeds: dict[int, int] = LENGTHS) -> dict[str, pa.Table]:
    """Core tables with every seed as a merchant and the edges beside them, and score_potentials."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for seed in seeds:
        _Merchant(seed, rows).fill()
    for name, row in edges(FIRST, LAST, ZONE):
        rows[name].append(row)
    told = {name: arrow_rows(table(name), rows[name]) for name in TABLES}
    return told | {"score_potentials": random_models([f"s{seed:02d}" for seed in seeds], LAST)}
