"""Rules about whole deliveries: what each measure is, when it speaks and when it keeps silent."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ccare.errors import GateRefused
from ccare.runtime.dataset_rules import (
    Measured,
    dataset_rules,
    delivery_measures,
    every_rule,
    judged,
)
from ccare.runtime.quality import Quality
from ccare.runtime.relations import relation_measures
from ccare.runtime.rowstore import arrow_schema, write_arrow
from ccare.tables import table

DAY = date(2026, 3, 4)
DUE = DAY + timedelta(days=1)


def a_file(read: int, refused: int = 0, delivered: date = DUE, stream: str = "payments") -> dict[str, Any]:
    return {"stream": stream, "rows_read": read, "rows_rejected": refused, "delivery_date": delivered}


def history(*rows: int) -> list[dict[str, Any]]:
    """The same weekday of the last weeks, the latest last, and a Monday in between that does not count."""
    weeks = [a_file(n, delivered=DUE - timedelta(days=7 * w)) for w, n in enumerate(reversed(rows), 1)]
    return [*weeks, a_file(999_999, delivered=DUE - timedelta(days=3)), a_file(7, stream="traffic")]


def broken(measures: dict[str, Measured], name: str = "core_payments") -> dict[str, str]:
    return {f.rule.id: f.rule.severity for f in judged(name, measures)[1]}


def test_every_rule_says_why_and_is_block_or_warn() -> None:
    assert {rule.rule.severity for _, rule in every_rule()} == {"block", "warn"}
    assert all(rule.rule.why and rule.rule.id for _, rule in every_rule())
    ids = [rule.rule.id for rule in dataset_rules("core_payments")]
    assert len(set(ids)) == len(ids)
    assert {"refused_share", "volume_usual", "volume_tenfold", "fresh", "slots_known"} <= set(ids)
    assert {"refunds_within_paid", "refunds_matched", "refund_after_payment"} <= set(ids)


@pytest.mark.parametrize(
    ("read", "refused", "expected"),
    [
        (1000, 100, {}),
        (1000, 101, {"refused_share": "block"}),
        (99, 99, {}),
        (100, 100, {"refused_share": "block"}),
    ],
)
def test_the_refused_share_blocks_above_its_limit(read: int, refused: int, expected: dict[str, str]) -> None:
    assert broken(delivery_measures("payments", DAY, [a_file(read, refused)], [])) == expected


@pytest.mark.parametrize(
    ("today", "past", "expected"),
    [
        (1000, (1000, 1010, 990, 1000), {}),
        (1190, (1000, 1010, 990, 1000), {}),
        (1201, (1000, 1010, 990, 1000), {"volume_usual": "warn"}),
        (700, (1000, 1010, 990, 1000), {"volume_usual": "warn"}),
        (1400, (1000, 1200, 800, 1000), {}),
        (5000, (1000, 1010, 990), {}),
        (10_001, (1000, 1010, 990, 1000), {"volume_usual": "warn", "volume_tenfold": "block"}),
        (990, (99, 99, 99, 99), {"volume_usual": "warn"}),
    ],
)
def test_volume_is_held_against_the_same_weekday(
    today: int, past: tuple[int, ...], expected: dict[str, str]
) -> None:
    """Four weeks at least; the median and its absolute deviations, so one odd week changes nothing."""
    assert broken(delivery_measures("payments", DAY, [a_file(today)], history(*past))) == expected


def test_a_required_stream_without_rows_of_the_day_warns() -> None:
    assert broken(delivery_measures("payments", DAY, [], [])) == {"fresh": "warn"}
    older = delivery_measures("payments", DAY, [a_file(5, delivered=DUE - timedelta(days=2))], [])
    assert broken(older) == {"fresh": "warn"}
    assert "5 rows came in older folders" in older["rows_of_the_day"].detail
    assert broken(delivery_measures("vouchers", DAY, [], []), "core_voucher_events") == {}


def test_unknown_codes_are_told_with_their_names() -> None:
    measures = {"unknown_codes": Measured(3, 10, "3 of 10 rows name an unknown code: 77 (3)")}
    (failure,) = judged("core_mini_program_events", measures)[1]
    assert "77 (3)" in failure.sentence() and failure.rule.id == "slots_known"
    assert broken({"unknown_codes": Measured(0, 10, "")}, "core_mini_program_events") == {}


def test_a_block_rule_refuses_and_names_both_ways_on() -> None:
    looked, failures = judged("core_payments", delivery_measures("payments", DAY, [a_file(100, 50)], []))
    seen: list[str] = []
    quality = Quality(DAY, 0, "run", blocked=lambda found: seen.extend(f.name for f in found))
    with pytest.raises(GateRefused, match=r"50 of 100 rows") as refused:
        quality.judge("core_payments", looked, failures)
    assert seen == ["core_payments.refused_share"]
    assert "ccare release --day 2026-03-04 --rule core_payments.refused_share" in refused.value.remedy
    assert "run the day again" in refused.value.remedy


def _lake(lake: Path, name: str, rows: list[dict[str, Any]]) -> int:
    declared = table(name)
    common = {"origin": "real", "delivery_date": DUE, "business_date": DAY, "merchant_id": "m"}
    told = [
        {c.name: {**common, "event_id": f"e{n}", **row}.get(c.name) for c in declared.columns}
        for n, row in enumerate(rows)
    ]
    return write_arrow(lake, declared, pa.Table.from_pylist(told, arrow_schema(declared)), "r", "append")


def _at(hour: int) -> datetime:
    return datetime(2026, 3, 4, hour, tzinfo=UTC)


def test_refunds_beyond_paid_early_and_held(tmp_path: Path) -> None:
    before = DAY - timedelta(days=1)
    paid = {"event_type": "paid", "amount_fen": 100, "occurred_at": _at(8), "taken_on": before}
    back = {"event_type": "refunded", "amount_fen": 60, "occurred_at": _at(9), "taken_on": DAY}
    version = _lake(tmp_path, "core_payments", [
        {**paid, "trade_no": "whole"}, {**back, "trade_no": "whole"},
        {**paid, "trade_no": "twice"}, {**back, "trade_no": "twice", "taken_on": before}, {**back, "trade_no": "twice"},
        {**paid, "trade_no": "early"}, {**back, "trade_no": "early", "occurred_at": _at(7)},
        {**back, "trade_no": "held"}, {**back, "trade_no": "long held", "taken_on": before},
        {**paid, "trade_no": "old"}, {**back, "trade_no": "old", "amount_fen": 500, "taken_on": before},
        {**back, "trade_no": "other", "merchant_id": "n"}, {**paid, "trade_no": "other"},
    ])  # fmt: skip
    found = relation_measures(tmp_path, "core_payments", version, DAY)
    assert found["trades_refunded_beyond_paid"].value == 1, "of today's refunds, the one returned twice"
    assert found["refunds_held"].value == 3
    assert "2 of them taken today" in found["refunds_held"].detail
    assert found["refunds_before_payment"].value == 1
    assert broken(found) == {
        "refunds_within_paid": "warn", "refunds_matched": "warn", "refund_after_payment": "warn",
    }  # fmt: skip


def test_a_refund_number_that_comes_again_is_told(tmp_path: Path) -> None:
    before = DAY - timedelta(days=1)
    paid = {"event_type": "paid", "amount_fen": 100, "occurred_at": _at(8), "taken_on": before}
    back = {"event_type": "refunded", "amount_fen": 10, "occurred_at": _at(9), "taken_on": DAY}
    version = _lake(tmp_path, "core_payments", [
        {**paid, "trade_no": "t"}, {**paid, "trade_no": "u"},
        {**back, "trade_no": "t", "refund_no": "r1", "taken_on": before}, {**back, "trade_no": "t", "refund_no": "r1"},
        {**back, "trade_no": "t", "refund_no": "r2"}, {**back, "trade_no": "u", "refund_no": "r2"},
        *[{**back, "trade_no": "u", "refund_no": "old", "taken_on": before}] * 2,
    ])  # fmt: skip
    found = relation_measures(tmp_path, "core_payments", version, DAY)
    assert found["refund_numbers_again"].value == 1, "of a trade, and told today"
    assert broken(found) == {"refunds_once": "warn"}


def test_refunds_beyond_paid_everywhere_block(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for n in range(60):
        at = {"trade_no": f"t{n}", "taken_on": DAY, "occurred_at": _at(9)}
        rows += [{"event_type": "paid", "amount_fen": 100, **at, "occurred_at": _at(8)}]
        rows += [{"event_type": "refunded", "amount_fen": 101 if n < 20 else 100, **at}]
    found = relation_measures(tmp_path, "core_payments", _lake(tmp_path, "core_payments", rows), DAY)
    assert broken(found) == {"refunds_within_paid": "warn", "refunds_within_paid_mostly": "block"}


def test_a_voucher_is_received_before_it_is_used(tmp_path: Path) -> None:
    used = {"event_type": "used", "taken_on": DAY, "occurred_at": _at(9), "activity_id": "a"}
    got = {**used, "event_type": "received", "taken_on": DAY - timedelta(days=9), "occurred_at": _at(8)}
    version = _lake(tmp_path, "core_voucher_events", [
        {**got, "voucher_code": "good"}, {**used, "voucher_code": "good"},
        {**used, "voucher_code": "never"}, {**used, "voucher_code": "later"},
        {**got, "voucher_code": "later", "occurred_at": _at(10)}, {**got, "voucher_code": "unused"},
        {**used, "voucher_code": "never before today", "taken_on": DAY - timedelta(days=1)},
    ])  # fmt: skip
    found = relation_measures(tmp_path, "core_voucher_events", version, DAY)
    assert found["vouchers_used_unreceived"].value == 2
    assert broken(found, "core_voucher_events") == {"used_after_received": "warn"}


ON = {"event_type": "follow", "taken_on": DAY - timedelta(days=5), "occurred_at": _at(1)}
OFF = {"event_type": "unfollow", "taken_on": DAY, "occurred_at": _at(9)}


def followers(lake: Path, rows: list[dict[str, Any]]) -> tuple[dict[str, float], dict[str, str]]:
    """The measures of these changes and the rules that they break."""
    name = "core_life_account_events"
    found = relation_measures(lake, name, _lake(lake, name, rows), DAY)
    return {key: told.value for key, told in found.items()}, broken(found, name)


def test_followers_continue(tmp_path: Path) -> None:
    values, rules = followers(tmp_path, [
        {**ON, "user_key": "a"}, {**OFF, "user_key": "a"},
        {**OFF, "user_key": "stranger"},
        {**ON, "user_key": "b"}, {**OFF, "user_key": "b"}, {**OFF, "user_key": "b", "occurred_at": _at(10)},
        {**ON, "user_key": "c", "taken_on": DAY, "occurred_at": _at(8)}, {**OFF, "user_key": "c"},
        {**ON, "user_key": "d", "event_type": "like"}, {**OFF, "user_key": None},
        *({**ON, "user_key": f"stays {n}"} for n in range(3)),
    ])  # fmt: skip
    assert values == {
        "unfollows_of_strangers": 2, "follows_again": 0, "growth_differs": 1, "followers_below_none": 0,
    }  # fmt: skip
    assert rules == {"follower_continuity": "warn", "growth_adds_up": "warn"}


def test_a_second_follow_is_told_and_counts_once(tmp_path: Path) -> None:
    values, rules = followers(tmp_path, [
        {**ON, "user_key": "a"}, {**ON, "user_key": "a", "taken_on": DAY, "occurred_at": _at(5)},
        {**ON, "user_key": "old"}, {**ON, "user_key": "old", "occurred_at": _at(2)},
        {**ON, "user_key": "back"}, {**OFF, "user_key": "back", "occurred_at": _at(2)},
        {**ON, "user_key": "back", "taken_on": DAY, "occurred_at": _at(3)},
        {**ON, "user_key": "n", "merchant_id": "n", "taken_on": DAY},
    ])  # fmt: skip
    assert (values["follows_again"], values["growth_differs"]) == (1, 1), "today's, of merchant m"
    assert rules == {"follows_once": "warn", "growth_adds_up": "warn"}


def test_growth_differs_where_a_change_comes_between_old_ones(tmp_path: Path) -> None:
    """Off, on and off again were known; a late unfollow before them moves the sum and not the follower."""
    late = {**OFF, "user_key": "a", "occurred_at": _at(3)}
    values, rules = followers(tmp_path, [
        {**ON, "user_key": "a"}, {**OFF, "user_key": "a", "taken_on": ON["taken_on"]}, late,
        {**ON, "user_key": "b"},
    ])  # fmt: skip
    assert (values["unfollows_of_strangers"], values["growth_differs"]) == (0, 1)
    assert rules == {"growth_adds_up": "warn"}


def test_followers_are_never_fewer_than_none(tmp_path: Path) -> None:
    """Day by day, of merchants that changed today: what stands even at the end may have been below on the way."""
    yesterday = DAY - timedelta(days=1)
    low = {**OFF, "user_key": "a", "taken_on": yesterday, "business_date": yesterday, "occurred_at": _at(0)}
    values, rules = followers(tmp_path, [
        low, {**ON, "user_key": "a", "taken_on": DAY}, {**ON, "user_key": "b", "taken_on": DAY},
        {**low, "merchant_id": "quiet"},
        {**ON, "user_key": "c", "merchant_id": "fine", "taken_on": DAY},
    ])  # fmt: skip
    assert values["followers_below_none"] == 1
    assert rules == {"followers_never_negative": "warn"}


def test_tables_without_relations_ask_nothing(tmp_path: Path) -> None:
    assert relation_measures(tmp_path, "core_mini_program_events", 0, DAY) == {}
