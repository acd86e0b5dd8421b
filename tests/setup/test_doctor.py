"""``ccare doctor``: each problem is a finding with the command that mends it, and no secret is shown."""

import fcntl
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ccare.runtime.lease import RunRecord, lock_file, save_record
from ccare.runtime.manifest import LAKE_FORMAT, head_file
from ccare.runtime.settings import Settings
from ccare.setup import doctor
from ccare.setup.doctor import Finding, diagnose, open_run

SECRET = b"a-secret-key-of-more-than-thirty-two-bytes"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "lake", tmp_path / "landing", tmp_path / "exports", pseudonym_key=SECRET)


def named(findings: list[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def test_a_machine_that_is_set_up_is_well(settings: Settings) -> None:
    findings = diagnose(settings)
    unwell = [f for f in findings if not f.ok and f.name not in ("cores", "memory")]
    assert unwell == []
    names = {finding.name for finding in findings}
    assert {"Python", "ccare", "pyspark", "delta-spark", "duckdb", "Java", "Delta jars", "cores"} <= names
    assert {"memory", "business time zone", "machine time zone", "scoring policy", "lake"} <= names
    assert "17" in named(findings, "Java").value or "21" in named(findings, "Java").value


def test_every_problem_has_a_remedy_and_no_key_is_shown(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCARE_CACHE", str(tmp_path / "empty"))
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "scoring.toml").write_text("no toml [")
    findings = diagnose(settings.with_(conf=conf, pseudonym_key=b"too-short-a-key"))
    for name in ("Delta jars", "pseudonym key", "scoring policy"):
        assert not named(findings, name).ok
        assert named(findings, name).remedy
    assert "15 bytes" in named(findings, "pseudonym key").value
    text = repr(findings + diagnose(settings))
    assert "too-short-a-key" not in text
    assert SECRET.decode() not in text


def test_a_setting_that_cannot_be_meant_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCARE_BUSINESS_TIMEZONE", "Mars/Olympus")
    found = named(diagnose(), "settings")
    assert not found.ok
    assert "Mars/Olympus" in found.value


def test_a_package_of_another_version_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor.metadata.version
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "4.3.0" if name == "pyspark" else real(name))
    found = named(diagnose(settings), "pyspark")
    assert (found.ok, found.value) == (False, "4.3.0, ==4.2.0 is needed")
    assert "make setup" in found.remedy


def test_a_lake_of_a_newer_version(settings: Settings) -> None:
    settings.lake.mkdir()
    head_file(settings.lake).write_text(json.dumps({"lake_format": LAKE_FORMAT + 1}))
    found = named(diagnose(settings), "lake")
    assert not found.ok
    assert f"format {LAKE_FORMAT + 1}" in found.value
    assert "newer" in found.remedy


def test_a_lake_whose_manifest_is_gone(settings: Settings) -> None:
    settings.lake.mkdir()
    head_file(settings.lake).write_text(json.dumps({"lake_format": LAKE_FORMAT, "seq": 1, "version": 0}))
    assert not named(diagnose(settings), "lake").ok


@pytest.mark.parametrize(
    ("kind", "again"),
    [("forget", "ccare forget"), ("rebuild", "ccare state --rebuild"), ("fit", "ccare fit-potential")],
)
def test_an_amendment_that_was_broken_off_is_asked_for_again(
    settings: Settings, kind: str, again: str
) -> None:
    settings.lake.mkdir()
    day = date(2026, 3, 1)
    save_record(settings.lake, RunRecord("r", day, 1, kind, day, 2, datetime.now(UTC)))
    (finding,) = open_run(settings)
    assert not finding.ok and kind in finding.value and again in (finding.remedy or "")


def test_a_run_that_is_going_on_is_told_without_touching_its_lock(settings: Settings) -> None:
    settings.lake.mkdir()
    with lock_file(settings.lake).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        found = named(diagnose(settings), "open run")
    assert (found.ok, found.value) == (True, "one is going on")
