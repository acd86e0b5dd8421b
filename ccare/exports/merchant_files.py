"""A folder for each merchant: its files by CSV lines cut out of one table, checked as read back, manifest last."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ccare.errors import IntegrityBroken
from ccare.exports.files import BOM, MANIFEST, checked_id, csv_bytes, each_text

_BREAKS = r"[\r\n\x0b\x0c]+"
_FEW_FILES = 50
Extras = Callable[[str], Mapping[str, bytes]]
"""Merchant -> further files of its folder (card, workbook)."""


@dataclass(frozen=True)
class Sheet:
    """One CSV of every merchant: its bytes (BOM and header apart) cut by merchant."""

    name: str
    header: bytes
    parts: Mapping[str, bytes]
    rows: Mapping[str, int]


def sheet(name: str, rows: pa.Table, numbers: Iterable[str] = ()) -> Sheet:
    """Cut ``rows``, sorted by their first column merchant_id, into each merchant's lines of ``name``.

    Line breaks in texts become spaces, so that a line is a row; ``numbers``: text columns that hold numbers.
    """
    flat = [each_text(c, _BREAKS, " ") if pa.types.is_string(c.type) else c for c in rows.columns]
    content = csv_bytes(pa.table(flat, names=rows.column_names), numbers)
    header, *lines = content.removesuffix(b"\n").split(b"\n")
    if len(lines) != rows.num_rows:
        raise IntegrityBroken(
            f"{name}: {rows.num_rows} rows made {len(lines)} lines.", remedy="Report it; nothing was written."
        )
    ids = np.asarray(rows["merchant_id"].to_numpy(zero_copy_only=False), dtype=str)
    names, starts = np.unique(ids, return_index=True) if len(ids) else (ids, np.zeros(0, int))
    ends = [*starts[1:].tolist(), len(lines)][: len(names)]
    cut = {str(merchant): (int(a), int(b)) for merchant, a, b in zip(names, starts, ends, strict=True)}
    parts = {merchant: b"".join(line + b"\n" for line in lines[a:b]) for merchant, (a, b) in cut.items()}
    return Sheet(name, header + b"\n", parts, {m: b - a for m, (a, b) in cut.items()})


def folder_of(exports: Path, merchant_id: str, day: date) -> Path:
    """``<exports>/merchants/<merchant_id>/<day>``."""
    return exports / "merchants" / checked_id(merchant_id) / day.isoformat()


def manifest_before(folder: Path) -> dict[str, Any]:
    """The manifest of an earlier export into the same folder; empty without a readable one."""
    with suppress(OSError, ValueError):
        found = json.loads((folder / MANIFEST).read_bytes())
        if isinstance(found, dict):
            return found
    return {}


def write_folders(
    exports: Path,
    day: date,
    merchants: Iterable[str],
    sheets: Iterable[Sheet],
    about: Callable[[str], Mapping[str, Any]],
    before: Mapping[str, Mapping[str, Any]],
    extras: Extras | None = None,
) -> int:
    """Write each merchant's folder; returns the number of files. ``before``: manifests of an earlier export.

    All files first, then one sync, then each folder is read back and, where it holds what was meant, gets its
    manifest. A folder without manifest.json is incomplete. IntegrityBroken where a file reads back otherwise.
    """
    sheets, written = tuple(sheets), 0
    pending: list[tuple[str, Path, dict[str, str], dict[str, Any]]] = []
    for merchant in merchants:
        folder = folder_of(exports, merchant, day)
        files = {s.name: s.header + s.parts.get(merchant, b"") for s in sheets}
        files |= extras(merchant) if extras else {}
        stated = dict(about(merchant))
        earlier = before[merchant]
        _open(folder, files, earlier if earlier.get("lake_hash") == stated.get("lake_hash") else {})
        listed = {name: _put(folder, name, content) for name, content in files.items()}
        pending.append(
            (merchant, folder, listed, stated | {"rows": {s.name: s.rows.get(merchant, 0) for s in sheets}})
        )
        written += len(files) + 1
    _sync(folder / name for _, folder, listed, _ in pending for name in listed)
    for merchant, folder, listed, stated in pending:
        _close(merchant, folder, listed, stated)
    _sync(folder / MANIFEST for _, folder, _, _ in pending)
    return written


def _sync(paths: Iterable[Path]) -> None:
    """Bring files to disk: a handful one by one, thousands by one sync of everything."""
    found = list(paths)
    if len(found) > _FEW_FILES:
        os.sync()
        return
    for path in found:
        with path.open("rb") as handle:
            os.fsync(handle.fileno())


def _open(folder: Path, files: Mapping[str, bytes], same_version: Mapping[str, Any]) -> None:
    """Take the old manifest away, and every file that the new one would not name or that tells another version."""
    try:
        folder.mkdir(parents=True)
        return
    except FileExistsError:
        pass
    with suppress(FileNotFoundError):
        (folder / MANIFEST).unlink()
    kept = {entry["name"] for entry in same_version.get("files", ())}
    for path in folder.iterdir():
        if path.name not in files and path.name not in kept:
            path.unlink()


def _put(folder: Path, name: str, content: bytes) -> str:
    """Write beside, rename; synced together with all the others. The digest of what was meant."""
    aside = f"{folder}/.{name}.part"
    with open(aside, "wb", buffering=0) as handle:
        handle.write(content)
    os.rename(aside, f"{folder}/{name}")  # noqa: PTH104 - a Path costs more than the call, 400,000 times
    return sha256(content).hexdigest()


def _close(merchant: str, folder: Path, meant: Mapping[str, str], stated: Mapping[str, Any]) -> None:
    """Read the folder back; its manifest where every file is what was meant and holds this merchant's rows only."""
    listed = []
    for name in sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")):
        with open(f"{folder}/{name}", "rb", buffering=0) as handle:
            content = handle.read()
        digest = sha256(content).hexdigest()
        wrong = digest != meant.get(name, digest) or (
            name in stated["rows"] and not _only(content, merchant, stated["rows"][name])
        )
        if wrong:
            raise IntegrityBroken(
                f"{folder / name} reads back otherwise than it was written.",
                remedy="Check the disk, then export again; the folder has no manifest, so nobody takes it for whole.",
            )
        listed.append({"name": name, "bytes": len(content), "sha256": digest})
    # One entry a line: an indent takes json's slow road, seconds over 100,000 manifests.
    entries = {**stated, "files": listed}.items()
    lines = ",\n".join(
        f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False, default=str)}" for k, v in entries
    )
    _put(folder, MANIFEST, f"{{\n{lines}\n}}\n".encode())


def _only(content: bytes, merchant: str, rows: int) -> bool:
    """Whether a CSV holds ``rows`` rows, each of the merchant."""
    if not content.startswith(BOM):
        return False
    _, *lines = content.removesuffix(b"\n").split(b"\n")
    own, quoted = f"{merchant},".encode(), f'"{merchant}",'.encode()
    escaped = f'"\'{merchant}",'.encode()
    return len(lines) == rows and all(line.startswith((quoted, own, escaped)) for line in lines)
