"""ccare migrate: which version a lake is of, what an older one needs, and that nothing is done twice."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ccare.errors import IntegrityBroken, UsageError
from ccare.runtime import deltalog, manifest, rowstore
from ccare.runtime.lease import RunRecord, save_record
from ccare.runtime.migrate import STATISTICS, Migrated, migrate
from ccare.runtime.rowstore import properties, write_rows
from ccare.runtime.verify import verify_lake
from ccare.tables import table
from tests.runtime.test_maintain import NOW, publish, settings_in

DAY = date(2026, 3, 1)
DAYS = table("state_user_days")


def user_day(user: str) -> dict[str, Any]:
    counts = {c.name: 0 for c in DAYS.columns if c.type in ("bigint", "int") and not c.nullable}
    flags = {c.name: False for c in DAYS.columns if c.type == "boolean" and not c.nullable}
    return counts | flags | {"merchant_id": "m1", "user_key": user, "business_date": DAY}


def asked(settings: Any, *, dry_run: bool = False) -> Migrated:
    return migrate(settings, lambda line: None, dry_run=dry_run)


def found(result: Migrated) -> dict[str, tuple[str, bool]]:
    return {step.name: (step.found, step.done) for step in result.steps}


def test_a_new_lake_needs_nothing(tmp_path: Path) -> None:
    result = asked(settings_in(tmp_path))
    assert (result.lake_format, result.written_by) == (manifest.LAKE_FORMAT, "")
    assert set(found(result).values()) == {("nothing to do", False)}


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A lake of an early version, whose logs kept least and greatest values of users' tokens."""
    settings = settings_in(tmp_path)

    def early(declared: Any) -> dict[str, str]:
        return {name: value for name, value in properties(declared).items() if name != STATISTICS}

    with monkeypatch.context() as then:
        then.setattr(rowstore, "properties", early)
        version = write_rows(settings.lake, DAYS, [user_day("k1_a-token")], "r")
    publish(settings, {DAYS.name: version})
    assert "k1_a-token" in deltalog.commit_file(settings.lake, DAYS.name, version).read_text()
    return settings


def test_an_older_lakes_logs_keep_no_new_token(older: Any) -> None:
    before = manifest.published(older.lake)
    would = asked(older, dry_run=True)
    assert would.written_by == "1" and DAYS.name in found(would)["personal statistics"][0]
    assert manifest.published(older.lake) == before
    done = found(asked(older))
    assert done["personal statistics"][1] and done["state columns"] == ("nothing to do", False)
    row = manifest.published(older.lake)[-1]
    assert (row.seq, row.kind) == (2, "migrate") and row.rows == before[-1].rows
    assert {name: done for name, (_, done) in found(asked(older)).items()} == dict.fromkeys(done, False)
    assert len(manifest.published(older.lake)) == 2
    version = write_rows(older.lake, DAYS, [user_day("k1_another")], "r")
    assert "k1_another" not in deltalog.commit_file(older.lake, DAYS.name, version).read_text()


def test_the_migrated_lake_verifies(older: Any) -> None:
    before = {check.name: check.ok for check in verify_lake(older, lambda line: None).checks}
    asked(older)
    after = {check.name: check.ok for check in verify_lake(older, lambda line: None).checks}
    assert after == before and after["L14"] and after["run_manifest"]


def test_a_newer_lake_and_an_open_run_are_refused(older: Any) -> None:
    save_record(older.lake, RunRecord("open", DAY, 0, "close", DAY, 2, NOW, steps_done=["ingest"]))
    with pytest.raises(UsageError, match="is not finished, so the lake cannot be migrated now"):
        asked(older)
    head = json.loads(manifest.head_file(older.lake).read_text())
    manifest.head_file(older.lake).write_text(json.dumps({**head, "lake_format": manifest.LAKE_FORMAT + 1}))
    with pytest.raises(IntegrityBroken, match="This lake has format 2"):
        asked(older)
