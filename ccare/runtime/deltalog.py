"""A Delta table's own log, read as files: latest version, commit digests, data files. No JVM."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from ccare.errors import InputMissing, IntegrityBroken


def log_dir(lake: Path, table: str) -> Path:
    """The folder of a table's commits."""
    return lake / table / "_delta_log"


def commit_file(lake: Path, table: str, version: int) -> Path:
    """The commit file of one version."""
    return log_dir(lake, table) / f"{version:020d}.json"


def latest_version(lake: Path, table: str) -> int | None:
    """The newest version by the log listing; None where the table does not exist."""
    folder = log_dir(lake, table)
    if not folder.is_dir():
        return None
    versions = [int(p.stem) for p in folder.glob("*.json") if p.stem.isdigit()]
    return max(versions, default=None)


def commit_sha256(lake: Path, table: str, version: int) -> str:
    """SHA-256 of a commit file's bytes; IntegrityBroken where it is gone."""
    path = commit_file(lake, table, version)
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise IntegrityBroken(
            f"Table {table} has lost its published commit {version}.",
            remedy="Restore the file from a backup, or see docs/how-to/recover.md.",
        ) from None


def data_files(lake: Path, table: str, version: int, partitions: Collection[str] | None = None) -> list[str]:
    """Absolute paths of the data files at ``version`` (of these partitions, where given), in name order."""
    opened = open_table(lake, table, version)
    if partitions is None:
        uris = opened.file_uris()
    else:
        (by,) = opened.metadata().partition_columns
        uris = opened.file_uris([(by, "in", sorted(partitions))]) if partitions else []
    return sorted(unquote(uri.removeprefix("file://")) for uri in uris)


@dataclass(frozen=True)
class PinnedFiles:
    """Data files of one version, absolute paths in name order.

    ``held``: columns that some file or its path holds; ``gained``: those of them that other files lack, since
    they were declared after those were written.
    """

    paths: tuple[str, ...]
    held: frozenset[str]
    gained: frozenset[str]


def pinned_files(
    lake: Path, table: str, version: int, partitions: Collection[str] | None = None
) -> PinnedFiles:
    """Data files at ``version``, of ``partitions`` alone where some are named, and what they hold.

    A table only gains columns: where its oldest and its newest file hold all that its schema names, so do those
    between. Only elsewhere is every footer read.
    """
    opened = open_table(lake, table, version)
    named = {field.name for field in opened.schema().fields}
    by = opened.metadata().partition_columns
    inside = named - set(by)
    actions = pa.table(opened.get_add_actions(flatten=True))
    added = actions.select(["path", "modification_time", *(f"partition.{name}" for name in by)]).to_pylist()
    if partitions is not None:
        added = [file for file in added if str(file[f"partition.{by[0]}"]) in partitions]
    added.sort(key=lambda file: (file["modification_time"], file["path"]))
    paths = [str(lake.absolute() / table / unquote(file["path"])) for file in added]
    held = some = inside
    if any(inside - _columns(path, inside) for path in (*paths[:1], *paths[-1:])):
        each = [_columns(path, inside) for path in paths]
        held, some = set.intersection(*each), set.union(*each)
    return PinnedFiles(tuple(sorted(paths)), frozenset((named - inside) | some), frozenset(some - held))


def _columns(path: str, otherwise: set[str]) -> set[str]:
    try:
        return set(pq.read_schema(path).names)
    except (OSError, pa.ArrowInvalid):
        return otherwise  # whoever reads the rows says which file is broken


CLOCKS_APART_MS = 2_000
"""How much later than its log says a file may have been written: by the clocks of a writer and of its disk."""


@dataclass(frozen=True)
class StoredFiles:
    """How the data files of a version stand on disk, beside what its log says of them.

    ``lost``: names of those that are gone, or not as long. ``late``: path -> rows by the log, of those that were
    written to after their log. A copy that keeps no times makes every file late: a reason to read it, no more.
    """

    lost: tuple[str, ...]
    late: dict[str, int | None]


def stored_files(lake: Path, table: str, version: int) -> StoredFiles:
    """Look at every data file of a version, without opening any."""
    actions = pa.table(open_table(lake, table, version).get_add_actions(flatten=True))
    names, none = ("path", "size_bytes", "modification_time"), [None] * actions.num_rows
    counts = actions["num_records"].to_pylist() if "num_records" in actions.column_names else none
    lost, late = [], {}
    for path, size, at, rows in zip(*(actions[n].to_pylist() for n in names), counts, strict=True):
        file = lake / table / unquote(path)
        try:
            found = file.stat()
        except FileNotFoundError:
            found = None
        if found is None or found.st_size != size:
            lost.append(file.name)
        elif found.st_mtime_ns // 1_000_000 > at + CLOCKS_APART_MS:
            late[str(file)] = rows
    return StoredFiles(tuple(sorted(lost)), late)


def lost_files(lake: Path, table: str, version: int) -> list[str]:
    """Names of data files of a version that are gone, or not as long as its log says."""
    return list(stored_files(lake, table, version).lost)


def require_files(lake: Path, versions: Mapping[str, int], what: str) -> None:
    """InputMissing, beginning with ``what``, where data files of a version before the published one are gone."""
    for name, version in sorted(versions.items()):
        kept = commit_file(lake, name, version).exists()
        if not kept or not all(Path(path).exists() for path in data_files(lake, name, version)):
            raise InputMissing(
                f"{what}: files of {name} at version {version} were purged.",
                remedy="What is published now is whole; older versions end some day (docs/how-to/maintain.md).",
            )


def open_table(lake: Path, table: str, version: int | None = None) -> DeltaTable:
    """The table at a version; IntegrityBroken names it where its log cannot be read."""
    try:
        return DeltaTable(str(lake / table), version=version)
    except Exception as error:
        raise IntegrityBroken(
            f"Table {table} cannot be read at version {version}: {str(error)[:200]}",
            remedy="Restore its log from a backup, or see docs/how-to/recover.md.",
        ) from None


def rows(
    lake: Path, table: str, version: int | None = None, columns: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Rows of a small table at a version; IntegrityBroken names it where its files cannot be read."""
    opened = open_table(lake, table, version)
    # Arrow's threads may still hold deltalake's own file system, which is Python, when the interpreter ends: a
    # few processes in a hundred then aborted with their work done. Arrow's native one holds nothing of Python.
    files = SubTreeFileSystem(str(lake / table), LocalFileSystem())
    try:
        found: list[dict[str, Any]] = opened.to_pyarrow_table(
            columns=list(columns) if columns else None, filesystem=files
        ).to_pylist()
    except OSError as error:
        raise IntegrityBroken(
            f"Table {table} cannot be read at version {version}: {str(error)[:200]}",
            remedy="Restore its files from a backup, or see docs/how-to/recover.md.",
        ) from None
    return found


def row_count(lake: Path, table: str, version: int) -> int:
    """Rows at ``version`` by the log's own statistics."""
    actions = open_table(lake, table, version).get_add_actions(flatten=True)
    names = actions.schema.names
    if "num_records" not in names:
        return 0
    return sum(value or 0 for value in actions.column(names.index("num_records")).to_pylist())


def partition_rows(lake: Path, table: str, version: int | None, values: Collection[str]) -> int:
    """Rows of the partitions named (all where none is) at ``version``, by the log's own statistics."""
    if version is None:
        return 0
    actions = pa.table(open_table(lake, table, version).get_add_actions(flatten=True))
    keys = [name for name in actions.column_names if name.startswith("partition.")]
    total = 0
    for row in actions.select([*keys, "num_records"]).to_pylist():
        if not values or str(row[keys[0]]) in values:
            total += row["num_records"] or 0
    return total


def commit_metrics(lake: Path, table: str, version: int) -> dict[str, int]:
    """What one commit added by its own actions: rows, bytes and files."""
    added = {"rows": 0, "bytes": 0, "files": 0}
    for action in _actions(lake, table, version):
        if add := action.get("add"):
            added["files"] += 1
            added["bytes"] += int(add["size"])
            added["rows"] += int(json.loads(add.get("stats") or "{}").get("numRecords") or 0)
    return added


def made_by(lake: Path, table: str, version: int) -> str | None:
    """The run that made one commit; None where it names none, or is old and gone."""
    try:
        infos = [action["commitInfo"] for action in _actions(lake, table, version) if "commitInfo" in action]
    except FileNotFoundError:
        return None
    return infos[0].get("userMetadata") if infos else None


def _actions(lake: Path, table: str, version: int) -> list[dict[str, Any]]:
    """The actions of one commit, as its log file has them; FileNotFoundError where that is gone."""
    return [json.loads(line) for line in commit_file(lake, table, version).read_text().splitlines()]
