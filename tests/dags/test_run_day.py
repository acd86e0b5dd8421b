"""A day becomes a word of a command, so nothing but a date may pass."""

from datetime import UTC, date, datetime

import pytest

from ccare.errors import UsageError
from ccare.orchestration import allowed_missing, business_day

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


def test_only_required_streams_may_be_let_go() -> None:
    assert allowed_missing(None) == allowed_missing({"allow_missing": None}) == ()
    assert allowed_missing({"allow_missing": ["payments", "life_account", "payments"]}) == (
        "life_account",
        "payments",
    )
    for value in ("payments", ["vouchers"], ["--from"], [["payments"]], {"payments": 1}):
        with pytest.raises(UsageError, match="allow_missing is"):
            allowed_missing({"allow_missing": value})
