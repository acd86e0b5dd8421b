"""Payments made of WeChat bills through real closes: counted once, whoever tells of the trade later."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ccare.events.pseudonym import token_of
from ccare.runtime.settings import Settings
from ccare.runtime.verify import verify_lake
from tests.runtime.test_bills import (
    TELEPHONE,
    deliver,
    name_accounts,
    number_by_telephone,
    payments_of,
    rows_of,
)
from tests.runtime.test_closing import KEY, ROOT, close, settings_in
from tests.small_landing import FIRST, write_day
from tests.sources import bill_writer as w

pytestmark = [pytest.mark.spark, pytest.mark.slow]

DAYS = [FIRST + timedelta(days=n) for n in range(2)]


def conf_of_bill_payments(folder: Path) -> Path:
    """A policy folder that lets WeChat's bills become payments."""
    shutil.copytree(ROOT / "conf" / "demo", folder)
    policy = (ROOT / "conf" / "reconcile.toml").read_text()
    assert "payments_from = []" in policy, "off by default"
    made = policy.replace("payments_from = []", 'payments_from = ["wechat"]')
    (folder / "reconcile.toml").write_text(made)
    return folder


@pytest.fixture(scope="module")
def closed(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A bill of m0 with a trade of its own, refunded in part; the day after, payments events of that trade."""
    root = tmp_path_factory.mktemp("bill_payments")
    settings = settings_in(root).with_(conf=conf_of_bill_payments(root / "conf"))
    write_day(settings.landing, DAYS[0], history=90)
    name_accounts(settings.landing)
    number_by_telephone(settings.landing, DAYS[0], "m0")
    told = payments_of(settings.landing, DAYS[0])["m0"][0]
    assert told["trade_no"] == TELEPHONE, "the bill's line of it has to be known for that trade's"
    noon = f"{DAYS[0]} 12:00:00"
    rows = [
        w.wechat_row(trade_no="4200001", amount=1234, settled=1200, fee="0.07400", at=noon),
        w.wechat_row(trade_no="4200001", amount=34, refund_no="50001", at=f"{DAYS[0]} 13:00:00"),
        w.wechat_row(trade_no=told["trade_no"], amount=told["amount_fen"], at=noon),
    ]
    deliver(settings, "wechat_bill", DAYS[0], "w.csv", w.wechat_text(rows).encode())
    close(settings, DAYS[0])
    write_day(settings.landing, DAYS[1])
    (path,) = (settings.landing / "payments" / str(DAYS[1] + timedelta(days=1))).glob("*.jsonl")
    event = {"merchant_id": "m0", "trade_no": "4200001", "occurred_at": f"{DAYS[0]}T04:00:00Z"}
    late = [
        {**event, "event_id": "late-1", "event_type": "paid", "amount_fen": 1234},
        {**event, "event_id": "late-2", "event_type": "refunded", "refund_no": "50001", "amount_fen": 34},
    ]
    path.write_text(path.read_text() + "".join(json.dumps(row) + "\n" for row in late))
    close(settings, DAYS[1])
    return settings


def test_the_bills_trade_counts_once(closed: Settings) -> None:
    query = "select event_type, amount_fen, merchant_discount_fen, fee_fen, refund_no, user_key, taken_on"
    found = rows_of(closed, f"{query} from core_payments where trade_no = '4200001' order by event_type")
    user = token_of(KEY.encode(), w.OPENID)
    assert found == [
        ("paid", 1234, 34, 7, None, user, DAYS[0]),
        ("refunded", 34, 0, 0, "50001", user, DAYS[0]),
    ]
    refused = rows_of(
        closed, "select reasons, stream from core_rejected_events where delivery_date > '2026-03-02'"
    )
    assert refused == [(["duplicate_trade"], "payments")] * 2
    bill = rows_of(closed, "select rows_read, rows_accepted from raw_files where stream = 'wechat_bill'")
    assert bill == [(3, 3)], "every line has its own fate, whatever becomes of it"
    assert rows_of(closed, "select count(*) from core_payments where event_id like 'bill:%'") == [(2,)]


def test_a_lake_with_such_payments_verifies(closed: Settings) -> None:
    told = verify_lake(closed, lambda line: None)
    assert told.ok, told
    days = rows_of(closed, "select gmv_fen from state_merchant_days where merchant_id = 'm0'")
    paid = rows_of(
        closed, "select sum(amount_fen) from core_payments where merchant_id = 'm0' and event_type = 'paid'"
    )
    assert sum(row[0] for row in days) == paid[0][0]
