"""ccare release: what it accepts, what it refuses with exit code 2, and what the run reads of it."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ccare.cli import app
from ccare.errors import GateRefused, UsageError
from ccare.runtime import deltalog
from ccare.runtime.gate import Failure, Rule
from ccare.runtime.lease import RunRecord, read_record, save_record
from ccare.runtime.quality import Quality, kept
from ccare.runtime.releases import Release, release_folder, releases_of, store_releases

DAY = date(2026, 3, 4)
RULE = Rule("refused_share", "measured", (("column", "refused_share_bp"), ("max", 1000)), "block", "a reason")


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An open run that two tables block."""
    for name in ("lake", "landing", "exports"):
        monkeypatch.setenv(f"CCARE_{name.upper()}", str(tmp_path / name))
    (tmp_path / "lake").mkdir()
    record = RunRecord("run", DAY, 0, "close", DAY, 1, datetime(2026, 3, 5, tzinfo=UTC))
    record.blocked = ["core_payments.refused_share", "core_payments.bad_origin", "core_staff.bad_origin"]
    save_record(tmp_path / "lake", record)
    return tmp_path / "lake"


def command(
    *, day: date = DAY, rule: str = "refused_share", by: str = "Li", reason: str = "agreed"
) -> UsageError | None:
    """The error that the command ends with."""
    words = ["release", "--day", str(day), "--rule", rule, "--by", by, "--reason", reason]
    error = CliRunner().invoke(app, words).exception
    assert error is None or isinstance(error, UsageError)
    return error


def test_what_is_not_blocked_is_not_released(lake: Path) -> None:
    for error, words in (
        (command(day=DAY + timedelta(days=1)), "is not blocked"),
        (command(rule="volume_tenfold"), "does not block"),
        (command(rule="core_staff.refused_share"), "does not block"),
        (command(rule="bad_origin"), "in several tables"),
        (command(by=" "), "a name and a reason"),
        (command(reason=""), "a name and a reason"),
    ):
        assert error is not None and error.exit_code == 2
        assert words in error.message
        assert error.remedy
    assert releases_of(lake.parent / "landing", DAY) == []


def test_a_release_is_a_delivery_that_a_run_reads(lake: Path) -> None:
    assert command() is None
    assert command(rule="core_staff.bad_origin") is None
    found = releases_of(lake.parent / "landing", DAY)
    assert [(r.table, r.rule, r.by, r.reason) for r in found] == [
        ("core_payments", "refused_share", "Li", "agreed"),
        ("core_staff", "bad_origin", "Li", "agreed"),
    ]
    assert releases_of(lake.parent / "landing", DAY - timedelta(days=1)) == []


def test_it_lets_that_rule_go_and_no_other(lake: Path) -> None:
    release = Release(str(DAY), "core_payments", "refused_share", "Li", "agreed", "2026-03-05T01:00:00+00:00")
    quality = Quality(DAY, 0, "run", [release])
    (warning,) = quality.judge("core_payments", [RULE], [Failure("core_payments", RULE, 0, "", "half of it")])
    assert "let go by Li: agreed" in warning
    assert set(quality.used) == {"core_payments.refused_share"}
    with pytest.raises(GateRefused, match="core_staff"):
        quality.judge("core_staff", [RULE], [Failure("core_staff", RULE, 0, "")])
    quality.write(lake.parent / "exports")
    (told,) = kept(lake.parent / "exports", DAY)
    assert told["outcomes"]["core_payments.refused_share"]["released"]["by"] == "Li"
    assert "released" not in told["outcomes"]["core_staff.refused_share"]


def test_it_is_published_once_however_often_the_step_is_tried(lake: Path) -> None:
    record = read_record(lake)
    assert record
    store_releases(lake, record)
    assert "run_releases" not in record.versions
    release = Release(str(DAY), "core_payments", "refused_share", "Li", "agreed", "2026-03-05T01:00:00+00:00")
    record.released = {"core_payments.refused_share": {**release.told(), "detail": "half of it"}}
    store_releases(lake, record)
    first = dict(record.versions)
    store_releases(lake, record)
    assert record.versions == first
    (row,) = deltalog.rows(lake, "run_releases", record.versions["run_releases"])
    assert (row["business_date"], row["rule"], row["released_by"]) == (DAY, "refused_share", "Li")


def test_a_file_that_is_no_release_is_named(lake: Path) -> None:
    folder = release_folder(lake.parent / "landing", DAY)
    folder.mkdir(parents=True)
    (folder / "x.json").write_text("{}")
    with pytest.raises(UsageError, match=r"x\.json is no release"):
        releases_of(lake.parent / "landing", DAY)
    told = {
        "day": "2026-01-01",
        "table": "core_staff",
        "rule": "r",
        "by": "a",
        "reason": "b",
        "released_at": "",
    }
    (folder / "x.json").write_text(json.dumps(told))
    with pytest.raises(UsageError, match="no release of 2026-03-04"):
        releases_of(lake.parent / "landing", DAY)
