"""One ``ccare`` process: its words, its environment, its lines as they come, and how it ended."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ccare.errors import UsageError

GRACE_SECONDS = 30.0
"""A process that is told to stop has this long to do so."""
PATHS = ("CCARE_LAKE", "CCARE_LANDING", "CCARE_EXPORTS")


def ccare_command(environ: Mapping[str, str]) -> list[str]:
    """How every command begins: CCARE_COMMAND split as a shell would, else this interpreter's ccare."""
    try:
        words = shlex.split(environ.get("CCARE_COMMAND", ""))
    except ValueError as error:
        raise UsageError(f"CCARE_COMMAND cannot be split: {error}.", remedy="Close its quotes.") from None
    return words or [sys.executable, "-m", "ccare.cli"]


def process_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The child's environment: all but Airflow's own, which holds its database address and keys.

    UsageError where a folder is not an absolute path: a scheduler does not work where a person does.
    """
    for name in PATHS:
        value = environ.get(name, "")
        if not Path(value.removeprefix("file://")).is_absolute():
            raise UsageError(
                f"{name} is {value!r}." if value else f"{name} is not set.",
                remedy="Give the scheduler an absolute path.",
            )
    return {k: v for k, v in environ.items() if not k.lstrip("_").startswith("AIRFLOW")}


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (-n for signal n) and what ``--json`` printed last."""

    exit_code: int
    result: dict[str, Any]

    def sentence(self) -> str:
        """What went wrong, and what to do."""
        if self.result.get("error"):
            said = f"{self.result['error']} {self.result.get('remedy', '')}".strip()
        elif self.exit_code < 0:
            said = f"The ccare process was killed by signal {-self.exit_code}."
        else:
            said = "The ccare process failed; the lines above say why."
        return f"{said} (exit code {self.exit_code})"

    def summary(self) -> list[str]:
        """The closing lines of a log: one a table with rows and cost, then what is written and published."""
        lines = []
        written = self.result.get("written") or []
        if written:
            heads = f"{'rows':>11} {'files':>6} {'version':>8} {'seconds':>8} {'jobs':>5}"
            lines.append(f"{'step':<8} {'table':<26} {heads}")
        for w in written:
            lines.append(
                f"{w['step']:<8} {w['table']:<26} {w['rows']:>11,} {w['files']:>6} {w['version']:>8}"
                f" {w['seconds']:>8.1f} {w['spark_jobs']:>5}"
            )
        lines += [f"wrote {path}" for path in self.result.get("exported") or ()]
        if run := self.result.get("published"):
            lines.append(f"published: run {run['seq']} of {run['business_date']} ({run['run_id']})")
        return lines


@dataclass
class Child:
    """A process in a group of its own, so that stopping it stops what it started too.

    ``said`` receives each line as it comes, the pseudonym key blotted out. OSError where it cannot start.
    """

    said: Callable[[str], None]
    process: subprocess.Popen[str] | None = field(default=None, init=False)

    def run(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Ended:
        """Run to the end. Standard error is the log; the last line of standard output is the result."""
        secret = environment.get("CCARE_PSEUDONYM_KEY") or None
        process = subprocess.Popen(
            list(arguments),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self.process = process
        assert process.stdout is not None and process.stderr is not None
        printed: list[str] = []
        reader = threading.Thread(target=_drain, args=(process.stdout, printed), daemon=True)
        reader.start()
        try:
            for line in process.stderr:
                self.said(_masked(line, secret))
            while process.poll() is None:
                # A blocking wait holds Popen's lock, and a signal in this thread may call stop().
                time.sleep(0.05)
            reader.join()
        finally:
            self.stop()
        others, result = _result(printed)
        for line in others:
            self.said(_masked(line, secret))
        return Ended(process.returncode, result)

    def stop(self) -> None:
        """Ask the group to end, and force it after GRACE_SECONDS."""
        process = self.process
        if process is None or process.poll() is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(GRACE_SECONDS)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue
            else:
                return


def _drain(stream: IO[str], into: list[str]) -> None:
    into.extend(stream)


def _masked(line: str, secret: str | None) -> str:
    line = line.rstrip("\n")
    return line.replace(secret, "***") if secret else line


def _result(printed: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Other lines, and the object in the last one; ``ccare export`` prints a list of paths, others rows."""
    try:
        value = json.loads(printed[-1]) if printed else None
    except ValueError:
        value = None
    if isinstance(value, list):
        value = {"exported" if all(isinstance(each, str) for each in value) else "rows": value}
    return (printed[:-1], value) if isinstance(value, dict) else (printed, {})
