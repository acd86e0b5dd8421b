"""Nothing that a test started outlives it, in whatever session it runs, and however the test's process ended."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.dags.scheduler import GUARD

ORPHAN = 'setsid sleep 600 & echo $! > "$1"; sleep 600'
"""A process in a session of its own, as every task's ccare is."""


@pytest.mark.skipif(sys.platform != "linux", reason="orphans find their way home on Linux only")
def test_the_guard_ends_what_came_of_its_command(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    guard = subprocess.Popen(
        [sys.executable, str(GUARD), "sh", "-c", ORPHAN, "sh", str(told)], stdin=subprocess.PIPE
    )
    end = time.monotonic() + 60
    while not (told.exists() and told.read_text().strip()):
        assert time.monotonic() < end, "it did not start"
        time.sleep(0.05)
    orphan = psutil.Process(int(told.read_text()))
    orphan.parent().kill()
    assert orphan.is_running()
    guard.communicate(timeout=60)
    assert not orphan.is_running()
