"""ccare restate on a real lake: new revisions with their reason, nothing posted, and what it refuses."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ccare.cli import app
from ccare.errors import InputMissing, UsageError
from ccare.growth.snapshot import connect
from ccare.runtime import manifest
from ccare.runtime.digest import lake_digest
from ccare.runtime.lease import read_record
from ccare.runtime.restate import proposals, restate
from ccare.runtime.settings import Settings, default_conf
from ccare.runtime.verify import verify_lake
from tests.runtime.test_closing import DAYS, close, settings_in

pytestmark = [pytest.mark.spark, pytest.mark.slow]


@pytest.fixture
def copy(three_days: Settings, tmp_path: Path) -> Settings:
    for name in ("lake", "landing"):
        shutil.copytree(getattr(three_days, name), tmp_path / name)
    return settings_in(tmp_path)


def test_a_range_is_told_again_with_its_reason(three_days: Settings, copy: Settings) -> None:
    before = manifest.published(copy.lake)[-1]
    told = restate(copy, DAYS[1], DAYS[2], "a new policy", lambda line: None)
    rows = manifest.published(copy.lake)
    assert told.days == DAYS[1:] and told.published is not None and told.published["seq"] == rows[-1].seq
    assert [(r.business_date, r.kind, r.revision) for r in rows[3:]] == [
        (d, "republish", 1) for d in DAYS[1:]
    ]
    assert rows[-1].table_versions["ledger_transfers"] == before.table_versions["ledger_transfers"]
    with connect(copy.lake, rows[-1]) as con:
        kept = con.execute(
            "select business_date, revision, reason from run_restatements order by all"
        ).fetchall()
    assert kept == [(day, 1, "a new policy") for day in DAYS[1:]]
    now, then = lake_digest(copy)["tables"], lake_digest(three_days)["tables"]
    for name in ("metric_merchants", "score_drivers", "score_merchants", "ledger_transfers"):
        assert now[name] == then[name], name
    assert verify_lake(copy, lambda line: None).ok


def test_what_is_refused_leaves_everything(copy: Settings) -> None:
    before, day = lake_digest(copy), timedelta(days=1)
    with pytest.raises(UsageError, match="Why the days"):
        restate(copy, DAYS[0], DAYS[0], "  ", print)
    with pytest.raises(UsageError, match="is before"):
        restate(copy, DAYS[1], DAYS[0], "why", print)
    with pytest.raises(UsageError, match="before the first day ever closed"):
        restate(copy, DAYS[0] - day, DAYS[0], "why", print)
    with pytest.raises(InputMissing, match=f"{DAYS[2] + day} cannot be told again"):
        restate(copy, DAYS[2], DAYS[2] + day, "why", print)
    with pytest.raises(InputMissing, match="no day is closed"):
        restate(copy.with_(lake=copy.lake / "none"), DAYS[0], DAYS[0], "why", print)
    assert lake_digest(copy) == before and read_record(copy.lake) is None


def test_a_closed_day_is_left_as_it_is_where_that_is_asked(copy: Settings) -> None:
    before = lake_digest(copy)
    for first, last in ((DAYS[1], None), (DAYS[0], DAYS[2])):
        said = close(copy, first, last, if_open=True)
        assert said[-1] == f"nothing to do: {last or first} is closed"
    assert lake_digest(copy) == before and read_record(copy.lake) is None


def test_days_of_another_policy_are_proposed(three_days: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert proposals(three_days) == []
    other = three_days.with_(conf=default_conf())
    assert [(p.day, p.late_rows, p.changed[:7]) for p in proposals(other)] == [
        (d, 0, "policy ") for d in DAYS
    ]
    for name in ("lake", "landing", "exports", "conf"):
        monkeypatch.setenv(f"CCARE_{name.upper()}", str(getattr(other, name)))
    asked = CliRunner().invoke(app, ["restate", "--propose", "--json"])
    assert [told["day"] for told in json.loads(asked.output)] == [str(d) for d in DAYS]
    missing = CliRunner().invoke(app, ["restate", "--reason", "why"])
    assert isinstance(missing.exception, UsageError)
