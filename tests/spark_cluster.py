"""A Spark standalone cluster on loopback: a master and workers, each a process of its own, from the pip package."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pyspark

from ccare.setup.java import find_java

START_S = 180
MASTER, WORKER = (f"org.apache.spark.deploy.{name}" for name in ("master.Master", "worker.Worker"))
PORTS = ("--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
"""Port 0: the system gives a free one, and the log says which."""
_GUARD = '"$@" < /dev/null & cat > /dev/null; kill -TERM 0'
"""Runs a daemon until standard input ends: also where the test's process was killed, nothing stays behind."""


@contextmanager
def standalone(folder: Path, workers: int = 2) -> Iterator[str]:
    """A running cluster's ``spark://`` address; every process of it has ended when the block is left."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        log = stack.enter_context(_process(folder / "master.log", MASTER, *PORTS))
        address = _told(log, r"Starting Spark master at (spark://\S+)")
        sizes = ("--cores", "1", "--memory", "1g")
        logs = [
            stack.enter_context(
                _process(
                    folder / f"worker{n}.log",
                    WORKER,
                    *PORTS,
                    *sizes,
                    "--work-dir",
                    str(folder / f"work{n}"),
                    address,
                )
            )
            for n in range(workers)
        ]
        for log in logs:
            _told(log, r"(Successfully registered) with master")
        yield address


@contextmanager
def _process(log: Path, main: str, *options: str) -> Iterator[Path]:
    """One daemon in a process group of its own, so that its executors end with it."""
    home = Path(pyspark.__file__).parent
    environment = {
        **os.environ,
        "JAVA_HOME": str(find_java().home),
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
    }
    with log.open("wb") as out:
        started = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(home / "bin" / "spark-class"), main, *options],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield log
    finally:
        _end(started)


def _end(started: subprocess.Popen[bytes]) -> None:
    for asked in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(started.pid, asked)
        with suppress(subprocess.TimeoutExpired):
            started.wait(10)
    if started.stdin:
        started.stdin.close()
    started.wait(10)


def _told(log: Path, pattern: str) -> str:
    """What a daemon's log says of ``pattern``; AssertionError with the log where it does not say it in time."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        found = re.search(pattern, log.read_text(errors="replace"))
        if found:
            return found[1]
        time.sleep(0.2)
    raise AssertionError(f"{log.name} does not say {pattern}:\n{log.read_text(errors='replace')[-2000:]}")
