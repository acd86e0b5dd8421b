"""Letting one rule of one blocked day go: a delivery of its own, so that a replay of the landing lets it go again.

``<landing>/releases/<day + 1>/<table>.<rule>.json`` says who, when and why. A run reads it; what it used is
published in run_releases.
"""

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from ccare.errors import UsageError
from ccare.runtime import deltalog
from ccare.runtime.lease import RunRecord, read_record
from ccare.runtime.manifest import write_atomically
from ccare.runtime.rowstore import write_rows
from ccare.runtime.settings import Settings
from ccare.tables import table

FOLDER = "releases"
_WORD = re.compile(r"^[a-z][a-z0-9_]*$")


@dataclass(frozen=True)
class Release:
    """One rule of one table let go for one day. ``released_at`` is ISO 8601, UTC."""

    day: str
    table: str
    rule: str
    by: str
    reason: str
    released_at: str

    def told(self) -> dict[str, Any]:
        """What is kept beside the outcome."""
        return asdict(self)


def release(settings: Settings, day: date, rule: str, by: str, reason: str) -> Path:
    """Write the release of ``rule`` (table.rule, or rule where one table alone has it) for a blocked ``day``.

    UsageError where the day is not blocked, the rule is not what blocks it, or nobody or nothing is named.
    """
    by, reason = by.strip(), reason.strip()
    if not by or not reason:
        raise UsageError("A release needs a name and a reason.", remedy="Add --by NAME --reason TEXT.")
    record = read_record(settings.lake) if settings.lake.is_dir() else None
    if record is None or record.day != day or not record.blocked:
        raise UsageError(
            f"{day} is not blocked: no rule stands in its way.",
            remedy=f"Run it first: ccare run --day {day}; a rule is released only after it has refused the day.",
        )
    table_name, rule_id = _blocking(record, rule)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = Release(str(day), table_name, rule_id, by[:200], reason[:1000], now)
    folder = release_folder(settings.landing, day)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{table_name}.{rule_id}.json"
    write_atomically(path, json.dumps(asdict(made), indent=1, sort_keys=True, ensure_ascii=False))
    return path


def _blocking(record: RunRecord, rule: str) -> tuple[str, str]:
    found = [name for name in record.blocked if rule in (name, name.split(".", 1)[1])]
    if len(found) == 1:
        table_name, _, rule_id = found[0].partition(".")
        return table_name, rule_id
    raise UsageError(
        f"{rule} does not block {record.day}."
        if not found
        else f"{rule} blocks {record.day} in several tables.",
        remedy=f"What blocks it: {', '.join(sorted(record.blocked))}.",
    )


def release_folder(landing: Path, day: date) -> Path:
    """Where the releases of a day lie."""
    return landing / FOLDER / (day + timedelta(days=1)).isoformat()


def releases_of(landing: Path, day: date) -> list[Release]:
    """Releases of a day, by name; UsageError names a file that is none."""
    found = []
    for path in sorted(release_folder(landing, day).glob("*.json")):
        try:
            made = Release(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            made = None
        words = made and all(_WORD.match(str(word)) for word in (made.table, made.rule))
        if made is None or not words or made.day != str(day) or not made.by or not made.reason:
            raise UsageError(
                f"{path.relative_to(landing)} is no release of {day}.",
                remedy="Remove it and write it with ccare release.",
            )
        found.append(made)
    return found


def store_releases(lake: Path, record: RunRecord) -> None:
    """Publish what this run let go in run_releases: once, however often the step is retried."""
    if not record.released:
        return
    declared = table("run_releases")
    newest = record.versions.get(declared.name, deltalog.latest_version(lake, declared.name))
    columns = ("run_id",)
    known = [] if newest is None else deltalog.rows(lake, declared.name, newest, columns)
    if any(row["run_id"] == record.run_id for row in known):
        return
    rows = [
        {
            "business_date": record.day,
            "revision": record.revision,
            "table_name": told["table"],
            "rule": told["rule"],
            "released_by": told["by"],
            "reason": told["reason"],
            "released_at": datetime.fromisoformat(told["released_at"]),
            "detail": told["detail"],
            "run_id": record.run_id,
        }
        for _, told in sorted(record.released.items())
    ]
    record.versions[declared.name] = write_rows(lake, declared, rows, record.run_id)
