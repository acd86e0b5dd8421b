"""What a close's JVM and plans are made for, by the names and sizes of what is delivered and by what is published."""

from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ccare.runtime.settings import Settings
from ccare.runtime.workload import (
    BRIEF_BYTES,
    BRIEF_DAYS,
    BRIEF_PAIRS,
    TINY_BYTES,
    TINY_PAIRS,
    workload,
)

DAY = date(2026, 3, 4)


def delivered(root: Path, **sizes: int) -> Settings:
    """Payments by delivery date (dYYYYMMDD), as files of so many bytes that nobody has written."""
    for name, size in sizes.items():
        folder = root / "landing" / "payments" / f"{date.fromisoformat(name[1:])}"
        folder.mkdir(parents=True)
        with (folder / "a.jsonl").open("wb") as file:
            file.truncate(size)
    return Settings(lake=root / "lake", landing=root / "landing", exports=root / "exports")


def published(pairs: int, day: date = DAY - timedelta(days=1)) -> Any:
    return SimpleNamespace(rows={"state_users": pairs}, business_date=day)


@pytest.mark.parametrize(
    ("size", "tiny", "brief"),
    [
        (0, True, True),
        (TINY_BYTES, True, True),
        (TINY_BYTES + 1, False, True),
        (BRIEF_BYTES + 1, False, False),
    ],
)
def test_by_bytes(tmp_path: Path, size: int, tiny: bool, brief: bool) -> None:
    settings = delivered(tmp_path, d20260305=size)
    found = workload(settings, published(9), DAY)
    assert (found.is_tiny, found.is_brief) == (tiny, brief)


@pytest.mark.parametrize(
    ("pairs", "tiny", "brief"),
    [(TINY_PAIRS, True, True), (TINY_PAIRS + 1, False, True), (BRIEF_PAIRS + 1, False, False)],
)
def test_by_pairs(tmp_path: Path, pairs: int, tiny: bool, brief: bool) -> None:
    found = workload(delivered(tmp_path, d20260305=10), published(pairs), DAY)
    assert (found.is_tiny, found.is_brief) == (tiny, brief)


def test_by_days_closed_in_one_process(tmp_path: Path) -> None:
    settings = delivered(tmp_path, d20260305=10)
    found = [workload(settings, published(9), DAY, days).is_brief for days in (1, BRIEF_DAYS, BRIEF_DAYS + 1)]
    assert found == [True, True, False]


def test_a_first_close_takes_every_folder_a_later_one_those_since(tmp_path: Path) -> None:
    settings = delivered(tmp_path, d20260101=TINY_BYTES, d20260305=1, d20260306=TINY_BYTES)
    assert not workload(settings, None, DAY).is_tiny, "the old folder counts"
    assert workload(settings, published(9), DAY).is_tiny, "neither the old one nor tomorrow's does"
    assert not workload(settings, published(9), DAY + timedelta(days=1)).is_tiny
