"""Deliveries with personal data planted wherever a delivery has room for it, and what to look for afterwards."""

import gzip
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tests.small_landing import write_day
from tests.sources import bill_writer

CANARIES = {
    "user": "canary-user-7f3a9c",
    "mobile": "13987654321",
    "mobile13": "8613987654322",
    "email": "canary.person@example.org",
    "chinese": "欧阳金丝雀",
    "latin": "Canaria Birdwhistle",
    "id_card": "11010119900307783X",
}


def forms(text: str) -> set[bytes]:
    """A text as files may hold it: as it is, escaped as JSON, percent-encoded."""
    escaped = json.dumps(text)[1:-1]
    percent = "".join(f"%{byte:02X}" for byte in text.encode())
    return {text.encode(), escaped.encode(), escaped.upper().encode(), percent.encode()}


def write_planted(landing: Path, day: date) -> None:
    """A sound day, and beside it rows of every stream and fate that are full of canaries."""
    # Sound rows enough that the share of refused ones, which are planted on purpose, does not block the day.
    write_day(landing, day, history=30)
    plant(landing, day)


def plant(landing: Path, day: date) -> None:
    """Rows of every stream and fate that are full of canaries, and bills whose cells are."""
    _plant_bills(landing, day)
    folder = str(day + timedelta(days=1))
    streams: dict[str, list[str]] = {}
    for n, (name, text) in enumerate(CANARIES.items()):
        # A raw id by itself is a code like any other: only in its own row is it known for what it is.
        other = "plain" if name == "user" else text
        at = {"merchant_id": "m1", "occurred_at": f"{day}T10:00:00Z", "user_id": text, "nick": text}
        at |= {"contact": {"deep": [text]}, text: text}
        number = text if text.isascii() and text.isalnum() else f"n{n}"
        event = {"event_id": f"c:{number}:{n}", **at}
        codes = dict.fromkeys(("store_id", "terminal_id", "scene", "promo_position", "voucher_code"), other)
        trade = {**event, **codes, "operator_id": text, "trade_no": other, "amount_fen": 100}
        visit = {**event, "page": f"pages/u?id={text}", "session_id": f"{text}-1", "scene": other}
        watch = {**event, "content_id": f"c-{text}", "scene": other, "event_type": "view"}
        claim = {**event, "voucher_code": other, "activity_id": other, "scene": other}
        hour = {"event_id": f"t{n}", "event_type": "delivered", "merchant_id": "m1", "grant_id": other}
        hour |= {"hour_start": f"{day}T10:00:00Z", "slot": other, "impressions": 3, "clicks": 1}
        rows: dict[str, list[dict[str, Any]]] = {
            "payments": [
                {**trade, "event_type": "paid"},
                {**trade, "event_type": "paid", "amount_fen": 101},
                {**trade, "event_type": "refunded", "refund_no": other, "event_id": f"r{n}", "amount_fen": 1},
                {**trade, "event_type": other, "event_id": f"bad{n}", "amount_fen": other, "origin": other},
                {
                    **trade,
                    "event_type": "paid",
                    "event_id": other,
                    "merchant_id": other,
                    "occurred_at": other,
                },
            ],
            "mini_program": [{**visit, "event_type": "page_view"}, {**visit, "message_kind": other}],
            "life_account": [watch, {**watch, "content_type": other}],
            "vouchers": [
                {**claim, "event_type": "received"},
                {**claim, "event_type": "used", "trade_no": other},
            ],
            "traffic": [
                {**hour, "source": "free", "arm": "treated"},
                {**hour, "source": other, "arm": other},
            ],
            "staff": [{"merchant_id": "m2", "user_id": text}, {"merchant_id": "m 2", "user_id": text}],
            "solutions": [{"solution_id": f"s{n}", "service_provider_id": f"sp{n}", "name": other}],
        }
        if name in ("chinese", "latin"):
            rows.pop("solutions")  # a name shown to people may be a person's
        if name not in ("chinese", "latin", "user"):
            account = {
                "merchant_id": f"mc{n}",
                "name": f"Shop {text}",
                "industry": "retail",
                "own_brand": True,
            }
            account |= {"joined_on": "2025-01-01", "valid_from": "2025-01-01", "alipay_account": text}
            rows["merchants"] = [{**account, "wechat_mch_id": text, "mini_program_id": text}]
            provider = {
                "service_provider_id": f"sp{n}",
                "name": f"Provider {text}",
                "joined_on": "2025-01-01",
            }
            rows["service_providers"] = [provider]
        for stream, told in rows.items():
            lines = [json.dumps(row, ensure_ascii=bool(n % 2)) for row in told]
            lines += [
                f"{lines[0]} {text}",
                f"{{'user_id': '{text}'}}",
                f"{text},{text}",
                lines[0][: -len(text)],
            ]
            streams.setdefault(stream, []).extend(lines)
    for stream, lines in streams.items():
        path = landing / stream / folder
        path.mkdir(parents=True, exist_ok=True)
        (path / "planted.jsonl").write_text("\n".join(lines) + "\n")
    torn = gzip.compress("\n".join(streams["payments"]).encode())
    (landing / "payments" / folder / "torn.jsonl.gz").write_bytes(torn[:-200])


def _plant_bills(landing: Path, day: date) -> None:
    """A bill of each provider: for every canary a trade, a line of no status and a refund; and a consumer's export."""
    alipay, wechat = [], []
    for n, (kind, text) in enumerate(CANARIES.items()):
        # Alipay's bill does not say who a payer is: no order number is known to hold one's id.
        other = "plain" if kind == "user" else text
        at = f"{day} 12:00:00"
        cells = {
            "商品名称": text,
            "对方账户": text,
            "操作员": text,
            "终端号": text,
            "备注": text,
            "商户订单号": other,
        }
        told = bill_writer.alipay_row(trade_no=f"{day:%Y%m%d}22001{n}", amount=100, at=at, name=text)
        back = bill_writer.alipay_row(trade_no=other, refund_no=other, amount=1, at=at)
        alipay += [told | cells, told | cells | {"业务类型": text}, back]
        cells = {"商品名称": text, "用户标识": text, "商户订单号": text, "商户数据包": text, "设备号": text}
        told = bill_writer.wechat_row(trade_no=f"42000{n}", amount=100, at=at)
        back = bill_writer.wechat_row(trade_no=other, refund_no=other, amount=1, at=at)
        wechat += [told | cells, told | cells | {"交易状态": text}, back]
    owner = {"merchant_id": "mb", "name": "Shop", "industry": "retail", "own_brand": False}
    owner |= {"joined_on": "2025-01-01", "valid_from": "2025-01-01"}
    owner |= {"alipay_account": bill_writer.ACCOUNT, "wechat_mch_id": bill_writer.MCH_ID}
    own = f"支付宝交易记录明细查询\n账号:[{CANARIES['email']}]\n姓名,{CANARIES['chinese']}\n".encode(
        "gb18030"
    )
    files = {
        "merchants/owner.jsonl": f"{json.dumps(owner)}\n".encode(),
        "alipay_bill/planted.csv": bill_writer.alipay_text(alipay).encode("gb18030"),
        "alipay_bill/own.csv": own,
        "wechat_bill/planted.csv": bill_writer.wechat_text(wechat).encode(),
    }
    for name, data in files.items():
        stream, name = name.split("/")
        path = landing / stream / str(day + timedelta(days=1)) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
