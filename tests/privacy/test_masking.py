"""Personal data in a field that is not its own goes no further; codes stay as they are."""

import json
import random
import re
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from ccare.events.job import accepted, rejected
from ccare.events.masking import PRIVATE, PRIVATE_AMONG, formed_like_personal, masked, private
from ccare.events.pseudonym import NUMBER, OPERATOR, merchant_token, token_of
from ccare.tables.streams import MINI_PROGRAM, PAYMENTS
from tests.events.test_fates import KEY, judged, line

pytestmark = pytest.mark.spark

PERSONAL = [
    "13800138000",
    "8613800138000",
    "+86-138-0013-8000",
    "pay-13800138000-1",
    "li.lei@example.com",
    "王小明",
    "Zhang Wei",
    "11010119900307783X",
]
CODES = [
    "2024030122001488881400000000",
    "pages/item?id=42&from=search",
    "guide:spring-2024",
    "1005",
    "3f2b8e0c-1d7e-4c4a-9b1e-1234567890ab",
    "27601281299",
    "1709251200000",
]


PIECES = [
    *PERSONAL, "86-", "1", "3", "0", "-", "_", ",", ".", "a", "Z", "王", " ", "@", "1234", "\n", "é", "😀", "20240301",
]  # fmt: skip


def test_texts_asked_of_together_are_as_private_as_joined_ones() -> None:
    """Two patterns for one question, the quicker one with a separator before each text."""
    draw = random.Random(7)
    for _ in range(20_000):
        texts = ["".join(draw.choices(PIECES, k=draw.randrange(5))) for _ in range(draw.randrange(4))]
        expected = re.search(PRIVATE, ",".join(texts)) is not None
        found = re.search(PRIVATE_AMONG, "".join(f",{text}" for text in texts)) is not None
        assert found == expected, texts
        assert found or not any(re.search(PRIVATE, text) for text in texts), texts


def test_codes_are_told_from_what_looks_personal(spark: SparkSession) -> None:
    df = spark.createDataFrame([(t,) for t in [*PERSONAL, *CODES]], "t string")
    found = {row.t for row in df.where(private(F.col("t"))).collect()}
    assert found == set(PERSONAL)
    names = {"Merchant 69", "小明的店", "DRUG GM"}
    shown = spark.createDataFrame([(t,) for t in [*PERSONAL, *names]], "t string")
    hidden = {row.t for row in shown.where(formed_like_personal(F.col("t"))).collect()}
    assert hidden == set(PERSONAL) - {"王小明", "Zhang Wei"}, "a shop's name is for people to read"


@pytest.mark.parametrize("planted", ["13800138000", "王小明", "li@example.com"])
def test_accepted_rows_keep_joins_and_no_person(spark: SparkSession, planted: str) -> None:
    fields = ("trade_no", "store_id", "terminal_id", "operator_id", "scene", "promo_position", "voucher_code")
    text = line(**dict.fromkeys(fields, planted), unheard_of=planted)
    row = accepted(judged(spark, [text]), PAYMENTS).collect()[0]
    assert planted not in str(row)
    assert row.trade_no == row.voucher_code == token_of(KEY, planted, NUMBER)
    assert row.operator_id == token_of(KEY, planted, OPERATOR) != token_of(KEY, planted)
    assert row.scene == row.promo_position == "***"
    till = accepted(judged(spark, [line(operator_id="7")]), PAYMENTS).collect()[0]
    assert till.operator_id == token_of(KEY, "7", OPERATOR), "an operator is a person, whatever the number"
    assert till.trade_no == "t1"


def test_a_page_that_is_a_path_stays(spark: SparkSession) -> None:
    event = {"event_id": "e", "event_type": "page_view", "merchant_id": "m1", "user_id": "u"}
    event |= {"occurred_at": "2024-03-01T01:00:00Z", "page": CODES[1], "session_id": CODES[4]}
    row = accepted(judged(spark, [json.dumps(event)], MINI_PROGRAM), MINI_PROGRAM).collect()[0]
    assert (row.page, row.session_id) == (CODES[1], CODES[4])


def test_a_refused_line_keeps_only_declared_codes(spark: SparkSession) -> None:
    readable: dict[str, Any] = {"event_id": "bad id", "scene": "1005", "amount_fen": -5, "nick": "ZhangWei"}
    readable |= {"user_id": "u-1", "page": "王小明", "trade_no": "13800138000", "x": {"user_id": "deep-1"}}
    lines = [
        json.dumps(readable, ensure_ascii=False),
        json.dumps(readable),
        "{'user_id': 'secret-1', 'event_id': 'p1'}",
        '{"event_id": "p2", "user_id": "secret-2", "amount_fen": 13800138000, "note": "Zhang Wei',
        "secret-3,13800138000,王小明",
        '{"user\\u005fid": "secret-4", "event_id": "p4"} and secret-5',
    ]
    df = spark.createDataFrame([(t, n) for n, t in enumerate(lines)], "t string, n int")
    told = [row.p for row in df.select("n", masked(F.col("t")).alias("p")).orderBy("n").collect()]
    for payload in told:
        json.loads(payload)
        assert not re.search(r"secret|u-1|deep|13800138000|王|Zhang|u738b|bad id", payload), payload
    first = json.loads(told[0])
    assert first["user_id"] == first["trade_no"] == first["event_id"] == "***"
    assert (first["scene"], first["amount_fen"]) == ("1005", -5)
    assert json.loads(told[3])["event_id"] == "p2"
    refused = rejected(judged(spark, lines), PAYMENTS).collect()
    assert len(refused) == len(lines)
    assert "secret" not in str(refused)


def test_two_merchants_tokens_of_one_user_differ() -> None:
    lake_wide = token_of(KEY, "u-1")
    given = {merchant_token(KEY, m, lake_wide) for m in ("m1", "m2")}
    assert len(given) == 2
    assert lake_wide not in given
    assert all(re.fullmatch(r"k1_[0-9a-f]{64}", t) for t in given)
