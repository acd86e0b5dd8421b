"""A real Airflow for tests: ``scripts/airflow`` on a free port, asked through its own REST API.

Waits are long, for a machine that does other things beside; a quiet one needs a tenth of them.
"""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
GUARD = Path(__file__).with_name("guard.py")
LONG_S = 900
NIGHT = {
    # Tasks that a dead scheduler has left are looked for at once, not after minutes.
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    # Port 0: the system gives a free one. Another Airflow on this machine keeps its own.
    "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": "0",
    "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": "0",
}


def free_port() -> int:
    """A port of loopback that nobody listens on, below those that the system gives out by itself."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as taken, suppress(OSError):
            taken.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port of loopback is free")


@dataclass
class Scheduler:
    """``airflow standalone`` as ``make airflow`` starts it: API server, scheduler, DAG processor, triggerer."""

    home: Path
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    guards: list[subprocess.Popen[bytes]] = field(default_factory=list)
    token: str = ""

    @property
    def database(self) -> Path:
        """The metadata database."""
        return self.home / "airflow.db"

    def start(self, *part: str) -> None:
        """Start all of it, or one ``part`` in the place of one that was killed."""
        self.home.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, str(GUARD), "sh", str(ROOT / "scripts" / "airflow"), *part]
        with (self.home / f"{'-'.join(part) or 'standalone'}.log").open("ab") as log:
            self.guards.append(
                subprocess.Popen(
                    words,
                    cwd=self.home,
                    env={**self.environment, "AIRFLOW_PORT": str(self.port)},
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def until_healthy(self, dag: str) -> None:
        """Wait until every part of it works and ``dag`` is read; then switch that DAG on."""
        self.until(lambda: self._serves(dag), "Airflow did not come up")
        self.ask("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})

    def _serves(self, dag: str) -> bool:
        try:
            parts = self.ask("GET", "/api/v2/monitor/health")
            self.token = self.token or self.ask("GET", "/auth/token")["access_token"]
            names = ("metadatabase", "scheduler", "dag_processor", "triggerer")
            return all(parts[name]["status"] == "healthy" for name in names) and bool(
                self.ask("GET", f"/api/v2/dags/{dag}")
            )
        except (OSError, KeyError, ValueError):
            return False

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request of the REST API, as the pages make it; HTTPError where it is refused."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=180) as answer:
            return json.loads(answer.read() or b"null")

    def trigger(self, dag: str, partition_key: str) -> str:
        """Start the run of one partition; returns the run's address."""
        told = {"dag_run_id": partition_key, "partition_key": partition_key, "logical_date": None}
        self.ask("POST", f"/api/v2/dags/{dag}/dagRuns", told)
        return f"/api/v2/dags/{dag}/dagRuns/{partition_key}"

    def states(self, run: str) -> dict[str, str]:
        """Task -> state of one run."""
        tasks = self.ask("GET", f"{run}/taskInstances")["task_instances"]
        return {task["task_id"]: task["state"] for task in tasks}

    def until_done(self, run: str) -> None:
        """Wait for the end of a run; AssertionError where it is not a good one."""
        self.until(lambda: self.ask("GET", run)["state"] in ("success", "failed"), f"{run} did not end")
        assert self.ask("GET", run)["state"] == "success", f"{self.states(run)}\n{self._last_lines()}"

    def processes(self, *words: str) -> list[psutil.Process]:
        """What runs of it and of its tasks, orphans too, whose command holds every word."""
        found = []
        for guard in self.guards:
            with suppress(psutil.Error):
                for process in psutil.Process(guard.pid).children(recursive=True):
                    with suppress(psutil.Error):
                        command = " ".join(process.cmdline())
                        if command and all(word in command for word in words):
                            found.append(process)
        return found

    def kill_scheduler(self) -> None:
        """SIGKILL: the scheduler alone, as what the machine kills when memory is short."""
        (scheduler,) = [p for p in self.processes("airflow") if p.cmdline()[-1] == "scheduler"]
        scheduler.send_signal(signal.SIGKILL)

    def until(self, holds: Callable[[], Any], otherwise: str, every: float = 0.5) -> None:
        """Wait for something; the last lines of the logs tell why it never came."""
        end = time.monotonic() + LONG_S
        while not holds():
            if time.monotonic() > end:
                raise AssertionError(f"{otherwise}\n{self._last_lines()}")
            time.sleep(every)

    def has_said(self, pattern: str) -> bool:
        """Whether a line of what it prints holds ``pattern``."""
        said = (self.home / "standalone.log").read_text(errors="replace")
        return re.search(pattern, said) is not None

    def _last_lines(self) -> str:
        newest = sorted(self.home.rglob("*.log"), key=lambda path: path.stat().st_mtime)[-6:]
        return "\n".join(f"== {path}\n{path.read_text(errors='replace')[-3000:]}" for path in newest)

    def stop(self) -> None:
        """End every process of it; the guards know them all."""
        for guard in self.guards:
            if guard.stdin:
                guard.stdin.close()
        for guard in self.guards:
            guard.wait(60)


@contextmanager
def airflow_at(home: Path, settings: Mapping[str, str]) -> Iterator[Scheduler]:
    """An Airflow of its own over the lake of ``settings``, started; nothing of it is left afterwards."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CCARE_", "CHILD_", "AIRFLOW"))}
    kept |= {k: v for k, v in os.environ.items() if k in ("CCARE_CACHE", "CCARE_DRIVER_MEMORY")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    told = {**kept, **NIGHT, **settings, "AIRFLOW_HOME": str(home), "NO_COLOR": "1", "PATH": path}
    started = Scheduler(home, told)
    try:
        started.start()
        yield started
    finally:
        started.stop()
