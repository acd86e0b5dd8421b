"""A day without a required stream waits with exit 20; let go by name it closes, and says so for good."""

import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ccare.cli import app
from ccare.runtime import manifest
from ccare.runtime.lease import read_record
from ccare.runtime.settings import Settings
from ccare.runtime.status import lake_status
from ccare.runtime.verify import verify_lake
from tests.runtime.test_closing import DAYS, ROOT, environment, settings_in
from tests.small_landing import write_day

pytestmark = [pytest.mark.spark, pytest.mark.slow]

NEXT = DAYS[-1] + timedelta(days=1)
MISSING = "life_account"


@pytest.fixture
def incomplete(three_days: Settings, tmp_path: Path) -> Settings:
    """Three closed days, and a fourth of which a required stream was not delivered."""
    for name in ("lake", "landing"):
        shutil.copytree(getattr(three_days, name), tmp_path / name)
    settings = settings_in(tmp_path)
    write_day(settings.landing, NEXT)
    shutil.rmtree(settings.landing / MISSING / str(NEXT + timedelta(days=1)))
    return settings


def test_a_missing_stream_holds_the_day_until_somebody_lets_it_go(
    incomplete: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, env = ["run", "--day", str(NEXT), "--to-step", "publish"], environment(incomplete, "")
    command = [sys.executable, "-m", "ccare.cli", *words]
    for more in ([], ["--allow-missing", "payments"]):
        told = subprocess.run(
            [*command, *more], env=env, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert told.returncode == 20, told.stdout + told.stderr
        assert f"no folder dated {NEXT + timedelta(days=1)} for {MISSING}" in told.stderr
        assert f"--allow-missing {MISSING}" in told.stderr, "it says how to go on"
    assert manifest.published(incomplete.lake)[-1].business_date == DAYS[-1]
    for name in (name for name in env if name.startswith("CCARE_")):
        monkeypatch.setenv(name, env[name])
    went_on = CliRunner().invoke(app, [*words, "--allow-missing", MISSING])
    assert went_on.exit_code == 0, went_on.output
    assert f"warning: {MISSING} of {NEXT} is missing and was let go" in went_on.stdout
    assert read_record(incomplete.lake) is None, "the record of an open run is gone with it"
    *before, row = manifest.published(incomplete.lake)
    told_of = {name: value for name, value in row.control_totals.items() if "missing_allowed" in name}
    assert (row.business_date, told_of) == (NEXT, {f"{MISSING}.missing_allowed": 1})
    assert not any("missing_allowed" in name for each in before for name in each.control_totals)
    assert [day.get("missing_allowed") for day in lake_status(incomplete)["days"]] == [None] * 3 + [[MISSING]]
    assert verify_lake(incomplete, lambda line: None).ok
