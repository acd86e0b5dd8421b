"""A landing folder that is small enough to check by hand and wide enough to score: 60 merchants, a few days."""

import json
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

FIRST = date(2026, 3, 1)
MERCHANTS = 60


def write_day(landing: Path, day: date, *, history: int = 0, seed: int = 7) -> None:
    """Deliver ``day`` (and ``history`` days before it) in folders dated ``day`` + 1."""
    draw = random.Random(f"{seed}|{day}")
    days = [day - timedelta(days=n) for n in range(history, -1, -1)]
    delivered = day + timedelta(days=1)
    lines: dict[str, list[dict[str, Any]]] = {
        "payments": [],
        "mini_program": [],
        "life_account": [],
        "vouchers": [],
    }
    for d in days:
        for number in range(120):
            _visit(lines, draw, d, number)
    if history:
        _write(landing, "merchants", delivered, [_merchant(n) for n in range(MERCHANTS)])
    for stream, rows in lines.items():
        _write(landing, stream, delivered, rows)


def _merchant(number: int) -> dict[str, Any]:
    return {
        "merchant_id": f"m{number}",
        "name": f"Merchant {number}",
        "industry": "retail" if number % 3 else "catering",
        "own_brand": False,
        "mini_program_id": f"mp{number}",
        "joined_on": "2025-01-01",
        "valid_from": "2025-01-01",
    }


def _visit(lines: dict[str, list[dict[str, Any]]], draw: random.Random, day: date, number: int) -> None:
    at = datetime.combine(day, datetime.min.time(), UTC) + timedelta(minutes=draw.randrange(60, 900))
    common = {
        "merchant_id": f"m{draw.randrange(MERCHANTS)}",
        "user_id": f"user-{draw.randrange(40)}",
        "occurred_at": at.isoformat().replace("+00:00", "Z"),
    }
    tag = f"{day}-{number}"
    lines["mini_program"].append({"event_id": f"v{tag}", "event_type": "launch", "scene": "1005", **common})
    if number % 2 == 0:
        paid = {"event_id": f"p{tag}", "event_type": "paid", "trade_no": f"t{tag}", "fee_fen": 3, **common}
        lines["payments"].append(
            {**paid, "amount_fen": draw.randrange(100, 90_000), "merchant_discount_fen": 5}
        )
    if number % 10 == 0:
        back = {
            "event_id": f"r{tag}",
            "event_type": "refunded",
            "trade_no": f"t{tag}",
            "refund_no": f"r{tag}",
        }
        lines["payments"].append({**common, **back, "amount_fen": 60})
    if number % 5 == 0:
        lines["life_account"].append({"event_id": f"l{tag}", "event_type": "follow", **common})
    if number % 7 == 0:
        voucher = {"voucher_code": f"c{tag}", "activity_id": "a1"}
        lines["vouchers"].append({"event_id": f"c{tag}", "event_type": "received", **voucher, **common})


def _write(landing: Path, stream: str, delivered: date, rows: list[dict[str, Any]]) -> None:
    folder = landing / stream / delivered.isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    if rows:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{stream}.jsonl").write_text(text)
