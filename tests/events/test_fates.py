"""Every kind of line has the fate and the reasons it should have; the key stands in no plan."""

import hashlib
import hmac
import io
import json
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ccare.events.forgotten import FORGOTTEN_STAFF
from ccare.events.job import accepted, entity_state, fates, parsed, rejected
from ccare.events.pseudonym import pads_frame, token
from ccare.events.slots import load_slots
from ccare.ledger.policy import load_ledger
from ccare.runtime.close import Close
from ccare.runtime.settings import default_conf
from ccare.runtime.spark import frame
from ccare.scoring.policy import load_scoring
from ccare.tables import table
from ccare.tables.streams import FUNDING, MERCHANTS, MINI_PROGRAM, PAYMENTS, STAFF, Stream

pytestmark = pytest.mark.spark

DAY = date(2024, 3, 1)
KEY = b"a key of at least thirty-two bytes, for tests"
PAID = {
    "event_id": "p1",
    "event_type": "paid",
    "occurred_at": "2024-03-01T10:00:00+08:00",
    "merchant_id": "m1",
    "user_id": "u-1",
    "trade_no": "t1",
    "amount_fen": 100,
}


def line(**changes: Any) -> str:
    """PAID with changes; None removes a field."""
    return json.dumps({k: v for k, v in {**PAID, **changes}.items() if v is not None}, ensure_ascii=False)


def close() -> Close:
    conf = default_conf()
    return Close(
        day=DAY,
        first_day=DAY,
        run_id="test",
        posted_at=datetime(2024, 3, 2, tzinfo=UTC),
        timezone="Asia/Shanghai",
        scoring=load_scoring(conf).for_day(DAY),
        ledger=load_ledger(conf).for_day(DAY),
        slots=load_slots(conf, DAY),
    )


def landing(spark: SparkSession, lines: list[str | bytes]) -> DataFrame:
    """Lines as the intake hands them on."""
    data = [text if isinstance(text, bytes) else text.encode() for text in lines]
    return (
        spark.createDataFrame(
            pa.table({"raw": pa.array(data, pa.binary()), "position": range(1, len(data) + 1)})
        )
        .select(
            F.col("raw").cast("string").alias("value"),
            F.lit("sha").alias("file_sha256"),
            "position",
            F.lit(date(2024, 3, 2)).alias("delivery_date"),
            F.lit(DAY).alias("taken_on"),
        )
        .crossJoin(F.broadcast(pads_frame(spark, KEY)))
    )


def judged(
    spark: SparkSession,
    lines: list[str | bytes],
    stream: Stream = PAYMENTS,
    existing: tuple[dict[str, Any], ...] = (),
) -> DataFrame:
    inputs = {"landing": landing(spark, lines)}
    inputs["core_merchants"] = frame(spark, table("core_merchants"), [{"merchant_id": "m1"}])
    if existing:
        inputs[stream.table] = frame(spark, table(stream.table), existing)
    return fates(inputs, close(), stream)


def test_each_line_has_its_fate_and_every_reason(spark: SparkSession) -> None:
    cases: list[tuple[str | bytes, str, set[str]]] = [
        (line(), "accepted", set()),
        (line(event_id="p2", trade_no="t2", amount_fen="250"), "accepted", set()),
        (line(event_id="p3", trade_no="t3", user_id=None), "accepted", set()),
        ("\ufeff" + line(event_id="p4", trade_no="t4"), "accepted", set()),
        (line(event_id="p5", trade_no="t5") + "\r", "accepted", set()),
        (line(event_id="p6", trade_no="t6", unheard_of=1), "accepted", set()),
        ('{"n":5}{"n":6}', "rejected", {"malformed_json"}),
        (line() + " and more", "rejected", {"malformed_json"}),
        (line(event_id="x") + "," + line(event_id="y"), "rejected", {"malformed_json"}),
        ("{'event_id': 'q'}", "rejected", {"malformed_json"}),
        ("", "rejected", {"malformed_json"}),
        (b'{"event_id": "\xff"}', "rejected", {"invalid_utf8"}),
        (line(event_id="b1", amount_fen=-1), "rejected", {"bad_amount_fen"}),
        (line(event_id="b2", amount_fen=1.5), "rejected", {"bad_amount_fen"}),
        (line(event_id="b3", amount_fen=2**63), "rejected", {"bad_amount_fen"}),
        (line(event_id="p7", trade_no="t7", amount_fen=10**15, fee_fen=10**15), "accepted", set()),
        (line(event_id="b14", amount_fen=10**15 + 1), "rejected", {"bad_amount_fen"}),
        (line(event_id="b15", fee_fen=2**63 - 1), "rejected", {"bad_fee_fen"}),
        (
            line(event_id="b4", amount_fen=None, trade_no=None),
            "rejected",
            {"missing_amount_fen", "missing_trade_no"},
        ),
        (line(event_id="b5", event_type="bought"), "rejected", {"unknown_event_type"}),
        (line(event_id="b6", event_type="refunded"), "rejected", {"missing_refund_no"}),
        (line(event_id="b 7"), "rejected", {"bad_event_id"}),
        (line(event_id="b8", merchant_id="m/1"), "rejected", {"bad_merchant_id"}),
        (line(event_id="b9", merchant_id="unknown"), "rejected", {"unknown_merchant"}),
        (
            line(event_id="b14", merchant_id="unknown", amount_fen=-1),
            "rejected",
            {"bad_amount_fen", "unknown_merchant"},
        ),
        (line(event_id="b15", merchant_id=None), "rejected", {"missing_merchant_id"}),
        (line(event_id="b10", occurred_at="2024-03-01 10:00"), "rejected", {"bad_occurred_at"}),
        (line(event_id="b11", occurred_at="2024-02-30T10:00:00Z"), "rejected", {"bad_occurred_at"}),
        (line(event_id="b12", occurred_at="2024-03-03T00:10:01+08:00"), "rejected", {"occurred_in_future"}),
        (line(event_id="ok12", trade_no="t12", occurred_at="2024-03-03T00:10:00+08:00"), "accepted", set()),
        (line(event_id="b13", origin="guess"), "rejected", {"bad_origin"}),
        (line(event_id="c1", trade_no="t20"), "accepted", set()),
        (line(event_id="c1", trade_no="t20"), "duplicate", set()),
        (line(event_id="c2", trade_no="t20"), "rejected", {"duplicate_trade"}),
    ]
    rows = judged(spark, [case[0] for case in cases]).select("position", "fate", "reasons").collect()
    assert len(rows) == len(cases), "every line has one fate"
    found = {row.position: (row.fate, set(row.reasons)) for row in rows}
    by_position = {n: (cases[n - 1][1], cases[n - 1][2]) for n in found}
    # Which of two rows of one trade stays depends on their digests; that exactly one does is the rule.
    disputed = {n for n, case in enumerate(cases, 1) if '"t20"' in str(case[0])}
    for n in found.keys() - disputed:
        assert found[n] == by_position[n], f"line {n}: {cases[n - 1][0]!r}"
    assert sorted(found[n][0] for n in disputed) == ["accepted", "duplicate", "rejected"]


def test_rows_taken_before_decide(spark: SparkSession) -> None:
    first = judged(spark, [line()]).collect()[0]
    existing = ({**first.asDict(), "business_date": DAY},)
    lines = [line(), line(amount_fen=101), line(event_id="p9"), line(event_id="p10", trade_no="t10")]
    rows = judged(spark, lines, existing=existing).select("position", "fate", "reasons").collect()
    found = {row.position: (row.fate, list(row.reasons)) for row in rows}
    assert found == {
        1: ("duplicate", []),
        2: ("rejected", ["event_id_conflict"]),
        3: ("rejected", ["duplicate_trade"]),
        4: ("accepted", []),
    }


def test_same_id_other_content_keeps_one_whatever_the_order(spark: SparkSession) -> None:
    lines = [line(), line(amount_fen=777, trade_no="t9")]
    kept = []
    for order in (lines, lines[::-1]):
        rows = judged(spark, order).collect()
        assert sorted(row.fate for row in rows) == ["accepted", "rejected"]
        kept.append(next(row.content_hash for row in rows if row.fate == "accepted"))
    assert kept[0] == kept[1]


def test_business_date_and_slot(spark: SparkSession) -> None:
    event = {"event_id": "e", "event_type": "launch", "merchant_id": "m1", "user_id": "u"}
    lines = [
        json.dumps({**event, "event_id": "a", "occurred_at": "2024-02-29T16:30:00Z", "scene": "1005"}),
        json.dumps({**event, "event_id": "b", "occurred_at": "2024-02-29T15:30:00Z", "scene": "9"}),
        json.dumps(
            {**event, "event_id": "c", "occurred_at": "2024-03-01T01:00:00+08:00", "scene": "1005",
             "promo_position": "coupon_channel"}
        ),
    ]  # fmt: skip
    rows = {r.event_id: r for r in judged(spark, lines, MINI_PROGRAM).collect()}
    assert (rows["a"].business_date, rows["a"].slot) == (date(2024, 3, 1), "search_box")
    assert (rows["b"].business_date, rows["b"].slot) == (date(2024, 2, 29), "unknown")
    assert rows["c"].slot == "coupon_channel", "a known position wins over the scene"


def test_tokens_equal_hmac_and_the_key_stands_in_no_plan(spark: SparkSession) -> None:
    ids = ["u-1", "用户", "x" * 200, "13800138000"]
    for key in (KEY, b"k" * 80):
        df = spark.createDataFrame([(i,) for i in ids], "user_id string").crossJoin(
            F.broadcast(pads_frame(spark, key))
        )
        tokens = df.select("user_id", token(F.col("user_id")).alias("t"))
        expected = {i: "k1_" + hmac.new(key, i.encode(), hashlib.sha256).hexdigest() for i in ids}
        assert {row.user_id: row.t for row in tokens.collect()} == expected
    told = io.StringIO()
    with redirect_stdout(told):
        judged(spark, [line()]).explain(extended=True)
    inner = bytes(b ^ 0x36 for b in hashlib.sha256(KEY).digest()[:8])
    for secret in (KEY.decode()[:12], KEY.hex()[:16].upper(), inner.hex().upper()):
        assert secret not in told.getvalue()


def test_refused_lines_are_masked(spark: SparkSession) -> None:
    text = line(
        event_id="bad id", user_id="13800138000", operator_id="Li Lei", note="li@example.com 13900139000"
    )
    row = rejected(judged(spark, [text]), PAYMENTS).collect()[0]
    for personal in ("13800138000", "Li Lei", "li@example.com", "13900139000"):
        assert personal not in row.payload
    assert row.row_digest == hashlib.sha256(text.encode()).hexdigest()
    assert row.position == 1


def test_merchants_need_no_user_and_no_event(spark: SparkSession) -> None:
    good = {
        "merchant_id": "m1",
        "name": "A",
        "industry": "retail",
        "own_brand": True,
        "joined_on": "2024-01-01",
    }
    lines = [
        json.dumps({**good, "valid_from": "2024-01-01"}),
        json.dumps({**good, "valid_from": "2024-13-01"}),
    ]
    rows = judged(spark, lines, MERCHANTS).orderBy("position").collect()
    assert [(r.fate, list(r.reasons)) for r in rows] == [("accepted", []), ("rejected", ["bad_valid_from"])]


GOOD = {"merchant_id": "m1", "name": "A", "industry": "retail", "own_brand": True, "joined_on": "2024-01-01"}


def records(spark: SparkSession, told: list[tuple[str, dict[str, Any]]]) -> DataFrame:
    """Merchants' records, each with the day of March on which it was delivered."""
    lines: list[str | bytes] = [
        json.dumps({**GOOD, "valid_from": "2024-01-01", **change}) for _, change in told
    ]
    days = F.array(*(F.lit(date(2024, 3, int(day))) for day, _ in told))
    rows = landing(spark, lines).withColumn("delivery_date", days[F.col("position").cast("int") - 1])
    return fates({"landing": rows}, close(), MERCHANTS)


def test_records_of_one_key_and_delivery_date_agree_or_one_is_refused(spark: SparkSession) -> None:
    told = [
        ("2", {}),
        ("2", {"name": "B"}),
        ("2", {"name": "C"}),
        ("2", {"merchant_id": "m2"}),
        ("2", {"merchant_id": "m2"}),
        ("2", {"valid_from": "2024-02-01"}),
        ("1", {"name": "earlier"}),
        ("3", {}),
        ("2", {"own_brand": "yes"}),
    ]
    for order in (told, told[::-1]):
        rows = records(spark, order).collect()
        assert len(rows) == len(told)
        disputed = [r for r in rows if r.merchant_id == "m1" and r.delivery_date.day == 2]
        first = [
            r for r in disputed if r.valid_from == date(2024, 1, 1) and not {"bad_own_brand"} & {*r.reasons}
        ]
        assert sorted((r.fate, *r.reasons) for r in first) == [
            ("accepted",),
            ("rejected", "record_conflict"),
            ("rejected", "record_conflict"),
        ]
        stays = next(r for r in first if r.fate == "accepted")
        assert stays.content_hash == max(r.content_hash for r in first), "the one that the table would keep"
        assert sorted(r.fate for r in rows if r.merchant_id == "m2") == ["accepted", "duplicate"]
        others = {(r.delivery_date.day, str(r.valid_from)): r.fate for r in rows if r not in first}
        assert others[1, "2024-01-01"] == others[3, "2024-01-01"] == others[2, "2024-02-01"] == "accepted"
        assert [list(r.reasons) for r in disputed if r.own_brand is None] == [["bad_own_brand"]]


def test_forgotten_staff_do_not_contradict_each_other(spark: SparkSession) -> None:
    lines: list[str | bytes] = [json.dumps({"merchant_id": "m1", "user_id": u}) for u in ("u-1", "u-2")]
    parsed_rows = parsed({"landing": landing(spark, lines)}, close(), STAFF)
    one = parsed_rows.withColumn("user_key", F.lit(FORGOTTEN_STAFF))
    assert [r.fate for r in fates({"parsed": one}, close(), STAFF).collect()] == ["accepted", "accepted"]


def test_merchants_are_history_and_the_latest_delivery_stands(spark: SparkSession) -> None:
    first = accepted(records(spark, [("1", {}), ("1", {"valid_from": "2024-02-01", "name": "B"})]), MERCHANTS)
    nobody = frame(spark, table("core_merchants"), [])
    state = entity_state(nobody, first, MERCHANTS).persist()
    assert told_of(state) == [
        ("2024-01-01", "2024-01-31", "A"),
        ("2024-02-01", "None", "B"),
    ]
    change = [
        ("3", {"name": "late"}),
        ("2", {"name": "A2"}),
        ("2", {"valid_from": "2024-01-16", "name": "between"}),
    ]
    assert told_of(entity_state(state, accepted(records(spark, change), MERCHANTS), MERCHANTS)) == [
        ("2024-01-01", "2024-01-15", "late"),
        ("2024-01-16", "2024-01-31", "between"),
        ("2024-02-01", "None", "B"),
    ]
    state.unpersist()


def told_of(state: DataFrame) -> list[tuple[str, str, str]]:
    return sorted((str(r.valid_from), str(r.valid_to), r.name) for r in state.collect())


def test_of_what_is_asked_once_the_first_delivery_stands(spark: SparkSession) -> None:
    asked = {
        "approval": "r1",
        "pool": "p",
        "asset": "POINT",
        "amount": 5,
        "effective_date": "2024-03-01",
        "asked_by": "A",
    }
    lines: list[str | bytes] = [json.dumps(asked)] * 2
    rows = landing(spark, lines).withColumn(
        "delivery_date", F.date_add(F.lit(DAY), F.col("position").cast("int"))
    )
    later = accepted(fates({"landing": rows}, close(), FUNDING), FUNDING).persist()
    before, new = (
        later.where(later.delivery_date > date(2024, 3, 2)),
        later.where(later.delivery_date <= date(2024, 3, 2)),
    )
    for one, two in ((before, new), (new, before)):
        (row,) = entity_state(one, two, FUNDING).collect()
        assert row.delivery_date == date(2024, 3, 2)
    later.unpersist()


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.randoms(use_true_random=False))
def test_order_repetition_and_files_do_not_decide(spark: SparkSession, draw: Any) -> None:
    lines = [line(event_id=f"p{n % 9}", trade_no=f"t{n % 7}", amount_fen=n % 4) for n in range(24)]
    kept = []
    for shuffled in (lines, draw.sample(lines, len(lines)) + draw.sample(lines, 6)):
        rows = judged(spark, shuffled).where("fate = 'accepted'").select("event_id", "content_hash").collect()
        kept.append(sorted(map(tuple, rows)))
    assert kept[0] == kept[1]
    assert len({event_id for event_id, _ in kept[0]}) == len(kept[0])


NEW_YORKS_DAYS = (
    *(("2026-03-08T04:59:59Z", date(2026, 3, 7)), ("2026-03-08T05:00:00Z", date(2026, 3, 8))),
    *(("2026-03-09T03:59:59Z", date(2026, 3, 8)), ("2026-03-09T04:00:00Z", date(2026, 3, 9))),
    *(("2026-11-01T03:59:59Z", date(2026, 10, 31)), ("2026-11-01T04:00:00Z", date(2026, 11, 1))),
    # One o'clock comes twice on 1 November.
    *(("2026-11-01T01:30:00-04:00", date(2026, 11, 1)), ("2026-11-01T01:30:00-05:00", date(2026, 11, 1))),
    *(("2026-11-02T04:59:59Z", date(2026, 11, 1)), ("2026-11-02T05:00:00Z", date(2026, 11, 2))),
)
"""Instants beside the ends of the days on which New York's clocks change, and whose days they belong to."""


def test_a_payments_date_goes_by_the_clocks_of_its_own_day(spark: SparkSession) -> None:
    """8 March has 23 hours, 1 November has 25; a second after the end of the next day's delivery is the future."""
    instants = [*NEW_YORKS_DAYS, ("2026-11-03T05:10:00Z", date(2026, 11, 3)), ("2026-11-03T05:10:01Z", None)]
    lines: list[str | bytes] = [
        line(event_id=f"e{n}", trade_no=f"t{n}", occurred_at=at) for n, (at, _) in enumerate(instants)
    ]
    inputs = {"landing": landing(spark, lines).withColumn("delivery_date", F.lit(date(2026, 11, 2)))}
    inputs["core_merchants"] = frame(spark, table("core_merchants"), [{"merchant_id": "m1"}])
    rows = (
        fates(inputs, replace(close(), timezone="America/New_York"), PAYMENTS).orderBy("position").collect()
    )
    found = [row.business_date if row.fate == "accepted" else None for row in rows]
    assert found == [day for _, day in instants]
    assert list(rows[-1].reasons) == ["occurred_in_future"]
