"""scripts/bootstrap: its stamp, what it calls sound, and its sentences."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bootstrap() -> ModuleType:
    """scripts/bootstrap.py as a module."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "scripts" / "bootstrap.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the files that a set-up depends on."""
    for name in ("pyproject.toml", "requirements.lock", "scripts/bootstrap.py", "scripts/uv.lock.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    pins = tmp_path / "ccare" / "setup" / "delta_jars.toml"
    pins.parent.mkdir(parents=True)
    pins.write_bytes((ROOT / "ccare" / "setup" / "delta_jars.toml").read_bytes())
    return tmp_path


def fake_tool(path: Path, says: str, ends_with: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit {ends_with}\n")
    path.chmod(0o755)
    return path


def test_a_wrong_python_is_one_sentence_and_20(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo 'Python 3.9.2' && exit 0\nexit 1\n")
    old.chmod(0o755)
    done = subprocess.run(
        ["sh", str(ROOT / "scripts" / "bootstrap")],
        env={**os.environ, "CCARE_PYTHON": str(old)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 20
    assert done.stderr.count("\n") == 1
    assert "CPython 3.11, 3.12 or 3.13" in done.stderr
    assert "Python 3.9.2" in done.stderr


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml", "ccare/setup/delta_jars.toml"])
def test_the_key_follows_what_set_up_depends_on(bootstrap: ModuleType, checkout: Path, name: str) -> None:
    before = bootstrap.key_of(checkout, checkout / ".venv")
    assert bootstrap.key_of(checkout, checkout / ".venv") == before
    (checkout / name).write_bytes((checkout / name).read_bytes() + b"\n")
    assert bootstrap.key_of(checkout, checkout / ".venv") != before


def test_the_key_follows_java(
    bootstrap: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = bootstrap.key_of(checkout, checkout / ".venv")
    fake_tool(tmp_path / "bin" / "java", "", 0)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert bootstrap.key_of(checkout, checkout / ".venv") != before


def test_a_stamp_holds_while_its_files_are_as_they_were(bootstrap: ModuleType, tmp_path: Path) -> None:
    jar, stamp = tmp_path / "a.jar", tmp_path / "stamp.json"
    jar.write_text("jar")
    facts = jar.stat()
    stamp.write_text(json.dumps({"key": "k", "proof": [[str(jar), facts.st_size, facts.st_mtime_ns]]}))
    assert bootstrap.is_current(stamp, "k")
    assert not bootstrap.is_current(stamp, "another")
    jar.write_text("")
    assert not bootstrap.is_current(stamp, "k")
    jar.unlink()
    assert not bootstrap.is_current(stamp, "k")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": "k"}', '{"key": "k", "proof": [1]}'])
def test_a_torn_stamp_is_no_stamp(bootstrap: ModuleType, tmp_path: Path, content: str) -> None:
    stamp = tmp_path / "stamp.json"
    stamp.write_text(content)
    assert not bootstrap.is_current(stamp, "k")


def test_what_is_a_sound_environment(bootstrap: ModuleType, tmp_path: Path) -> None:
    running = Path(sys.prefix)
    assert bootstrap.is_sound(running, running / "bin" / "python") == (
        not bootstrap.installing(running).exists()
    )
    assert not bootstrap.is_sound(tmp_path / "gone", tmp_path / "gone" / "bin" / "python")
    half = tmp_path / "half"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(half)], check=True)
    assert not bootstrap.is_sound(half, half / "bin" / "python")


def test_no_network_is_one_sentence_and_leaves_nothing_to_rebuild(
    bootstrap: ModuleType, checkout: Path
) -> None:
    environment = checkout / ".venv"
    python = fake_tool(environment / "bin" / "python", "Max retries exceeded: Name resolution failed", 1)
    with pytest.raises(bootstrap.SetUpFailed, match="no package index can be reached") as failed:
        bootstrap.install(checkout, environment, python)
    assert failed.value.exit_code == 20
    assert not bootstrap.installing(environment).exists()


def test_an_install_that_broke_in_the_middle_is_rebuilt(bootstrap: ModuleType, checkout: Path) -> None:
    environment = checkout / ".venv"
    python = fake_tool(environment / "bin" / "python", "No space left on device", 1)
    with pytest.raises(bootstrap.SetUpFailed, match="No space left on device") as failed:
        bootstrap.install(checkout, environment, python)
    assert failed.value.exit_code == 1
    assert bootstrap.installing(environment).exists()
    assert not bootstrap.is_sound(environment, python)


def test_a_killed_installer_that_cannot_start_is_a_sentence(bootstrap: ModuleType, tmp_path: Path) -> None:
    half = tmp_path / "uv"
    half.write_bytes(b"\x7fELF")
    with pytest.raises(bootstrap.SetUpFailed, match="cannot be started"):
        bootstrap.run([str(half), "--version"])


def test_no_file_of_the_set_up_names_a_registry() -> None:
    names = ["Makefile", ".ci/run", "pyproject.toml", "requirements.lock", ".pre-commit-config.yaml"]
    files = [ROOT / name for name in names]
    files += [path for folder in ("scripts", "ccare/setup") for path in (ROOT / folder).glob("*.*")]
    hosts = re.compile(r"https?://|pypi\.org|pythonhosted|maven\.org|--index-url ")
    assert [path.name for path in files if hosts.search(path.read_text("utf-8"))] == []
