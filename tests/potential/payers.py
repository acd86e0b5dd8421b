"""Users who pay as BG/NBD and Gamma-Gamma say, drawn by seed, as core rows; and their paid days told row by row."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

import numpy as np

from ccare.runtime.settings import Settings

START, LAST, FIRST_CLOSE = date(2017, 1, 1), date(2017, 9, 30), date(2017, 9, 20)
POSTED = datetime(2017, 10, 1, 2, 0, tzinfo=UTC)
MERCHANTS, USERS = 12, 180
Row = dict[str, Any]


@dataclass(frozen=True)
class World:
    """The settings of a published lake and the core rows in it."""

    settings: Settings
    payments: list[Row]


def drawn_payments() -> list[Row]:
    rng, rows = np.random.default_rng(20170101), []
    for i in range(MERCHANTS):
        r, alpha, a, b = 0.8 + 0.05 * i, 25.0 + i, 0.5, 3.0
        for u in range(USERS):
            rate, leaves = rng.gamma(r, 1 / alpha), rng.beta(a, b)
            level = rng.gamma(3.0, 1.0)
            at = float(rng.uniform(0, 200))
            days = {int(at)}
            while rng.random() > leaves and (at := at + rng.exponential(1 / rate)) < (LAST - START).days + 1:
                days.add(int(at))
            for day in sorted(days):
                amount = int(100 + 1000 * rng.gamma(4.0, level / 4.0))
                on = START + timedelta(days=day)
                rows.append(_paid(f"m{i:02}", f"u{u:03}", on, amount, len(rows)))
    return rows


def odd_payments() -> list[Row]:
    """Staff, nobody known, a user refunded to nothing on a repeat day, a merchant that never takes any money."""
    rows = [_paid("m00", "staff", START + timedelta(days=n), 10_000, 900_000 + n) for n in range(60)]
    rows += [_paid("m00", None, START + timedelta(days=n), 10_000, 910_000 + n) for n in range(30)]
    rows += [_paid("m00", "back", START + timedelta(days=n), 500, 920_000 + n) for n in (0, 10, 20)]
    trade = rows[-2]
    rows.append(
        {
            **trade,
            "event_id": "refund",
            "event_type": "refunded",
            "refund_no": "r1",
            "business_date": date(2017, 3, 1),
        }
    )
    rows += [_paid("free", f"u{n}", START + timedelta(days=n), 0, 930_000 + n) for n in range(5)]
    return rows


def _paid(merchant: str, user: str | None, day: date, amount: int, number: int) -> Row:
    return provenance() | {
        "event_id": f"p{number}",
        "event_type": "paid",
        "merchant_id": merchant,
        "user_key": user,
        "occurred_at": datetime(day.year, day.month, day.day, 12, tzinfo=UTC),
        "business_date": day,
        "trade_no": f"t{number}",
        "amount_fen": amount,
        "slot": "unknown",
        "taken_on": max(day, FIRST_CLOSE),
    }


def merchant(i: int) -> Row:
    return provenance() | {
        "merchant_id": f"m{i:02}",
        "name": f"Merchant {i}",
        "industry": ("food", "books")[i % 2],
        "city_tier": "1",
        "own_brand": False,
        "joined_on": START,
        "valid_from": START,
    }


def provenance() -> Row:
    return {
        "delivery_date": FIRST_CLOSE,
        "taken_on": FIRST_CLOSE,
        "origin": "simulated",
        "content_hash": sha256(b"test").hexdigest(),
        "file_sha256": sha256(b"test").hexdigest(),
    }


def paid_days(payments: list[Row], until: date) -> dict[tuple[str, str], dict[date, int]]:
    """The oracle: (merchant, user) -> paid day -> what it nets by ``until``, told row by row."""
    refunds: dict[tuple[str, str], int] = {}
    for row in payments:
        if row["event_type"] == "refunded" and row["business_date"] <= until:
            key = (row["merchant_id"], row["trade_no"])
            refunds[key] = refunds.get(key, 0) + row["amount_fen"]
    told: dict[tuple[str, str], dict[date, int]] = {}
    for row in payments:
        counted = row["event_type"] == "paid" and row["user_key"] not in (None, "staff")
        if counted and row["business_date"] <= until:
            days = told.setdefault((row["merchant_id"], row["user_key"]), {})
            net = row["amount_fen"] - refunds.get((row["merchant_id"], row["trade_no"]), 0)
            days[row["business_date"]] = days.get(row["business_date"], 0) + net
    return told
