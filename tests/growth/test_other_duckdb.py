"""The catalogue in DuckDBs that are not the product's own: the oldest, the newest, and the command line."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ccare.growth.catalogue import write_catalogue
from ccare.growth.derived import macros, views
from ccare.growth.questions import questions
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings
from ccare.tables import stored_tables

ROOT = Path(__file__).resolve().parents[2]
ASKS = Path(__file__).with_name("asked_elsewhere.py")
DAY = "2017-12-31"
UNANSWERED = {"1.4.0": {"loop", "loop_lift"}}
"""DuckDB before 1.4.2 loses every WITH of a stored table macro, and loop_estimates has some."""


def _other(name: str, command: str) -> Path:
    """A command of one of the DuckDBs that scripts/other-duckdbs installs; the test is left out without it."""
    found = ROOT / ".duckdb" / name / "bin" / command
    if not found.exists():
        pytest.skip(f"DuckDB {name} is not installed; sh scripts/other-duckdbs does it")
    return found


@pytest.fixture
def path(settings: Settings, row: Published) -> Path:
    return write_catalogue(settings, row)


def _asked(python: Path | str, path: Path) -> dict[str, Any]:
    """What an interpreter's DuckDB answers: rows of each view, each named question and each macro."""
    asked: list[tuple[str, str, dict[str, Any]]] = []
    for name, question in questions().items():
        values = {p.name: p.default for p in question.parameters}
        asked.append(
            (name, question.sql, {n: str(v) if isinstance(v, date) else v for n, v in values.items()})
        )
    asked += [
        (m.name, f"select count(*) from {m.name}('{DAY}')", {}) for m in macros() if m.name.endswith("_asof")
    ]
    ran = subprocess.run(
        [str(python), str(ASKS), str(path)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


@pytest.mark.parametrize("version", ["1.4.0", "2.0.0"])
def test_another_version_answers_the_same(path: Path, version: str) -> None:
    python = _other(version, "python")
    own, other = _asked(sys.executable, path), _asked(python, path)
    assert other.pop("version") == version and own.pop("version") != version
    assert set(other["views"]) == {t.name for t in stored_tables()} | {v.name for v in views()}
    assert sum(other["views"].values()) > 100
    assert other["views"] == own["views"]
    refused = UNANSWERED.get(version, set())
    assert {name for name, rows in other["answers"].items() if isinstance(rows, str)} == refused
    for name in own["answers"].keys() - refused:
        assert _plain(other["answers"][name]) == _plain(own["answers"][name]), name


def _plain(rows: list[Any]) -> list[Any]:
    """Doubles to twelve digits: versions add them up in orders of their own."""
    return [[float(f"{v:.12g}") if isinstance(v, float) else v for v in row] for row in rows]


def test_the_command_line_opens_it(path: Path) -> None:
    command = [str(_other("cli", "duckdb")), "-readonly", "-json", str(path)]
    ran = subprocess.run(
        [*command, "select count(*) as n from latest_scores; select count(*) as n from queries"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.split("]")[-2] + "]") == [{"n": len(questions())}]
