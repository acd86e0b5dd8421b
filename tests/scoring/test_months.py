"""Which month's benchmarks a day is compared with."""

from datetime import date

from ccare.scoring.months import days_of, month_in_use


def test_the_day_s_own_month_else_the_last_frozen_before_it() -> None:
    frozen = ["2026-01", "2026-02", "2026-05"]
    assert month_in_use(date(2026, 2, 28), frozen) == "2026-02"
    assert month_in_use(date(2026, 3, 1), frozen) == "2026-02"
    assert month_in_use(date(2026, 4, 30), reversed(frozen)) == "2026-02", "never one frozen later"
    assert month_in_use(date(2026, 5, 1), frozen) == "2026-05"


def test_before_anything_is_frozen_it_is_the_day_s_own() -> None:
    assert month_in_use(date(2025, 12, 31), ["2026-01"]) == "2025-12"
    assert month_in_use(date(2025, 12, 31), []) == "2025-12"


def test_groups_are_kept_for_as_long_as_the_benchmarks_are_in_use() -> None:
    assert days_of("2026-02", date(2026, 4, 9)) == (date(2026, 2, 1), date(2026, 4, 9))
