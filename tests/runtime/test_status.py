"""ccare status: each day's way from delivery to export, on a terminal, as JSON and as a page."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ccare.cli import app
from ccare.errors import UsageError
from ccare.growth.catalogue import write_catalogue
from ccare.runtime import manifest
from ccare.runtime.lease import RunRecord, save_record
from ccare.runtime.settings import Settings
from ccare.runtime.status import lake_status, stage
from tests.runtime.test_closing import DAYS, settings_in

pytestmark = [pytest.mark.spark, pytest.mark.slow]
NEXT = DAYS[-1] + timedelta(days=1)


@pytest.fixture
def copy(three_days: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("lake", "landing"):
        shutil.copytree(getattr(three_days, name), tmp_path / name)
    for name in ("lake", "landing", "exports"):
        monkeypatch.setenv(f"CCARE_{name.upper()}", str(tmp_path / name))
    return settings_in(tmp_path)


def stages(settings: Settings) -> list[str]:
    return [stage(told) for told in lake_status(settings)["days"]]


def test_each_day_adds_up(copy: Settings) -> None:
    rows = manifest.published(copy.lake)
    days = lake_status(copy)["days"]
    assert [told["day"] for told in days] == DAYS and [told["seq"] for told in days] == [1, 2, 3]
    totals = rows[-1].control_totals
    for name, fate in (("ingested", "accepted"), ("rejected", "rejected"), ("duplicate", "duplicate")):
        assert sum(told[name] for told in days) == totals[f"raw_files.rows_{fate}"]
    assert sum(told["posted"] for told in days) == rows[-1].rows["ledger_transfers"]
    assert days[0]["late"] == 0, "the history of a first close is not late"
    assert [told["late"] for told in days[1:]] == [0, 0] and all(told["scored"] for told in days)


def test_from_published_to_exported(copy: Settings) -> None:
    rows = manifest.published(copy.lake)
    assert set(stages(copy)) == {"published, not exported"}
    write_catalogue(copy, rows[1])
    assert stages(copy) == ["exported", "exported", "published, not exported"]
    (copy.exports / "ccare.duckdb").write_bytes(b"no catalogue")
    assert set(stages(copy)) == {"published, not exported"}


def test_a_day_that_waits_and_one_that_is_blocked(copy: Settings) -> None:
    folder = copy.landing / "payments" / str(NEXT + timedelta(days=1))
    folder.mkdir(parents=True)
    (folder / "payments.jsonl").write_text("{}\n")
    told = lake_status(copy)["days"][-1]
    assert (told["day"], told["delivered"]) == (NEXT, 1)
    assert stage(told) == "waits for mini_program, life_account"
    record = RunRecord(
        "open", NEXT, 0, "close", DAYS[0], 4, datetime.now(UTC), blocked=["core_payments.fresh"]
    )
    save_record(copy.lake, record)
    assert stages(copy)[-1] == "blocked by core_payments.fresh"


def test_the_command_and_its_page(copy: Settings, tmp_path: Path) -> None:
    page = tmp_path / "status.html"
    told = CliRunner().invoke(app, ["status", "--html", str(page)])
    assert told.exit_code == 0
    lines = told.output.splitlines()
    assert lines[0].split("\t")[:3] == ["day", "delivered", "ingested"] and lines[-1] == str(page)
    html = page.read_text()
    assert all(f'<th scope="row">{day}</th>' in html for day in DAYS) and "://" not in html
    assert "published, not exported" in html and "Simulated data" not in html
    one = json.loads(CliRunner().invoke(app, ["status", "--day", str(DAYS[1]), "--json"]).output)
    assert [d["day"] for d in one["days"]] == [str(DAYS[1])] and one["days"][0]["run_id"]
    refused = CliRunner().invoke(app, ["status", "--html", str(page / "in-a-file.html")])
    assert isinstance(refused.exception, UsageError) and "cannot be written" in refused.exception.message
