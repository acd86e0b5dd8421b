"""A warm process that works in forks of itself, each of which may be killed."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Ran:
    """How a fork ended: 0, an exit code or minus a signal, and what it said."""

    returncode: int
    stdout: str
    stderr: str


class Forks:
    """The process that forks, ready once this is made."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", str(scratch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._heard() == {"ready": True}

    def run(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        given: str = "",
        patched: Mapping[str, Any] | None = None,
    ) -> Ran:
        """``ccare`` with ``words``; ``patched``: values of modules' names, as ``module:name``."""
        told = {"words": list(words), "environment": dict(environment), "given": given}
        status = self.ask("tests.fork_server:command", {**told, "patched": dict(patched or {})})
        return Ran(status, *((self.scratch / name).read_text() for name in ("stdout", "stderr")))

    def ask(self, work: str, told: Mapping[str, Any]) -> int:
        """How the fork ended that called ``work`` (``module:name``) with this and the folder ``scratch``."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"work": work, **told}) + "\n")
        self._process.stdin.flush()
        status: int = self._heard()["status"]
        return status

    def _heard(self) -> Any:
        assert self._process.stdout
        while not (line := self._process.stdout.readline()).startswith("{"):
            assert line, "the process that forks has ended"
        return json.loads(line)

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


@pytest.fixture(scope="session")
def forks(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Started once; ``spark`` is asked for only to skip where there is none."""
    started = Forks(tmp_path_factory.mktemp("forks"))
    yield started
    started.end()
