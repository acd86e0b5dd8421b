"""What a task starts, what of the environment it hands on, and what becomes of the process."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ccare.errors import UsageError
from ccare.orchestration import Child, ccare_command, process_environment

FOLDERS = {"CCARE_LAKE": "/data/lake", "CCARE_LANDING": "/data/landing", "CCARE_EXPORTS": "/data/exports"}


def test_command_is_a_list_of_words() -> None:
    assert ccare_command({}) == [sys.executable, "-m", "ccare.cli"]
    assert ccare_command({"CCARE_COMMAND": "'/opt/my ccare/python' -m ccare.cli"}) == [
        "/opt/my ccare/python",
        "-m",
        "ccare.cli",
    ]
    assert ccare_command({"CCARE_COMMAND": "ccare; rm $HOME"}) == ["ccare;", "rm", "$HOME"]
    with pytest.raises(UsageError, match="cannot be split"):
        ccare_command({"CCARE_COMMAND": "python 'ccare"})


def test_airflows_own_settings_stay_in_airflow() -> None:
    own = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "x", "AIRFLOW_HOME": "x", "_AIRFLOW_PROCESS_CONTEXT": "x"}
    assert process_environment({**FOLDERS, **own, "PATH": "/bin"}) == {**FOLDERS, "PATH": "/bin"}


@pytest.mark.parametrize("value", [None, "", "lake", "./lake", "file://lake"])
def test_folders_must_be_absolute(value: str | None) -> None:
    environ = {k: v for k, v in FOLDERS.items() if k != "CCARE_LAKE"}
    if value is not None:
        environ["CCARE_LAKE"] = value
    with pytest.raises(UsageError, match="CCARE_LAKE"):
        process_environment(environ)


def test_lines_arrive_while_the_process_runs_and_the_key_never_does() -> None:
    code = "import sys, time, os; key = os.environ['CCARE_PSEUDONYM_KEY']"
    code += "; print('first ' + key, file=sys.stderr, flush=True)"
    code += "; time.sleep(1.5); print('second', file=sys.stderr); print('noise'); print('[\"a.csv\"]')"
    heard: list[tuple[str, float]] = []
    key = "0123456789abcdef0123456789abcdef"
    ended = Child(lambda line: heard.append((line, time.monotonic()))).run(
        [sys.executable, "-c", code], {"CCARE_PSEUDONYM_KEY": key}
    )
    assert [line for line, _ in heard] == ["first ***", "second", "noise"]
    assert heard[1][1] - heard[0][1] > 1
    assert (ended.exit_code, ended.result) == (0, {"exported": ["a.csv"]})
    assert ended.summary() == ["wrote a.csv"]


def test_much_output_on_both_streams_does_not_stall() -> None:
    code = "import sys\nfor i in range(20000):\n print('o' * 80)\n print('e' * 80, file=sys.stderr)"
    heard: list[str] = []
    assert Child(heard.append).run([sys.executable, "-c", code], {}).exit_code == 0
    assert len(heard) == 40000


@pytest.mark.parametrize("output", ["", "not json", "5", '"text"', '{"a": 1'])
def test_output_that_is_no_result_is_only_shown(output: str) -> None:
    heard: list[str] = []
    ended = Child(heard.append).run([sys.executable, "-c", f"print({output!r})"], {})
    assert ended.result == {}
    assert "".join(heard) == output


def test_a_killed_process_is_told_by_its_signal() -> None:
    code = f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"
    ended = Child(print).run([sys.executable, "-c", code], {})
    assert ended.exit_code == -signal.SIGKILL
    assert "killed by signal 9" in ended.sentence()


def test_stop_ends_the_process_and_what_it_started(tmp_path: Path) -> None:
    """A JVM must not outlive its task: it would hold the lake's lease."""
    inner = "import time; time.sleep(600)"
    code = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen([sys.executable, '-c', {inner!r}])\n"
        "print(p.pid, file=sys.stderr, flush=True)\n"
        "time.sleep(600)"
    )
    heard: list[str] = []
    child = Child(heard.append)
    ended: list[int] = []
    thread = threading.Thread(
        target=lambda: ended.append(child.run([sys.executable, "-c", code], dict(os.environ)).exit_code)
    )
    thread.start()
    _until(lambda: bool(heard))
    child.stop()
    thread.join(20)
    assert ended == [-signal.SIGTERM]
    _until(lambda: _gone(int(heard[0])))


def test_a_process_that_does_not_listen_is_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccare.orchestration.process.GRACE_SECONDS", 0.5)
    code = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    code += "; print('up', file=sys.stderr, flush=True); time.sleep(600)"
    heard: list[str] = []
    child = Child(heard.append)
    thread = threading.Thread(target=lambda: child.run([sys.executable, "-c", code], {}))
    thread.start()
    _until(lambda: bool(heard))
    child.stop()
    thread.join(20)
    assert child.process is not None and child.process.returncode == -signal.SIGKILL


def _until(holds: object, seconds: float = 20) -> None:
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


def _gone(pid: int) -> bool:
    """Not running: no such process, or a zombie that nobody has waited for."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return not state.stdout.strip() or state.stdout.strip().startswith("Z")
