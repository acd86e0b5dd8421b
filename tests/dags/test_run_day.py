"""A day becomes a word of a command, so nothing but a date may pass."""

from datetime import UTC, date, datetime

import pytest

from ccare.errors import UsageError
from ccare.orchestration import allowed_missing, business_day, by_clock, by_month, by_range

DAY = date(2026, 3, 2)
MORNING = datetime(2026, 3, 2, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("partition_key", "conf", "logical_date"),
    [
        ("2026-03-02", None, None),
        ("2026-03-02", {"day": "2026-03-02"}, None),
        ("2026-03-02", {"day": None, "allow_missing": []}, datetime(2020, 1, 1, tzinfo=UTC)),
        (None, {"day": "2026-03-02"}, datetime(2020, 1, 1, tzinfo=UTC)),
        (None, {}, MORNING),
        (None, None, datetime(2026, 3, 2, 23, 59, tzinfo=UTC)),
    ],
)
def test_day_of_run(partition_key: str | None, conf: dict | None, logical_date: datetime | None) -> None:
    assert business_day(partition_key, conf, logical_date) == DAY


@pytest.mark.parametrize(
    "value",
    [
        "2026-3-2",
        "2026-02-30",
        "20260302",
        "2026-03-02T00:00:00",
        "2026-03-02 ",
        "2026-03-02\n",
        "2026-W10-1",
        "٢٠٢٦-٠٣-٠٢",
        "2026-03-02; rm -rf /",
        "$(date)",
        "--from",
        "",
        20260302,
        True,
        ["2026-03-02"],
    ],
)
def test_anything_but_a_date_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="is not a day"):
        business_day(None, {"day": value}, MORNING)
    if isinstance(value, str):
        with pytest.raises(UsageError, match="is not a day"):
            business_day(value, None, MORNING)


def test_two_days_none_and_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="conf's day is 2026-03-03"):
        business_day("2026-03-02", {"day": "2026-03-03"}, None)
    with pytest.raises(UsageError, match="names no day"):
        business_day(None, {}, None)
    with pytest.raises(UsageError, match="holds date"):
        business_day(None, {"date": "2026-03-02"}, MORNING)


def test_a_range_is_two_days_in_order_and_one_line_of_reason() -> None:
    asked = by_range(None, {"from": "2026-02-27", "to": "2026-03-01", "reason": " why "}, MORNING)
    assert [str(day) for day in asked.days] == ["2026-02-27", "2026-02-28", "2026-03-01"]
    assert asked.reason == "why"
    for conf, words in (
        ({"from": "2026-03-01"}, "no to"),
        ({}, "no from and no to"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "is before"),
        ({"from": "2026-03-01", "to": "2026-03-01", "reason": "two\nlines"}, "one line"),
        ({"from": "2026-03-01", "to": "2026-03-01", "reason": "x" * 501}, "one line"),
        ({"from": "--to", "to": "2026-03-01"}, "is not a day"),
        ({"from": "2026-03-01", "to": "2026-03-01", "user": "x"}, "holds user"),
    ):
        with pytest.raises(UsageError, match=words):
            by_range(None, conf, MORNING)


def test_a_month_is_the_one_that_the_day_lies_in() -> None:
    for day in ("2024-02-01", "2024-02-29"):
        asked = by_month(day, None, None)
        assert (str(asked.first), str(asked.last)) == ("2024-02-01", "2024-02-29")


def test_the_clock_stands_for_a_day_of_its_own() -> None:
    assert by_clock(None, None, MORNING).last == DAY
    assert by_clock(None, {}, None).last == datetime.now(UTC).date()
    with pytest.raises(UsageError, match="holds lake"):
        by_clock(None, {"lake": "/"}, None)


def test_only_required_streams_may_be_let_go() -> None:
    assert allowed_missing(None) == allowed_missing({"allow_missing": None}) == ()
    assert allowed_missing({"allow_missing": ["payments", "life_account", "payments"]}) == (
        "life_account",
        "payments",
    )
    for value in ("payments", ["vouchers"], ["--from"], [["payments"]], {"payments": 1}):
        with pytest.raises(UsageError, match="allow_missing is"):
            allowed_missing({"allow_missing": value})
