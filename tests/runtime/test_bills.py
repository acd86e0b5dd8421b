"""Bills and payments through real runs on a small lake: refusals, reconcile's exit codes, who is not scored."""

import json
import os
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ccare.events.pseudonym import NUMBER, token_of
from ccare.growth.snapshot import connect
from ccare.runtime import deltalog, manifest
from ccare.runtime.settings import Settings
from ccare.runtime.verify import verify_lake
from tests.runtime.test_closing import KEY, ROOT, close, settings_in
from tests.small_landing import FIRST, write_day
from tests.sources import bill_writer as w

pytestmark = [pytest.mark.spark, pytest.mark.slow]

DAYS = [FIRST + timedelta(days=n) for n in range(2)]
TELEPHONE, OTHER_TELEPHONE = "13800138000", "139-0013-9000"
"""Numbers that a trade and a refund may have been given by whoever stood at the till."""
ACCOUNTS = {f"m{n}": f"208800000000{n:04d}" for n in range(60)}


def name_accounts(landing: Path) -> None:
    """Give every delivered merchant an Alipay account, m0 a WeChat number too."""
    (path,) = (landing / "merchants").rglob("*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["alipay_account"] = ACCOUNTS[row["merchant_id"]]
        if row["merchant_id"] == "m0":
            row["wechat_mch_id"] = w.MCH_ID
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def payments_of(landing: Path, day: date) -> dict[str, list[dict[str, Any]]]:
    """Delivered payments of a day by merchant."""
    path = landing / "payments" / str(day + timedelta(days=1)) / "payments.jsonl"
    found: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if row["occurred_at"].startswith(str(day)):
            found.setdefault(row["merchant_id"], []).append(row)
    return found


def number_by_telephone(landing: Path, day: date, merchant: str) -> None:
    """Give the merchant's first trade of the day a telephone's number, and a refund of it another one's."""
    path = landing / "payments" / str(day + timedelta(days=1)) / "payments.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    own = [r for r in rows if r["merchant_id"] == merchant and r["occurred_at"].startswith(str(day))]
    told = next(r for r in own if r["event_type"] == "paid")
    for row in (r for r in own if r["trade_no"] == told["trade_no"]):
        row["trade_no"] = TELEPHONE
    back = {"event_id": "back", "event_type": "refunded", "refund_no": OTHER_TELEPHONE, "amount_fen": 7}
    rows.append({**told, **back, "fee_fen": 0, "merchant_discount_fen": 0})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def bill_rows(payments: list[dict[str, Any]]) -> list[dict[str, str]]:
    # The lake's zone is UTC and the bill's clock Beijing's: eight hours later.
    return [
        w.alipay_row(
            trade_no=p["trade_no"],
            amount=p["amount_fen"],
            discount=p.get("merchant_discount_fen", 0),
            fee=p.get("fee_fen", 0),
            refund_no=p.get("refund_no", ""),
            at=_beijing(p["occurred_at"]),
            name="拿铁, 大杯",
        )
        for p in payments
    ]


def _beijing(instant: str) -> str:
    at = datetime.fromisoformat(instant.replace("Z", "+00:00")) + timedelta(hours=8)
    return f"{at:%Y-%m-%d %H:%M:%S}"


def deliver(settings: Settings, stream: str, day: date, name: str, data: bytes) -> None:
    folder = settings.landing / stream / str(day + timedelta(days=1))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


@pytest.fixture(scope="module")
def closed(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, list[str]]:
    """Two days: bills of five merchants on the first, of which one lacks a line and one is a fen off."""
    settings = settings_in(tmp_path_factory.mktemp("bills"))
    write_day(settings.landing, DAYS[0], history=90)
    name_accounts(settings.landing)
    chosen = sorted(payments_of(settings.landing, DAYS[0]))[:5]
    number_by_telephone(settings.landing, DAYS[0], chosen[0])
    payments = payments_of(settings.landing, DAYS[0])
    for merchant, change in zip(
        chosen, ("sound", "lacks a line", "a fen more", "zip", "tampered"), strict=True
    ):
        rows = bill_rows(payments[merchant])
        if change == "lacks a line":
            rows = rows[1:] or [w.alipay_row(trade_no="elsewhere", amount=5, at=f"{DAYS[0]} 12:00:00")]
        if change == "a fen more":
            fen = payments[merchant][0]["amount_fen"] + 1
            rows[0] = {
                **rows[0],
                "订单金额（元）": rows[0]["订单金额（元）"][:1].strip("0123456789") + w.yuan(fen),
            }
        account = f"{ACCOUNTS[merchant]}0156"
        text = w.alipay_text(rows, account=account)
        if change == "zip":
            path = settings.landing / "bill.zip"
            w.alipay_zip(path, rows, detail=text)
            deliver(settings, "alipay_bill", DAYS[0], "bill.zip", path.read_bytes())
            path.unlink()
        elif change == "tampered":
            bad = text.replace("商家优惠共0.", "商家优惠共9.", 1)
            deliver(settings, "alipay_bill", DAYS[0], "tampered.csv", bad.encode("gb18030"))
        else:
            deliver(settings, "alipay_bill", DAYS[0], f"{merchant}.csv", text.encode("gb18030"))
    deliver(settings, "alipay_bill", DAYS[0], "stranger.csv", w.alipay_text([]).encode("gb18030"))
    said = close(settings, DAYS[0])
    write_day(settings.landing, DAYS[1])
    again = w.alipay_text(bill_rows(payments[chosen[0]]), account=ACCOUNTS[chosen[0]]).encode("utf-8-sig")
    deliver(settings, "alipay_bill", DAYS[1], "again.csv", again)
    rows = [w.wechat_row(trade_no="4200001", amount=100, at=f"{DAYS[1]} 10:00:00"),
            w.wechat_row(trade_no="4.2E+27", amount=7, at=f"{DAYS[1]} 11:00:00")]  # fmt: skip
    deliver(settings, "wechat_bill", DAYS[1], "w.csv", w.wechat_text(rows).encode())
    said += close(settings, DAYS[1])
    return settings, [*chosen, *said]


def rows_of(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with connect(settings.lake, manifest.latest(settings.lake)) as con:
        return con.execute(query).fetchall()


def ccare(settings: Settings, *words: str) -> tuple[int, str]:
    env = {
        **os.environ,
        "CCARE_LAKE": str(settings.lake),
        "CCARE_LANDING": str(settings.landing),
        "CCARE_CONF": str(settings.conf),
        "CCARE_PSEUDONYM_KEY": KEY,
    }
    command = [sys.executable, "-m", "ccare.cli", *words]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_every_delivered_bill_has_a_status_and_every_line_a_fate(closed: tuple[Settings, list[str]]) -> None:
    settings, _ = closed
    files = rows_of(
        settings,
        "select path, file_status, rows_read, rows_accepted, rows_duplicate, rows_rejected, file_note "
        "from raw_files where stream like '%_bill' order by path",
    )
    status = {Path(f[0]).name: f[1] for f in files}
    assert (status["tampered.csv"], status["stranger.csv"]) == ("refused", "refused")
    assert sum(s == "taken" for s in status.values()) == 6
    for _, kind, read, accepted, duplicate, rejected, note in files:
        assert read == accepted + duplicate + rejected
        assert (read > 0) == (kind == "taken") and bool(note) == (kind == "refused")
    notes = {Path(f[0]).name: f[6] for f in files}
    assert "商家优惠" in notes["tampered.csv"] and "account …0156" in notes["stranger.csv"]
    fates = {Path(f[0]).name: f[3:6] for f in files}
    assert fates["again.csv"][0] == 0 and fates["again.csv"][1] > 0, (
        "the same lines in another file are duplicates"
    )
    assert fates["w.csv"] == (1, 0, 1)
    (told,) = rows_of(
        settings, "select stream, reasons, payload from core_rejected_events where stream like '%_bill'"
    )
    assert (told[0], told[1]) == ("wechat_bill", ["bad_trade_no"]) and w.OPENID not in told[2]
    assert json.loads(told[2])["交易状态"] == "SUCCESS", "what it said is kept"
    assert rows_of(settings, "select count(*) from core_bill_lines where taken_on < business_date") == [(0,)]


def test_no_person_of_a_bill_stands_in_the_lake(closed: tuple[Settings, list[str]]) -> None:
    settings, _ = closed
    for name in ("core_bill_lines", "core_payments", "core_rejected_events", "raw_files"):
        version = deltalog.latest_version(settings.lake, name)
        told = str(deltalog.rows(settings.lake, name, version))
        for personal in ("津水", "602***", w.OPENID, "拿铁", TELEPHONE, OTHER_TELEPHONE):
            assert personal not in told


def test_numbers_of_telephones_are_the_same_token_on_both_sides(closed: tuple[Settings, list[str]]) -> None:
    settings, (sound, *_) = closed
    trade, back = (token_of(KEY.encode(), number, NUMBER) for number in (TELEPHONE, OTHER_TELEPHONE))
    for names in (
        "kind, trade_no, refund_no from core_bill_lines",
        "event_type, trade_no, refund_no from core_payments",
    ):
        found = rows_of(settings, f"select {names} where merchant_id = '{sound}' and trade_no like 'k1%'")
        assert set(found) >= {("paid", trade, None), ("refunded", trade, back)}
    keys = rows_of(settings, "select line_key from core_bill_lines where trade_no like 'k1%'")
    assert {(f"paid|{trade}|",), (f"refunded|{trade}|{back}",)} <= set(keys)


def test_only_merchants_over_the_limit_are_not_scored(closed: tuple[Settings, list[str]]) -> None:
    settings, told = closed
    sound, lacking, more, zipped, tampered = told[:5]
    query = "select merchant_id, score_status, total_score from score_merchants where as_of_date = "
    first = {m: (s, t) for m, s, t in rows_of(settings, f"{query}'{DAYS[0]}'")}
    assert {m for m, (s, _) in first.items() if s == "unreconciled"} == {lacking}
    assert first[lacking][1] is None and first[more][0] != "unreconciled", "a fen is within 0.1 %"
    assert any(total is not None for _, total in first.values())
    second = {m for m, s, _ in rows_of(settings, f"{query}'{DAYS[1]}'") if s == "unreconciled"}
    assert second == {"m0"}, "a wechat line without a payment"
    said = "\n".join(told[5:])
    assert f"unreconciled: {lacking} is not scored: bills of {DAYS[0]} differ from payments by" in said
    for merchant in (sound, more, zipped, tampered):
        assert f"{merchant} is not scored: bills of {DAYS[0]}" not in said
    assert verify_lake(settings, lambda line: None).ok


def test_reconcile_tells_and_exits(closed: tuple[Settings, list[str]], tmp_path: Path) -> None:
    settings, told = closed
    sound, lacking, more, zipped, tampered = told[:5]
    code, out = ccare(settings, "reconcile", "--day", str(DAYS[0]), "--json")
    assert code == 10
    found = json.loads(out)
    assert found["over"] == [lacking] and not found["within_limits"]
    status = {m["merchant_id"]: m["status"] for m in found["merchants"]}
    assert status == {sound: "ok", lacking: "over", more: "ok", zipped: "ok"}
    assert tampered in {row["merchant_id"] for row in found["no_bill"]}
    kinds = {(d["merchant_id"], d["what"]) for d in found["differences"]}
    assert (lacking, "missing_in_bills") in kinds and (more, "different") in kinds
    (off,) = (m for m in found["merchants"] if m["merchant_id"] == more)
    assert off["difference_fen"] == 1
    code, out = ccare(settings, "reconcile", "--day", str(DAYS[0]))
    assert code == 10 and "OVER" in out and "missing_in_bills" in out
    lenient = (
        (ROOT / "conf" / "reconcile.toml")
        .read_text()
        .replace("allowed_share_bp = 10", "allowed_share_bp = 10000")
    )
    (tmp_path / "reconcile.toml").write_text(lenient.replace("allowed_fen = 0", "allowed_fen = 100000000"))
    code, out = ccare(settings.with_(conf=tmp_path), "reconcile", "--day", str(DAYS[0]))
    assert code == 0 and "0 over the limit" in out
    code, _ = ccare(settings, "reconcile", "--day", str(DAYS[1] + timedelta(days=1)))
    assert code == 20
