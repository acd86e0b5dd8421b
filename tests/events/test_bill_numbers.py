"""A bill's numbers that may be a person's have the token that payments have; all others stay as they came."""

import json
import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from ccare.events.bill_numbers import with_starred, with_tokens
from ccare.events.masking import PRIVATE, PRIVATE_BY_ARROW
from ccare.events.pseudonym import NUMBER, token_of
from ccare.runtime.spark import interpreted
from ccare.sources.bill_columns import BILL_LINE
from tests.events.test_fates import KEY, judged, line

PHONES = ("13800138000", "139-0013-9000", "8613800138000", "11010119900307783X", "r 1", "退款1", "a@b.cn")
CODES = ("2026030122001413801380000", "13800138000a", "4200001", "o|1", "refund-1", "1380013800", "a.b:c/d")


def lines(*told: tuple[str, str, str]) -> pa.Table:
    """Bill lines of (kind, trade number, refund number), as the readers of bills make them."""
    rows: list[dict[str, Any]] = [
        {
            "position": n,
            "line_key": "|".join(numbers),
            "kind": numbers[0],
            "trade_no": numbers[1],
            "refund_no": (numbers[2] or None) if numbers[0] == "refunded" else None,
            "reasons": [],
        }
        for n, numbers in enumerate(told, 1)
    ]
    return pa.Table.from_pylist(rows, schema=BILL_LINE)


def told_of(table: pa.Table) -> list[tuple[str, str, str | None]]:
    return [(r["line_key"], r["trade_no"], r["refund_no"]) for r in table.to_pylist()]


def test_codes_stay_as_they_came() -> None:
    table = lines(*(("paid", code, "") for code in CODES), *(("refunded", "t1", code) for code in CODES))
    assert with_tokens(table, KEY) is table


@pytest.mark.parametrize("number", PHONES)
def test_a_number_that_may_be_a_persons_is_a_token_wherever_it_stands(number: str) -> None:
    token = token_of(KEY, number, NUMBER)
    table = lines(
        *(("paid", number, ""), ("refunded", number, number), ("refunded", "t|2", number)),
        *(("paid", "t1", number), ("paid", "t1", ""), ("refunded", number, "r1")),
    )
    found = with_tokens(table, KEY)
    assert told_of(found) == [
        (f"paid|{token}|", token, None),
        (f"refunded|{token}|{token}", token, token),
        (f"refunded|t|2|{token}", "t|2", token),
        (f"paid|t1|{token}", "t1", None),
        ("paid|t1|", "t1", None),
        (f"refunded|{token}|r1", token, "r1"),
    ]
    assert found.schema == table.schema and found["position"] == table["position"]
    assert number not in str(found.to_pylist())


@pytest.mark.spark
def test_payments_have_the_same_tokens_and_the_same_codes(spark: SparkSession) -> None:
    told = [*PHONES, *CODES]
    events = [
        line(event_id=f"e{n}", event_type="refunded", trade_no=number, refund_no=number)
        for n, number in enumerate(told)
    ]
    with interpreted(spark):
        rows = judged(spark, events).orderBy("position").collect()
    assert {row.fate for row in rows} == {"accepted"}
    bill = with_tokens(lines(*(("refunded", number, number) for number in told)), KEY)
    assert [(row.trade_no, row.refund_no) for row in rows] == [numbers[1:] for numbers in told_of(bill)]


@given(text=st.from_regex(r"[a0 |-]?(?:86-?)?1[1-9][0-9]{1,2}-?[0-9]{3,5}-?[0-9]{4}[Xa0é-]?", fullmatch=True))
def test_arrow_finds_what_the_pattern_of_events_finds(text: str) -> None:
    assert pc.match_substring_regex(text, PRIVATE_BY_ARROW).as_py() is bool(re.search(PRIVATE, text))


def test_a_refused_lines_cells_are_kept_but_for_what_may_be_a_persons() -> None:
    codes = {
        "支付宝交易号": "2026030122001413801380000",
        "完成时间": "2026-03-01 10:00:00",
        "业务类型": "退款",
        "服务费(元)": "-0.001",
    }
    persons = {
        "商户订单号": "13800138000",
        "业务类型2": "a-payers-code",
        "退款批次号": "张三",
        "商家实收(元)": "a@b.cn",
        "订单金额(元)": "12 Main St",
    }
    payload = json.dumps(codes | persons, ensure_ascii=False)
    rows = lines(("paid", "t1", ""), ("paid", "t2", ""))
    place = rows.schema.get_field_index("payload")
    told = rows.set_column(place, rows.schema.field(place), pa.array([payload, None], pa.string()))
    first, second = with_starred(told)["payload"].to_pylist()
    assert json.loads(first) == codes | dict.fromkeys(persons, "***")
    assert second is None
    assert with_starred(rows) is rows, "nothing was refused"
