"""What the gates of a run found: which rules were looked at, which broke, which were let go, by whom and why."""

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from ccare.errors import GateRefused
from ccare.runtime.gate import Failure, Rule
from ccare.runtime.manifest import write_atomically
from ccare.runtime.releases import Release


@dataclass
class Quality:
    """The gates of one run in one process. ``blocked`` is told before the refusal is raised, and must last."""

    day: date
    revision: int
    run_id: str
    releases: Sequence[Release] = ()
    blocked: Callable[[Iterable[Failure]], None] = lambda failures: None
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)
    used: dict[str, dict[str, Any]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def judge(self, table: str, looked: Iterable[Rule], failures: Sequence[Failure]) -> tuple[str, ...]:
        """Note the outcomes of a gate; returns warnings in words, GateRefused names the block rules that broke."""
        let_go = {f.name: r for f in failures if (r := self._release(f)) is not None}
        with self.lock:
            for rule in looked:
                self.outcomes[f"{table}.{rule.id}"] = _outcome(table, rule, None, None)
            for failure in failures:
                release = let_go.get(failure.name)
                self.outcomes[failure.name] = _outcome(table, failure.rule, failure, release)
                if release is not None:
                    self.used[failure.name] = {**release.told(), "detail": failure.sentence()[:500]}
        refused = [f for f in failures if f.rule.severity == "block" and f.name not in let_go]
        if refused:
            self.blocked(refused)
            raise refusal(self.day, refused)
        return tuple(_warning(f, let_go.get(f.name)) for f in failures)

    def _release(self, failure: Failure) -> Release | None:
        if failure.rule.severity != "block":
            return None
        return next(
            (r for r in self.releases if r.table == failure.table and r.rule == failure.rule.id), None
        )

    def write(self, exports: Path) -> Path | None:
        """Keep the outcomes as ``<exports>/quality/<day>-<revision>.json``, with those of the run's earlier steps."""
        if not self.outcomes:
            return None
        path = quality_file(exports, self.day, self.revision)
        path.parent.mkdir(parents=True, exist_ok=True)
        before = _read(path)
        outcomes = before["outcomes"] if before.get("run_id") == self.run_id else {}
        told = {"day": str(self.day), "revision": self.revision, "run_id": self.run_id}
        told["outcomes"] = dict(sorted({**outcomes, **self.outcomes}.items()))
        write_atomically(path, json.dumps(told, indent=1, ensure_ascii=False))
        return path


def refusal(day: date, refused: Sequence[Failure]) -> GateRefused:
    """The day is refused: every rule that stands in its way, and both ways to go on."""
    tables = ", ".join(dict.fromkeys(f.table for f in refused))
    return GateRefused(
        f"{tables} of {day} is refused: {'; '.join(f.sentence() for f in refused)}.",
        remedy=f"Nothing was published. Mend the delivery (a file replaced or added under the same date will do) and "
        f"run the day again; or let a rule go for this day: ccare release --day {day} --rule {refused[0].name} "
        f"--by NAME --reason TEXT. All rules and counts: ccare data-docs --day {day}.",
        rules=tuple(f.name for f in refused),
        day=str(day),
    )


def quality_file(exports: Path, day: date, revision: int) -> Path:
    """Where the outcomes of one run are kept."""
    return exports / "quality" / f"{day}-{revision}.json"


def kept(exports: Path, day: date | None = None) -> list[dict[str, Any]]:
    """The outcomes of every run that are kept, or of one day's, in order of day and revision."""
    found = [_read(path) for path in (exports / "quality").glob("*.json")]
    wanted = [told for told in found if told and (day is None or told["day"] == str(day))]
    return sorted(wanted, key=lambda told: (told["day"], told["revision"]))


def _read(path: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told


def _outcome(table: str, rule: Rule, failure: Failure | None, release: Release | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "table": table,
        "rule": rule.id,
        "severity": rule.severity,
        "why": rule.why,
        "expect": rule.expect,
        "arguments": dict(rule.arguments),
        "held": failure is None,
    }
    if failure is not None:
        told |= {"unexpected": failure.unexpected, "value": failure.value, "detail": failure.sentence()}
    if release is not None:
        told["released"] = release.told()
    return told


def _warning(failure: Failure, release: Release | None) -> str:
    if release is None:
        return failure.sentence()
    return f"{failure.sentence()} [let go by {release.by}: {release.reason}]"
