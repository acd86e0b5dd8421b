"""The class archive: used when it is this Java's and these jars', silent always, never in the way."""

from pathlib import Path

import pytest

from ccare.setup import appcds
from ccare.setup.appcds import RECORD_VARIABLE, appcds_options, archive_path, make_archive
from ccare.setup.jars import delta_jars
from ccare.setup.java import JavaHome


@pytest.fixture
def jdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JavaHome:
    """A folder like a system JDK with a base archive, and a cache of this test; real jars."""
    jars = delta_jars()
    base = tmp_path / "jdk" / "lib" / "server" / "classes.jsa"
    base.parent.mkdir(parents=True)
    base.write_bytes(b"base")
    found = JavaHome(tmp_path / "jdk", "17.0.15", "PATH")
    monkeypatch.delenv(RECORD_VARIABLE, raising=False)
    monkeypatch.setenv("CCARE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(appcds, "delta_jars", lambda: jars)
    monkeypatch.setattr(appcds, "find_java", lambda: found)
    return found


def test_no_archive_no_options(jdk: JavaHome) -> None:
    assert appcds_options() == []


def test_an_archive_is_used_in_silence(jdk: JavaHome) -> None:
    path = archive_path(jdk)
    assert path is not None
    path.parent.mkdir(parents=True)
    path.write_bytes(b"archive")
    assert appcds_options() == [f"-XX:SharedArchiveFile={path}", "-Xlog:disable", "-Xlog:all=off"]
    assert make_archive(jdk) == (path, "kept")


def test_another_java_has_another_archive(jdk: JavaHome) -> None:
    assert archive_path(jdk) != archive_path(JavaHome(jdk.home, "17.0.16", "PATH"))


def test_the_wheel_has_none(jdk: JavaHome) -> None:
    assert archive_path(JavaHome(jdk.home, "21.0.8", "wheel")) is None


def test_the_making_process_records(jdk: JavaHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RECORD_VARIABLE, "/some/file.jsa")
    assert appcds_options()[0] == "-XX:ArchiveClassesAtExit=/some/file.jsa"


def test_a_java_that_cannot_start_never_fails_the_set_up(
    jdk: JavaHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = jdk.home / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(jdk.home))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(appcds, "RECORD_TIMEOUT_S", 0.5)
    path, told = make_archive(jdk)
    assert path is None
    assert "not made" in told
    made = archive_path(jdk)
    assert made is not None
    assert list(made.parent.iterdir()) == []
