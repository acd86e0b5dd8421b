"""A real Airflow for tests: ``scripts/airflow`` on free ports, asked through its own REST API.

Waits are long for a machine that does other things beside; a quiet one needs a fifth of them.
"""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
QUICK = {
    # What a dead scheduler or worker left is looked for after seconds, not minutes.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": "0",
}


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@dataclass
class Scheduler:
    """``airflow standalone`` as ``make airflow`` starts it; ``stop`` ends all that it started."""

    home: Path
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    token: str = ""

    @classmethod
    def over(cls, home: Path, settings: Mapping[str, str]) -> "Scheduler":
        """An Airflow of its own at ``home``; ``settings`` are the lake's."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CCARE_", "CHILD_", "AIRFLOW"))}
        cache = {k: v for k, v in os.environ.items() if k in ("CCARE_CACHE", "CCARE_DRIVER_MEMORY")}
        return cls(home, {**kept, **cache, **QUICK, **settings, "AIRFLOW_HOME": str(home), "NO_COLOR": "1"})

    def start(self) -> None:
        """Start it and wait until it serves."""
        self._spawn("sh", str(ROOT / "scripts" / "airflow"))
        self.until(self._healthy, 400, "Airflow did not come up")

    def start_scheduler(self) -> None:
        """Another scheduler in the place of one that was killed."""
        self._spawn("airflow", "scheduler")

    def _spawn(self, *words: str) -> None:
        port = str(self.port)
        environment = {
            **self.environment,
            "AIRFLOW_PORT": port,
            "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        }
        environment |= {
            "PYTHONPATH": str(ROOT),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        }
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / f"{words[-1].rsplit('/', 1)[-1]}.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    words, cwd=self.home, env=environment, stdout=log, stderr=log, start_new_session=True
                )
            )

    def _healthy(self) -> bool:
        try:
            parts = self.ask("GET", "/api/v2/monitor/health", token=False)
            ready = all(
                parts[name]["status"] == "healthy" for name in ("metadatabase", "scheduler", "dag_processor")
            )
            if not ready:
                return False
            self.token = self.ask("GET", "/auth/token", token=False)["access_token"]
            return bool(self.ask("GET", "/api/v2/dags")["dags"])
        except (OSError, KeyError, ValueError):
            return False

    def ask(self, method: str, path: str, body: Any = None, *, token: bool = True) -> Any:
        """One request of the REST API; HTTPError where it is refused."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=180
        ) as answer:
            return json.loads(answer.read() or b"null")

    def trigger(self, dag: str, run: str, conf: Mapping[str, Any]) -> None:
        """Start a run by hand."""
        told = {"dag_run_id": run, "conf": dict(conf), "logical_date": None}
        self.ask("POST", f"/api/v2/dags/{dag}/dagRuns", told)

    def states(self, dag: str, run: str) -> dict[str, str]:
        """Task -> state of one run."""
        found = self.ask("GET", f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {each["task_id"]: each["state"] for each in found}

    def run_state(self, dag: str, run: str) -> str:
        """State of one run."""
        return str(self.ask("GET", f"/api/v2/dags/{dag}/dagRuns/{run}")["state"])

    def clear(self, dag: str, run: str, task: str) -> None:
        """What a person does with the Clear button."""
        body = {"dry_run": False, "dag_run_id": run, "task_ids": [task], "include_downstream": True}
        body |= {"only_failed": False, "reset_dag_runs": True}
        self.ask("POST", f"/api/v2/dags/{dag}/clearTaskInstances", body)

    def until(self, holds: Callable[[], bool], seconds: float, otherwise: str) -> None:
        """Wait for something; the last lines of the logs tell why it never came."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                logs = "\n".join(path.read_text(errors="replace")[-3000:] for path in self.home.glob("*.log"))
                raise AssertionError(f"{otherwise}\n{logs}")
            time.sleep(0.5)

    def stop(self) -> None:
        """End every process of it."""
        for process in self.processes:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, number)
                    process.wait(15)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
        for pid in processes_with(str(self.home.parent)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def processes_with(needle: str, *words: str) -> list[int]:
    """Processes of this machine whose environment names ``needle`` and whose command holds every word."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (folder / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if needle in environment and all(word in command for word in words):
            found.append(int(folder.name))
    return sorted(pid for pid in found if pid != os.getpid())
