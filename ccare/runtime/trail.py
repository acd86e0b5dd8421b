"""The ledger's own trail: what its log says was done to an append-only table, and what lies beyond the publication."""

import json
from pathlib import Path

from ccare.errors import IntegrityBroken
from ccare.runtime import deltalog
from ccare.runtime.lease import read_record
from ccare.runtime.manifest import MANIFEST, Published
from ccare.tables import Table

INSERTS = {MANIFEST: "WRITE"}
"""How rows come into an append-only table: by MERGE, which takes no row twice, or for these by another operation."""
GAINING = frozenset({"CREATE TABLE", "ADD COLUMN", "ADD COLUMNS"})
"""Operations that a run's first write begins with: they hold no rows."""
REARRANGING = frozenset({"OPTIMIZE", "VACUUM START", "VACUUM END"})
"""Operations that move rows between files, or remove files that no version shows: a person may do them too."""


def operations(name: str) -> frozenset[str]:
    """All that is ever done to an append-only table: anything else, a blind append too, is somebody else's."""
    return GAINING | REARRANGING | {INSERTS.get(name, "MERGE")}


def appended_only(lake: Path, table: Table) -> str:
    """Why the log of an append-only table is not one; empty where it is.

    Every commit that still stands is read: nothing may have taken a row out, and the property that forbids it may
    never have been off.
    """
    for path in sorted(deltalog.log_dir(lake, table.name).glob("*.json")):
        if not path.stem.isdigit():
            continue
        version, removed = int(path.stem), 0
        for line in path.read_text(encoding="utf-8").splitlines():
            action = json.loads(line)
            operation = action.get("commitInfo", {}).get("operation")
            if operation is not None and operation not in operations(table.name):
                return f"its commit {version} is a {operation}, which no run makes"
            config = action.get("metaData", {}).get("configuration")
            if config is not None and config.get("delta.appendOnly") != "true":
                return f"its commit {version} switched delta.appendOnly off"
            removed += bool(action.get("remove", {}).get("dataChange"))
        if removed:
            return f"its commit {version} took {removed} file(s) of rows out"
    return ""


def only_rearranged(lake: Path, name: str, since: int, until: int) -> bool:
    """Whether every commit after ``since``, up to ``until``, moved rows between files and changed none."""
    for version in range(since + 1, until + 1):
        path = deltalog.commit_file(lake, name, version)
        if not path.is_file() or not _rearranges(path):
            return False
    return True


def _rearranges(commit: Path) -> bool:
    """Whether one commit says of itself, and of each of its files, that no row changed."""
    said = False
    for line in commit.read_text(encoding="utf-8").splitlines():
        ((kind, action),) = json.loads(line).items()
        if kind == "commitInfo":
            said = action.get("operation") in REARRANGING
        elif kind not in ("add", "remove") or action.get("dataChange", True):
            return False
    return said


def foreign_commit(lake: Path, name: str, since: int, run_id: str | None = None) -> str:
    """What a commit after ``since`` did that no run makes; empty where each is a run's, or changes no row.

    Every run signs what it writes; with ``run_id`` it has to be that one.
    """
    newest = deltalog.latest_version(lake, name)
    for version in range(since + 1, (since if newest is None else newest) + 1):
        path = deltalog.commit_file(lake, name, version)
        if not path.is_file():
            return f"its commit {version} is gone, and commit {newest} stands"
        if _rearranges(path) or _gains_columns(path):
            continue
        by = deltalog.made_by(lake, name, version)
        if not by or run_id not in (None, by):
            return f"its commit {version} is a {_operation(path)} that no run here answers for"
    return ""


def _operation(commit: Path) -> str:
    """What a commit calls itself."""
    actions = (json.loads(line) for line in commit.read_text(encoding="utf-8").splitlines())
    return next((a["commitInfo"].get("operation", "commit") for a in actions if "commitInfo" in a), "commit")


def _gains_columns(commit: Path) -> bool:
    """Whether a commit makes a table or adds columns to it, as the first write of a run does, and no more."""
    kinds = {kind for line in commit.read_text(encoding="utf-8").splitlines() for kind in json.loads(line)}
    return _operation(commit) in GAINING and not kinds & {"add", "remove"}


def beyond(lake: Path, last: Published) -> str:
    """L14: what tables show beyond what is published, unless the open run wrote it; empty where nothing does.

    A table rolled back after a failed run has a newer version with the published files, one whose upkeep was cut off
    has the published rows in other files: that is the same table.
    """
    record = read_record(lake)
    ours = record.versions if record is not None and record.run_id != last.run_id else {}
    for name, version in sorted(last.table_versions.items()):
        newest = deltalog.latest_version(lake, name)
        if newest is None or newest <= version or (record is not None and newest <= ours.get(name, -1)):
            continue
        try:
            same = deltalog.data_files(lake, name, newest) == deltalog.data_files(lake, name, version)
        except IntegrityBroken as error:
            return error.message
        same = same or only_rearranged(lake, name, version, newest)
        if not same and not (record is not None and record.staged):
            return f"{name} stands at version {newest}, {version} was published, and no open run wrote it"
    return ""
