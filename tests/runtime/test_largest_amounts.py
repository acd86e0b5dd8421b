"""Amounts as large as a line may say, and larger: refused by name, or the day closes and the books hold."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from ccare.runtime import deltalog, manifest
from ccare.runtime.settings import Settings
from ccare.runtime.verify import verify_lake
from ccare.tables.streams import MOST_UNITS
from tests.runtime.test_closing import DAYS, close, settings_in
from tests.small_landing import write_day

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def test_a_day_with_the_largest_amounts_closes(three_days: Settings, tmp_path: Path) -> None:
    """Nine trades at the bound in one day of one merchant, and one fen more in another; a funding likewise."""
    for name in ("lake", "landing"):
        shutil.copytree(getattr(three_days, name), tmp_path / name)
    settings, day = settings_in(tmp_path), DAYS[-1] + timedelta(days=1)
    write_day(settings.landing, day)
    paid = {"event_type": "paid", "merchant_id": "m1", "user_id": "u", "occurred_at": f"{day}T09:00:00Z"}
    amounts = [MOST_UNITS] * 9 + [MOST_UNITS + 1, 2**63 - 1, 2**63]
    trades = [
        paid | {"event_id": f"x{n}", "trade_no": f"x{n}", "amount_fen": a} for n, a in enumerate(amounts)
    ]
    fund = {"pool": "fanxing", "asset": "POINT", "effective_date": str(day), "asked_by": "Ann"}
    sums = (MOST_UNITS, MOST_UNITS + 1, 0, -5)
    fundings = [fund | {"approval": f"F-{n}", "amount": amount} for n, amount in enumerate(sums)]
    for stream, rows in (("payments", trades), ("funding", fundings)):
        folder = settings.landing / stream / str(day + timedelta(days=1))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "large.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    close(settings, day)
    assert manifest.published(settings.lake)[-1].business_date == day
    refused = [tuple(r["reasons"]) for r in deltalog.rows(settings.lake, "core_rejected_events")]
    assert refused.count(("bad_amount_fen",)) == 3 and refused.count(("bad_amount",)) == 3
    key = next(
        p
        for p in deltalog.rows(settings.lake, "ledger_positions")
        if (p["merchant_id"], p["effective_date"], p["rule"]) == ("m1", day, "trade_net")
    )
    assert key["asked"] >= 9 * MOST_UNITS * 500 // 1_000_000, "the whole of it is asked for"
    assert 0 <= key["granted"] <= key["asked"] and key["granted"] + key["cut_by_pool"] == key["asked"]
    assert verify_lake(settings, lambda line: None).ok
