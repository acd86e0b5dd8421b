"""What a line says is read the same however it is written, and each way of writing it wrongly has its name."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from ccare.events.parse import parse
from ccare.events.read import LINE_MAX_BYTES, field_names, read_json
from ccare.events.slots import load_slots
from ccare.runtime.settings import default_conf
from ccare.tables.streams import PAYMENTS, TRAFFIC
from tests.events.test_fates import DAY, PAID, landing, line

pytestmark = pytest.mark.spark


CUT = "12"


def parsed(spark: SparkSession, lines: list[str | bytes], header: list[str] | None = None) -> list[Any]:
    frame = landing(spark, lines)
    if header is not None:
        frame = frame.withColumn("_header", F.array(*(F.lit(name) for name in header)))
        frame = frame.withColumn("_unfinished", F.col("value").endswith(CUT))
    slots = load_slots(default_conf(), DAY)
    return parse(frame, PAYMENTS, slots, "Asia/Shanghai", None).orderBy("position").collect()


def test_every_way_to_write_a_line_says_the_same(spark: SparkSession) -> None:
    plain = line()
    spaced = json.dumps(PAID, indent=None, separators=(" , ", " : "))
    escaped = plain.replace("user_id", "user\\u005fid").replace("u-1", "u\\u002d1")
    backwards = json.dumps(dict(reversed(PAID.items())))
    nulls = line().removesuffix("}") + ', "store_id": null, "scene": null}'
    quoted = line(amount_fen="100")
    written: list[str | bytes] = [
        plain,
        spaced,
        escaped,
        backwards,
        nulls,
        quoted,
        "\ufeff" + plain,
        plain + "\r",
    ]
    rows = parsed(spark, written)
    assert [list(row.reasons) for row in rows] == [[]] * len(written)
    assert len({row.content_hash for row in rows}) == 1
    assert {row.amount_fen for row in rows} == {100}
    assert {row.unknown_fields for row in rows} == {None}


def test_lines_that_cannot_be_read_say_why(spark: SparkSession) -> None:
    cases: list[tuple[str | bytes, list[str]]] = [
        (line().replace('"t1"', '"t1", "trade_no": "t2"'), ["duplicate_keys"]),
        (line().replace('"t1"', '"t1", "trade\\u005fno": "t2"'), ["duplicate_keys"]),
        (line(amount_fen=-1).replace('"t1"', '"t1", "scene": "1", "scene": "1"'), ["duplicate_keys", "bad_amount_fen"]),
        (line(trade_no="a\x00b"), ["nul_character"]),
        (line().encode().replace(b"t1", b"t\x001"), ["malformed_json"]),
        (b"\xff\xfe" + line().encode("utf-16-le"), ["invalid_utf8"]),
        (line(store_id="x" * LINE_MAX_BYTES), ["line_too_long"]),
        (line().removesuffix("}") + ', "deep": ' + "[" * 5000 + "]" * 5000 + "}", ["malformed_json"]),
        (line()[:-5], ["malformed_json"]),
        ("[" + line() + "]", ["malformed_json"]),
        ("[]", ["malformed_json"]),
        ("7", ["malformed_json"]),
        ("null", ["malformed_json"]),
        (line() + "]", ["malformed_json"]),
        (line() + "], " + line(), ["malformed_json"]),
        (line() + "," + line(), ["malformed_json"]),
        (line(amount_fen="１００"), ["bad_amount_fen"]),
        (line(amount_fen=True), ["bad_amount_fen"]),
        (line(amount_fen=[1]), ["bad_amount_fen"]),
        (line(amount_fen=1e2), ["bad_amount_fen"]),
        (line(amount_fen=10**40), ["bad_amount_fen"]),
    ]  # fmt: skip
    rows = parsed(spark, [text for text, _ in cases])
    for row, (text, reasons) in zip(rows, cases, strict=True):
        assert list(row.reasons) == reasons, text[:200]
        assert row.value is not None


def test_unknown_fields_are_left_out_and_named(spark: SparkSession) -> None:
    rows = parsed(spark, [line(colour="red", deep={"a": [1]}), line()])
    assert [row.unknown_fields for row in rows] == ["colour\x1fdeep", None]
    assert rows[0].content_hash == rows[1].content_hash
    assert not rows[0].reasons


KEYS = ("trade_no", "scene", "user_id", "occurred_at", "colour", "a:b", "")
VALUES = (
    *('"x"', '"a:b"', '":"', '"10:00:00"', "5", "null", '""', '{"y": "z:z"}', '["a:b", 1]', '"é"'),
    *('"\\u003a"', '"\\":"'),
)
pairs = st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES), st.sampled_from((":", " : ", "\t:")))


def _written(line_: list[tuple[str, str, str]]) -> str:
    return "{" + ", ".join(f'"{key}"{colon}{value}' for key, value, colon in line_) + "}"


@settings(max_examples=4, deadline=None)
@given(st.lists(st.lists(pairs, max_size=6), min_size=150, max_size=200))
def test_keys_that_stand_twice_or_are_not_declared_are_seen_however_a_line_is_written(
    spark: SparkSession, drawn: list[list[tuple[str, str, str]]]
) -> None:
    lines = landing(spark, [_written(each) for each in drawn])
    rows = read_json(lines, PAYMENTS).orderBy("position").collect()
    orders = tuple({tuple(key for key, _, _ in each) for each in drawn})[:3]
    assert read_json(lines, PAYMENTS, orders).orderBy("position").collect() == rows, orders
    for each, row in zip(drawn, rows, strict=True):
        keys = [key for key, _, _ in each]
        twice = len(keys) != len(set(keys))
        told = set((row["_unknown"] or "").split("\x1f")) if row["_unknown"] is not None else set()
        assert (row["_size"], row["_faults"]) == (1, "duplicate_keys" if twice else ""), _written(each)
        assert told == set(keys) - set(field_names(PAYMENTS)), _written(each)
        if not twice:
            said = {key: json.loads(value) for key, value, _ in each}
            for name in ("trade_no", "scene", "user_id", "occurred_at"):
                value = said.get(name)
                text = value if isinstance(value, str | None) else json.dumps(value, separators=(",", ":"))
                assert row[f"_raw_{name}"] == text, _written(each)


def test_csv_is_read_by_the_names_in_its_header(spark: SparkSession) -> None:
    header = [
        "trade_no",
        "amount_fen",
        "note",
        "user_id",
        "merchant_id",
        "event_type",
        "event_id",
        "occurred_at",
    ]
    sound = "t1,100,,u-1,m1,paid,p1,2024-03-01T10:00:00+08:00"
    cases: list[tuple[str | bytes, list[str]]] = [
        (sound, []),
        (sound + "\r", []),
        (sound.replace("t1", '"t1"').replace(",,", ',"a, ""quoted"" note",'), []),
        (sound + ",", ["malformed_csv"]),
        (sound.rsplit(",", 1)[0], ["malformed_csv"]),
        (sound.replace(",,", ',"broken over,'), ["malformed_csv"]),
        ("", ["malformed_csv"]),
        (sound.replace("100", "1.5"), ["bad_amount_fen"]),
        (sound.replace("100", ""), ["missing_amount_fen"]),
        (sound.encode().replace(b"t1", b"t\xff"), ["invalid_utf8"]),
        (sound.encode().replace(b"t1", b"t\x00"), ["nul_character"]),
        (sound.replace(",,", "," + "x" * LINE_MAX_BYTES + ","), ["line_too_long"]),
        (sound.replace("08:00", CUT), ["unterminated_line"]),
        (sound.split(",", 1)[0] + CUT, ["unterminated_line"]),
        (sound.encode().replace(b"t1", b"t\xff") + CUT.encode(), ["invalid_utf8", "unterminated_line"]),
    ]
    rows = parsed(spark, [text for text, _ in cases], header)
    for row, (text, reasons) in zip(rows, cases, strict=True):
        assert list(row.reasons) == reasons, text[:200]
    by_json = parsed(spark, [line()])[0]
    assert {row.content_hash for row in rows[:3]} == {by_json.content_hash}
    assert {row.unknown_fields for row in rows} == {"note"}


def test_a_stream_without_users_reads_its_own_fields(spark: SparkSession) -> None:
    hour = {
        "event_id": "h1", "event_type": "delivered", "hour_start": "2024-03-01T10:00:00+08:00", "merchant_id": "m1",
        "slot": "search_box", "impressions": 5, "clicks": "2", "source": "free", "arm": "treated",
    }  # fmt: skip
    frame = landing(spark, [json.dumps(hour), json.dumps({**hour, "clicks": None, "arm": "both"})])
    slots = load_slots(default_conf(), DAY)
    rows = parse(frame, TRAFFIC, slots, "Asia/Shanghai", None).orderBy("position").collect()
    assert (rows[0].impressions, rows[0].clicks, list(rows[0].reasons)) == (5, 2, [])
    assert list(rows[1].reasons) == ["missing_clicks", "bad_arm"]
