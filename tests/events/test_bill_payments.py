"""Bill lines that become payments: only of trades that nobody told of, and then nobody else tells of them."""

from datetime import date
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from ccare.events.bill_payments import bill_payments, bill_trades, without_bill_trades
from ccare.runtime.spark import frame
from ccare.tables import table
from tests.events.test_bill_fates import AT, LINE, judged

pytestmark = pytest.mark.spark

WECHAT = {"channel": "wechat", "user_key": "k1_a"}
PAYMENT: dict[str, Any] = {
    "event_id": "e1", "event_type": "paid", "merchant_id": "m1", "trade_no": "t1", "amount_fen": 100,
    "occurred_at": AT, "business_date": date(2024, 3, 1), "delivery_date": date(2024, 3, 2),
    "taken_on": date(2024, 3, 1), "slot": "unknown", "origin": "real", "content_hash": "h", "file_sha256": "p1",
}  # fmt: skip


def payments(spark: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    return frame(spark, table("core_payments"), [{**PAYMENT, **row} for row in rows])


def bills(spark: SparkSession) -> DataFrame:
    told = {**LINE, **WECHAT, "business_date": date(2024, 3, 1), "content_hash": "h", "origin": "real"}
    return frame(spark, table("core_bill_lines"), [told])


def made(spark: SparkSession, lines: list[dict[str, Any]], *told: dict[str, Any]) -> list[Any]:
    rows = judged(spark, [{**WECHAT, **line} for line in lines])
    return (
        bill_payments(rows, ("wechat",), payments(spark, *told), bills(spark)).orderBy("position").collect()
    )


def test_a_line_of_an_untold_trade_becomes_a_payment_to_the_fen(spark: SparkSession) -> None:
    lines = [
        {"position": 1, "line_key": "paid|t9|", "trade_no": "t9", "amount_fen": 12345, "fee_fen": 74},
        {
            "position": 2,
            "line_key": "refunded|t9|r1",
            "trade_no": "t9",
            "kind": "refunded",
            "refund_no": "r1",
        },
        {"position": 3, "line_key": "paid|t1|"},
        {"position": 4, "line_key": "refunded|t1|r2", "kind": "refunded", "refund_no": "r2"},
        {"position": 5, "line_key": "paid|t8|", "trade_no": "t8", "channel": "alipay"},
        {"position": 6, "line_key": "paid|t7|", "trade_no": "t7", "reasons": ["bad_fee_fen"]},
        {"position": 7, "line_key": "paid|t1|", "merchant_id": "m2"},
    ]
    found = made(spark, lines, {})
    assert [row.position for row in found] == [1, 2, 7], "t1 of m1 is told of; alipay is not asked for"
    paid, back, _ = found
    assert (paid.event_type, paid.amount_fen, paid.fee_fen, paid.user_key) == ("paid", 12345, 74, "k1_a")
    assert (paid.merchant_discount_fen, paid.platform_discount_fen, paid.origin) == (10, 0, "real")
    assert (back.event_type, back.trade_no, back.refund_no) == ("refunded", "t9", "r1")
    assert paid.file_sha256 == "f1" and paid.slot == "unknown" and paid.business_date == date(2024, 3, 1)
    again = made(spark, lines, {})
    assert [r.event_id for r in again] == [r.event_id for r in found], "the id follows from merchant and line"
    assert len({r.event_id for r in found}) == 3 and paid.event_id.startswith("bill:wechat:")


def test_a_trade_that_came_from_a_bill_stays_the_bills(spark: SparkSession) -> None:
    """A refund that a later bill tells of belongs to it too; payments events of the trade are refused by name."""
    from_bill = {"trade_no": "t9", "event_id": "bill:wechat:1", "file_sha256": "f1"}
    late = {
        "position": 2,
        "line_key": "refunded|t9|r1",
        "trade_no": "t9",
        "kind": "refunded",
        "refund_no": "r1",
    }
    assert [r.refund_no for r in made(spark, [late], from_bill)] == ["r1"]
    trades = bill_trades(payments(spark, {}, from_bill), bills(spark))
    assert [tuple(row) for row in trades.collect()] == [("m1", "t9")]
    events = payments(
        spark,
        {"event_id": "a"}, {"event_id": "b", "trade_no": "t9"},
        {"event_id": "c", "trade_no": "t9", "merchant_id": "m2"},
        {"event_id": "d", "trade_no": "t9", "event_type": "refunded", "refund_no": "r1"},
    )  # fmt: skip
    parsed = events.selectExpr(
        "*", "case when event_id = 'x' then array('y') else cast(array() as array<string>) end reasons"
    )
    told = {row.event_id: row.reasons for row in without_bill_trades(parsed, trades).collect()}
    assert told == {"a": [], "b": ["duplicate_trade"], "c": [], "d": ["duplicate_trade"]}
