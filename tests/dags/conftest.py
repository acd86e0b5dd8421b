"""Airflow's own home, set before its first import, and a child process that stands for ccare."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DAGS = ROOT / "dags"
HOME = tempfile.TemporaryDirectory(prefix="ccare-airflow-")
os.environ |= {
    "AIRFLOW_HOME": HOME.name,
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
}

CHILD = """
import json, os, signal, sys, time
print("saw " + json.dumps(sys.argv[1:]), file=sys.stderr, flush=True)
print("key " + os.environ.get("CCARE_PSEUDONYM_KEY", "none"), file=sys.stderr, flush=True)
print("airflow " + ",".join(n for n in os.environ if "AIRFLOW" in n), file=sys.stderr, flush=True)
step = sys.argv[1]
code = int(os.environ.get("CHILD_EXIT_" + step.upper(), "0"))
if os.environ.get("CHILD_SLEEPS"):
    time.sleep(600)
if code < 0:
    os.kill(os.getpid(), -code)
if code:
    print(json.dumps({"error": "Payments are late.", "remedy": "Wait.", "exit_code": code}))
elif step == "export":
    print(json.dumps(["/exports/scores.csv"]))
elif sys.argv[1:3] == ["ledger", "asked"]:
    ask = {"asked_by": "Li", "what": "fund"}
    rows = [{"approval": "a", "approved_by": None, **ask}, {"approval": "b", "approved_by": "Wu", **ask}]
    print(json.dumps(rows if os.environ.get("CHILD_ASKS") else []))
else:
    name = "core_payments" if step == "ingest" else "run_manifest"
    line = dict(step=step, table=name, rows=7, bytes=1, files=1, version=3, seconds=0.5, spark_jobs=2)
    print("a line of another library")
    published = {"seq": 1, "business_date": "2026-03-02", "run_id": "r1"}
    print(json.dumps({"days": [], "written": [line], "exported": [], "published": published}))
sys.exit(code)
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A real process in ccare's place, named by CCARE_COMMAND; CHILD_EXIT_<STEP> sets how it ends."""
    script = tmp_path / "a folder" / "child.py"
    script.parent.mkdir()
    script.write_text(CHILD)
    monkeypatch.setenv("CCARE_COMMAND", f"{sys.executable} '{script}'")
    for name in ("lake", "landing", "exports"):
        monkeypatch.setenv(f"CCARE_{name.upper()}", str(tmp_path / name))
    return script


@dataclass
class Airflow:
    """A freshly migrated Airflow on SQLite, used through its own command line."""

    home: Path
    environment: dict[str, str]

    def run(self, *arguments: str, seconds: float = 1800, **more: str) -> subprocess.CompletedProcess[str]:
        """``airflow …`` with ``more`` environment; output and errors in one text."""
        return subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            cwd=self.home,
            env={**self.environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=seconds,
            check=False,
        )

    @property
    def database(self) -> Path:
        """The metadata database."""
        return self.home / "airflow.db"


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """One Airflow home for the tests that run a DAG."""
    home = tmp_path_factory.mktemp("airflow")
    started = Airflow(home, airflow_environment(os.environ, home))
    migrated = started.run("db", "migrate")
    assert migrated.returncode == 0, migrated.stdout[-2000:]
    yield started


def airflow_environment(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """This process's environment without ccare's settings, and Airflow at ``home``."""
    kept = {k: v for k, v in environ.items() if not k.startswith(("CCARE_", "CHILD_"))}
    return kept | {"AIRFLOW_HOME": str(home), "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "250"}
