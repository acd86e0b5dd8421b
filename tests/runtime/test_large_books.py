"""A close over large books looks at few of their rows and gives those that change: the same books come out."""

import shutil
from pathlib import Path

import pytest

from ccare.runtime import manifest, steps
from ccare.runtime.digest import lake_digest
from ccare.runtime.settings import Settings
from ccare.runtime.steps import LEDGER_CACHES
from ccare.runtime.verify import verify_lake
from tests.runtime.test_closing import DAYS, close, settings_in

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def test_a_day_closed_over_large_books(
    three_days: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(three_days.lake.parent / "after" / str(DAYS[1]), tmp_path / "lake")
    shutil.copytree(three_days.landing, tmp_path / "landing")
    settings = settings_in(tmp_path)
    monkeypatch.setattr(steps, "LARGE_BOOKS", -1)
    before = manifest.published(settings.lake)[-1].rows
    said = close(settings, DAYS[2])
    assert lake_digest(settings) == lake_digest(three_days)
    after = manifest.published(settings.lake)[-1].rows
    assert all(after[name] >= before[name] > 0 for name in LEDGER_CACHES)
    assert verify_lake(settings, said.append).ok
