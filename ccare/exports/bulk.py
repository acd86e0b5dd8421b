"""Scores, drivers and statements of everyone, for systems: partitioned Parquet and CSV beside their descriptors.

Only partitions whose rows were published anew are written again: a close adds one, a restatement replaces some.
"""

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb

from ccare.exports.datasets import DATASETS, Dataset, data_package, row_schema
from ccare.exports.files import MANIFEST, write_aside
from ccare.growth.snapshot import connect, name_of, quoted
from ccare.runtime import deltalog
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

FOLDER = "bulk"
_COPY = {
    "parquet": "format parquet, compression zstd, kv_metadata {{schema: {schema}}}",
    "csv": "format csv, header true, compression gzip",
}
_ENDING = {"parquet": "parquet", "csv": "csv.gz"}
_DUCK = {"string": "varchar", "bigint": "bigint", "int": "integer", "double": "double", "date": "date"}
Part = dict[str, Any]


@dataclass(frozen=True)
class BulkSummary:
    """One dataset's folder, its partitions, and how many of them were written now."""

    dataset: str
    folder: Path
    partitions: int
    written: int


def export_bulk(settings: Settings, row: Published) -> list[BulkSummary]:
    """Bring ``<exports>/bulk/<dataset>/`` to what ``row`` published, each dataset's manifest.json last.

    The same published rows give the same bytes. CSV is exact: nothing is put before a cell, so it is packed and
    not meant for a spreadsheet; ``<exports>/<day>/scores.csv`` is the one for people.
    """
    with connect(settings.lake, row) as con:
        con.execute("set preserve_insertion_order = true")
        return [_export(con, settings, row, dataset) for dataset in DATASETS]


def _export(
    con: duckdb.DuckDBPyConnection, settings: Settings, row: Published, dataset: Dataset
) -> BulkSummary:
    folder = settings.exports / FOLDER / dataset.name
    wanted = _sources(settings.lake, row, dataset)
    kept = {
        p["value"]: p
        for p in _manifest(folder, dataset)
        if wanted.get(p["value"]) == p["source"] and _stands(folder, p)
    }
    if sorted(kept) == sorted(wanted) and (folder / MANIFEST).exists():
        return BulkSummary(dataset.name, folder, len(kept), 0)
    with suppress(FileNotFoundError):
        (folder / MANIFEST).unlink()
    for stale in set(_folders(folder, dataset)) - {_part_folder(folder, dataset, v) for v in kept}:
        shutil.rmtree(stale)
    parts = [
        kept.get(value) or _write(con, folder, dataset, value, source)
        for value, source in sorted(wanted.items())
    ]
    _describe(settings, row, dataset, folder, parts)
    return BulkSummary(dataset.name, folder, len(parts), len(parts) - len(kept))


def _sources(lake: Path, row: Published, dataset: Dataset) -> dict[str, str]:
    """Partition value -> digest of the data files that it is read from; of the first source's partitions."""
    found: dict[str, list[str]] = {}
    for place, name in enumerate(dataset.sources):
        version = row.table_versions.get(name)
        paths = deltalog.data_files(lake, name, version) if version is not None else []
        for path in paths:
            value = Path(path).parent.name.removeprefix(f"{dataset.partition}=")
            if place == 0 or value in found:
                found.setdefault(value, [dataset.schema]).append(Path(path).name)
    return {value: sha256("\n".join(names).encode()).hexdigest() for value, names in found.items()}


def _manifest(folder: Path, dataset: Dataset) -> list[Part]:
    try:
        told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    parts: list[Part] = told["partitions"] if told.get("schema") == dataset.schema else []
    return parts


def _stands(folder: Path, part: Part) -> bool:
    paths = [(folder / file["path"], file["bytes"]) for file in part["files"]]
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def _folders(folder: Path, dataset: Dataset) -> Iterable[Path]:
    return folder.glob(f"{dataset.partition}=*")


def _part_folder(folder: Path, dataset: Dataset, value: str) -> Path:
    return folder / f"{dataset.partition}={quote(value)}"


def _write(con: duckdb.DuckDBPyConnection, folder: Path, dataset: Dataset, value: str, source: str) -> Part:
    """The files of one partition, rows in key order."""
    shown = ", ".join(f"{name_of(c.name)}::{_DUCK[c.type]} as {name_of(c.name)}" for c in dataset.columns)
    order = ", ".join(name_of(name) for name in dataset.key)
    con.execute(
        f"create or replace temp table part as from ({dataset.sql}) select {shown} order by {order}",
        {"part": value},
    )
    counted = con.execute("select count(*) from part").fetchone()
    target = _part_folder(folder, dataset, value)
    target.mkdir(parents=True, exist_ok=True)
    files = []
    for kind, options in _COPY.items():
        path = target / f"{dataset.name}.{_ENDING[kind]}"
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        con.execute(
            f"copy part to {quoted(str(temporary))} ({options.format(schema=quoted(dataset.schema))})"
        )
        with temporary.open("rb") as written:
            digest = file_digest(written, "sha256").hexdigest()
            os.fsync(written.fileno())
        size = temporary.stat().st_size
        temporary.replace(path)
        files.append({"path": str(path.relative_to(folder)), "bytes": size, "sha256": digest})
    return {"value": value, "rows": counted[0] if counted else 0, "source": source, "files": files}


def _describe(settings: Settings, row: Published, dataset: Dataset, folder: Path, parts: list[Part]) -> None:
    """datapackage.json, schema.json and, last, manifest.json."""
    paths = {
        kind: [file["path"] for part in parts for file in part["files"] if file["path"].endswith(ending)]
        for kind, ending in _ENDING.items()
    }
    facts = {"currency": settings.currency, "businessTimezone": settings.timezone}
    _json(folder / "datapackage.json", data_package(dataset, paths, facts))
    _json(folder / "schema.json", row_schema(dataset))
    about = {
        "schema": dataset.schema,
        "seq": row.seq,
        "run_id": row.run_id,
        "business_date": str(row.business_date),
        "lake_hash": row.hash,
        "partitioned_by": dataset.partition,
        "partitions": parts,
    }
    _json(folder / MANIFEST, about)


def _json(path: Path, content: dict[str, Any]) -> None:
    write_aside(path, (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())
