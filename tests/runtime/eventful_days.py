"""Nine days in which everything happens to points that can: two programmes with a pool each, short terms.

Terms are 1 day to mature and 2 to expire, so that whole lives of lots fit in. Multipliers follow scores: sums of
points are never written out here, only what happens to them.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from ccare.ledger.approvals import asked_under
from ccare.runtime import deltalog
from ccare.runtime.settings import Settings, default_conf
from tests.small_landing import FIRST, write_day

DAYS = [FIRST + timedelta(days=n) for n in range(9)]
SPENT = 80
"""Points that h1 redeems before its sale is refunded whole."""
_PROGRAMME = """
[[pools]]
name = "{pool}"
programme = "{name}"
[[programmes]]
name = "{name}"
title = "{name}"
from = {first}
pool = "{pool}"
eligibility = "everyone"
maturity_days = 1
expiry_days = 2
[[programmes.rules]]
name = "trade_net"
per_fen = {per_fen}
"""
_FUNDING = '[[fundings]]\npool = "{pool}"\namount = 1_000_000\ndate = {first}\napproval = "A-{pool}"\n'
Row = dict[str, Any]


def write_policy(conf: Path, scoring: Path) -> None:
    """A conf folder of these terms; scores go by the policy of ``scoring``."""
    conf.mkdir(parents=True)
    (conf / "scoring.toml").write_bytes((scoring / "scoring.toml").read_bytes())
    programmes = f'version = "eventful"\ngo_live = {FIRST}\n'
    programmes += '[[pools]]\nname = "traffic"\nprogramme = "f"\nasset = "IMPRESSION"\n'
    for name, pool, per_fen in (("f", "p", 1_000), ("g", "q", 2_000)):
        programmes += _PROGRAMME.format(name=name, pool=pool, per_fen=per_fen, first=FIRST)
    (conf / "programmes.toml").write_text(programmes)
    (conf / "funding.toml").write_text(
        "".join(_FUNDING.format(pool=pool, first=FIRST) for pool in ("p", "q", "traffic"))
    )
    slots = (default_conf() / "slots.toml").read_text(encoding="utf-8")
    # No hour is withheld: what is delivered is charged.
    terms = {"minimum_points": 1, "run_days": 1, "settle_days": 2, "holdout_percent": 0}
    for name, value in terms.items():
        (line,) = [line for line in slots.splitlines() if line.startswith(f"{name} = ")]
        slots = slots.replace(line, f"{name} = {value}")
    (conf / "slots.toml").write_text(slots, encoding="utf-8")


def deliver(settings: Settings, n: int) -> None:
    """What is delivered for the close of the n-th day, counted from 0."""
    write_day(settings.landing, DAYS[n], history=90 if n == 0 else 0)
    for stream, rows in _what_happens(settings, n).items():
        folder = settings.landing / stream / str(DAYS[n] + timedelta(days=1))
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(row, default=str) + "\n" for row in rows)
        (folder / "eventful.jsonl").write_text(text)


def _what_happens(settings: Settings, n: int) -> Mapping[str, list[Row]]:
    fund = {"approval": "F-1", "pool": "p", "asset": "POINT", "amount": 500, "effective_date": DAYS[3]}
    fund |= {"asked_by": "Ann"}
    days: list[Mapping[str, list[Row]]] = [
        {
            "merchants": [_merchant(name) for name in ("h1", "h2", "h3", "h4", "h5")],
            "payments": [_paid("h1", 0, 200_000), _paid("h2", 0, 100_000)],
        },
        {"redemptions": [_request("r1", "h1", SPENT, 1)]},
        {
            "traffic": [_traffic("r1", "h1", SPENT * 10, 2)],
            "redemptions": [_request("r2", "h2", 30, 2), _request("r3", "h2", 1_000_000, 2)],
            "funding": [fund],
        },
        {
            "payments": [_refunded("h1", 0, 200_000, 3), _paid("h4", 3, 90_000)],
            "traffic": [_traffic("r2", "h2", 150, 3)],
            "approvals": [_yes([fund], [])],
        },
        # h3's sale is three days old, its last usable day is today.
        {"payments": [_paid("h1", 4, 50_000), _paid("h3", 1, 70_000), _paid("h5", 4, 60_000)]},
        {"payments": [_refunded("h5", 4, 20_000, 5)]},
        {},
        {"payments": [_paid("h5", 7, 30_000), _refunded("h3", 1, 70_000, 6)]},
        {},
    ]
    if n in (5, 6):
        mistaken = [_of_h4(settings)]
        days[5] |= {"adjustments": mistaken}
        days[6] |= {"approvals": [_yes([], mistaken)]}
    return days[n]


def _at(n: int) -> str:
    return f"{datetime.combine(DAYS[n], datetime.min.time()).isoformat()[:11]}10:00:00Z"


def _merchant(name: str) -> Row:
    known = {"merchant_id": name, "name": name, "industry": "retail", "own_brand": False}
    return known | {"joined_on": date(2025, 1, 1), "valid_from": date(2025, 1, 1)}


def _paid(name: str, n: int, fen: int) -> Row:
    number = f"{name}-{n}"
    row = {"event_id": number, "event_type": "paid", "trade_no": number, "amount_fen": fen}
    return row | {"merchant_id": name, "user_id": f"of-{name}", "occurred_at": _at(n)}


def _refunded(name: str, n: int, fen: int, on: int) -> Row:
    back = {
        "event_id": f"back-{name}-{n}",
        "event_type": "refunded",
        "refund_no": "1",
        "occurred_at": _at(on),
    }
    return _paid(name, n, fen) | back


def _request(number: str, name: str, points: int, n: int) -> Row:
    row = {"request_id": number, "merchant_id": name, "requested_at": _at(n)}
    return row | {"slot": "search_box", "points": points}


def _traffic(number: str, name: str, impressions: int, n: int) -> Row:
    row = {"event_id": f"hour-{number}-{n}", "event_type": "delivered", "hour_start": _at(n)}
    row |= {"merchant_id": name, "slot": "search_box", "impressions": impressions, "clicks": 0}
    return row | {"source": "points", "arm": "treated", "grant_id": number}


def _of_h4(settings: Settings) -> Row:
    """Half of what programme f granted h4 on the fourth day, asked back."""
    (earned,) = [
        row
        for row in deltalog.rows(settings.lake, "ledger_transfers")
        if (row["merchant_id"], row["programme"], row["code"]) == ("h4", "f", "earn")
    ]
    row = {"approval": "J-1", "transfer_id": earned["transfer_id"], "amount": earned["amount"] // 2}
    return row | {"asked_by": "Ann", "note": "counted twice"}


def _yes(fundings: list[Row], adjustments: list[Row]) -> Row:
    ((reference, asked),) = asked_under(fundings, adjustments, []).items()
    return {"approval": reference, "digest": asked.digest, "approved_by": "Ben"}
