"""Fates of bill lines: taken once, a duplicate with the same content, a conflict with other content."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from ccare.errors import GateRefused
from ccare.events.bills import accepted_lines, bill_fates, rejected_lines
from ccare.runtime import gate
from ccare.runtime.bills import _SCHEMA
from ccare.runtime.quality import Quality
from ccare.runtime.spark import conform, frame
from ccare.tables import table
from tests.events.test_fates import close

pytestmark = pytest.mark.spark

AT = datetime(2024, 3, 1, 2, 0, tzinfo=UTC)
LINE: dict[str, Any] = {
    "position": 6,
    "merchant_id": "m1",
    "line_key": "paid|t1|",
    "trade_no": "t1",
    "kind": "paid",
    "occurred_at": AT,
    "amount_fen": 100,
    "receipt_fen": 90,
    "merchant_discount_fen": 10,
    "platform_discount_fen": 0,
    "fee_fen": 1,
    "reasons": [],
    "channel": "alipay",
    "path": "alipay_bill/2024-03-02/a.csv",
    "file_sha256": "f1",
    "delivery_date": date(2024, 3, 2),
    "taken_on": date(2024, 3, 1),
}


def judged(spark: SparkSession, lines: list[dict[str, Any]], before: DataFrame | None = None) -> DataFrame:
    import pyarrow as pa

    rows = [{**dict.fromkeys(_SCHEMA.names), **LINE, **line} for line in lines]
    landing = spark.createDataFrame(pa.Table.from_pylist(rows, schema=_SCHEMA))
    inputs = {"landing": landing} | ({"core_bill_lines": before} if before is not None else {})
    return bill_fates(inputs, close())


def fates_of(rows: DataFrame) -> dict[int, tuple[str, list[str]]]:
    return {row.position: (row.fate, list(row.reasons)) for row in rows.collect()}


def test_each_line_has_one_fate(spark: SparkSession) -> None:
    rows = judged(
        spark,
        [
            {"position": 1},
            {"position": 2, "path": "b.csv"},
            {"position": 3, "amount_fen": 101, "delivery_date": date(2024, 3, 3)},
            {"position": 4, "channel": "wechat"},
            {"position": 5, "merchant_id": "m2"},
            {"position": 6, "line_key": "refunded|t1|r1", "kind": "refunded", "refund_no": "r1"},
            {"position": 7, "line_key": "refunded|t1|r2", "kind": "refunded", "refund_no": "r2"},
            {"position": 8, "line_key": "x", "reasons": ["bad_fee_fen", "bad_trade_no"], "payload": "{}"},
            {"position": 9, "line_key": "y", "occurred_at": datetime(2024, 3, 2, 16, 10, 1, tzinfo=UTC)},
            {"position": 10, "line_key": "z", "occurred_at": datetime(2024, 3, 2, 16, 10, 0, tzinfo=UTC)},
            {
                "position": 11,
                "line_key": "u",
                "occurred_at": None,
                "kind": None,
                "reasons": ["bad_occurred_at"],
            },
            {"position": 12, "line_key": "v", "amount_fen": 10**15, "receipt_fen": 10**15},
            {"position": 13, "line_key": "w", "fee_fen": 10**15 + 1},
        ],
    ).persist()
    conflict = ("rejected", ["bill_line_conflict"])
    assert fates_of(rows) == {
        1: ("accepted", []),
        2: ("duplicate", []),
        3: conflict,
        4: ("accepted", []),
        5: ("accepted", []),
        6: ("accepted", []),
        7: ("accepted", []),
        8: ("rejected", ["bad_fee_fen", "bad_trade_no"]),
        9: ("rejected", ["occurred_in_future"]),
        10: ("accepted", []),
        11: ("rejected", ["bad_occurred_at"]),
        12: ("accepted", []),
        13: ("rejected", ["bad_amount_fen"]),
    }
    stored = {row.line_key: row for row in conform(accepted_lines(rows), table("core_bill_lines")).collect()}
    assert (stored["z"].business_date, stored["z"].origin) == (date(2024, 3, 3), "real"), "Shanghai's date"
    rows.unpersist()


def test_lines_taken_before_decide(spark: SparkSession) -> None:
    first = conform(accepted_lines(judged(spark, [{}])), table("core_bill_lines")).collect()[0].asDict()
    before = frame(spark, table("core_bill_lines"), [first])
    lines = [
        {"position": 1, "file_sha256": "other", "delivery_date": date(2024, 3, 1)},
        {"position": 2, "fee_fen": 2},
        {"position": 3, "line_key": "paid|t2|", "trade_no": "t2"},
    ]
    assert fates_of(judged(spark, lines, before)) == {
        1: ("duplicate", []),
        2: ("rejected", ["bill_line_conflict"]),
        3: ("accepted", []),
    }


def test_refused_lines_are_kept_without_persons(spark: SparkSession) -> None:
    lines = [
        {
            "position": 1,
            "reasons": ["bad_fee_fen"],
            "digest": "d1",
            "payload": '{"商户订单号": "13800138000"}',
        },
        {"position": 2, "line_key": "k"},
        {"position": 3, "line_key": "k", "amount_fen": 7, "merchant_order_no": "13900139000"},
        {"position": 4, "channel": "wechat", "reasons": ["bad_trade_no"], "digest": "d4", "payload": "{}"},
    ]
    rows = judged(spark, lines).persist()
    found = conform(rejected_lines(rows, "alipay"), table("core_rejected_events")).collect()
    assert sorted((r.stream, r.row_digest == "d1", len(r.reasons), r.merchant_id) for r in found) == [
        ("alipay_bill", False, 1, "m1"),
        ("alipay_bill", True, 1, "m1"),
    ]
    assert "13800138000" not in str(found) and "13900139000" not in str(found)
    assert [r.row_digest for r in rejected_lines(rows, "wechat").collect()] == ["d4"]
    rows.unpersist()


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("known_channel", {"channel": "paypal"}),
        ("known_kind", {"kind": "lent"}),
        ("amount_not_negative", {"amount_fen": -1, "receipt_fen": -1}),
        ("trade_no_present", {"trade_no": None}),
        ("receipt_not_negative", {"receipt_fen": -1}),
        ("merchant_discount_not_negative", {"merchant_discount_fen": -1}),
        ("platform_discount_not_negative", {"platform_discount_fen": -1}),
        ("fee_not_negative", {"fee_fen": -1}),
        ("trade_no_whole", {"trade_no": "4.2E+27"}),
        ("trade_no_whole", {"trade_no": "4" * 65}),
        ("refund_no_in_key", {"kind": "refunded", "line_key": "refunded|t1|"}),
    ],
)
def test_each_block_rule_blocks_alone(spark: SparkSession, rule: str, change: dict[str, Any]) -> None:
    row = conform(accepted_lines(judged(spark, [{}])), table("core_bill_lines")).collect()[0].asDict()
    assert failures_of(frame(spark, table("core_bill_lines"), [row])) == []
    wrong = frame(spark, table("core_bill_lines"), [{**row, **change}])
    with pytest.raises(GateRefused, match=rule):
        Quality(date(2024, 3, 1), 0, "r").judge("core_bill_lines", (), failures_of(wrong))


def failures_of(rows: DataFrame) -> list[gate.Failure]:
    declared = table("core_bill_lines")
    return gate.failures(rows, declared, gate.rules(declared))


def test_more_received_than_the_trade_is_worth_is_told(spark: SparkSession) -> None:
    row = conform(accepted_lines(judged(spark, [{}])), table("core_bill_lines")).collect()[0].asDict()
    rows = frame(spark, table("core_bill_lines"), [{**row, "receipt_fen": 101}])
    assert [failure.rule.id for failure in failures_of(rows)] == ["receipt_within_amount"]


def test_a_line_dated_after_its_delivery_is_told(spark: SparkSession) -> None:
    row = conform(accepted_lines(judged(spark, [{}])), table("core_bill_lines")).collect()[0].asDict()
    rows = frame(spark, table("core_bill_lines"), [{**row, "business_date": date(2024, 3, 3)}])
    assert [(f.rule.id, f.rule.severity) for f in failures_of(rows)] == [("not_after_delivery", "warn")]
