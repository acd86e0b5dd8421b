"""Days close in order: a step told to run a later day refuses, so that a scheduler cannot leave a gap."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ccare.errors import InputMissing, UsageError
from ccare.runtime.day import LakeState, open_record
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings


def lake_closed_to(day: date) -> LakeState:
    """A lake whose first and last closed day is ``day``; no table is published, so none is looked at."""
    return LakeState(
        [
            Published(
                seq=1,
                run_id="r",
                business_date=day,
                revision=0,
                kind="close",
                table_versions={},
                rows={},
                log_sha256={},
                control_totals={},
                inputs_digest="",
                code_version="",
                policy_version="",
                prev_hash="",
                hash="",
                published_at=datetime(2026, 3, 3, tzinfo=UTC),
            )
        ]
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    lake = tmp_path / "lake"
    lake.mkdir()
    return Settings(lake=lake, landing=tmp_path / "landing", exports=tmp_path / "exports")


def test_the_next_day_is_opened_and_a_later_one_waits(settings: Settings) -> None:
    lake = lake_closed_to(date(2026, 3, 2))
    with pytest.raises(InputMissing, match="2026-03-05 cannot be closed before 2026-03-03") as refused:
        open_record(settings, lake, date(2026, 3, 5))
    assert "ccare run --day 2026-03-04" in refused.value.remedy
    assert not (settings.lake / "_run.json").exists()
    assert open_record(settings, lake, date(2026, 3, 3)).kind == "close"


def test_the_first_day_is_free_and_a_closed_one_is_told_again(settings: Settings) -> None:
    closed = lake_closed_to(date(2026, 3, 2))
    assert open_record(settings, closed, date(2026, 3, 2)).kind == "republish"
    (settings.lake / "_run.json").unlink()
    with pytest.raises(UsageError, match="before the first day"):
        open_record(settings, closed, date(2026, 3, 1))
    assert open_record(settings, LakeState([]), date(2020, 1, 1)).kind == "close"
