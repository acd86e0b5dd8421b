"""More comes in than a run holds: what lies in files for the while ends in the same lake, and nothing of it stays."""

import shutil
from pathlib import Path

import pytest

from ccare.runtime import close as closes
from ccare.runtime import handover
from ccare.runtime.digest import lake_digest
from ccare.runtime.rebuild import rebuild
from ccare.runtime.settings import Settings
from tests.runtime.test_closing import DAYS, close, settings_in

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def test_days_of_many_changes_end_in_the_same_lake(
    three_days: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    shutil.copytree(three_days.landing, settings.landing)
    for module in (closes, handover):
        monkeypatch.setattr(module, "FEW_CHANGES", 0)
    close(settings, DAYS[0], DAYS[-1])
    assert lake_digest(settings)["tables"] == lake_digest(three_days)["tables"]
    assert rebuild(settings, None, "a look", lambda line: None).seq is None, "state equals its core rows"
    assert rebuild(settings, DAYS[1], "a look", lambda line: None).seq is None
    assert not [*(settings.lake / "_staging").rglob("*.parquet")]
