"""A folder for each merchant: its files by CSV lines cut out of one table, checked as read back, manifest last."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ccare.errors import IntegrityBroken
from ccare.exports.files import BOM, MANIFEST, checked_id, csv_bytes

_FEW_FILES = 50
_JSON = json.JSONEncoder(ensure_ascii=False, default=str)
Extras = Callable[[str], Mapping[str, bytes]]
"""Merchant -> further files of its folder (card, workbook)."""


@dataclass(frozen=True)
class Sheet:
    """One CSV of every merchant, and where in it each merchant's lines are: first byte, byte after, rows."""

    name: str
    content: bytes
    header: bytes
    places: Mapping[str, tuple[int, int, int]]

    def file(self, merchant: str) -> bytes:
        """The merchant's own CSV; BOM and header alone where it has no rows."""
        start, end, _ = self.places.get(merchant, (0, 0, 0))
        return self.header + self.content[start:end]

    def rows(self, merchant: str) -> int:
        """How many rows the merchant has."""
        return self.places.get(merchant, (0, 0, 0))[2]


@dataclass(frozen=True)
class _Written:
    """A folder that waits to be read back. ``kept``: names of files of an earlier export that stay."""

    merchant: str
    folder: Path
    extras: Mapping[str, bytes]
    kept: Iterable[str]
    stated: dict[str, Any]


def sheet(name: str, rows: pa.Table, numbers: Iterable[str] = ()) -> Sheet:
    """Cut ``rows``, sorted by their first column merchant_id, into each merchant's lines of ``name``.

    ``numbers``: text columns that hold numbers.
    """
    content = csv_bytes(rows, numbers, flat=True)
    ends = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == ord("\n")) + 1
    runs = pc.run_end_encode(rows["merchant_id"].combine_chunks())
    merchants, last = runs.values.to_pylist(), runs.run_ends.to_numpy().tolist()
    if len(ends) != rows.num_rows + 1 or len(set(merchants)) != len(merchants):
        raise IntegrityBroken(
            f"{name}: {rows.num_rows} rows made {len(ends) - 1} lines, or are not in order of merchants.",
            remedy="Report it; nothing was written.",
        )
    cuts = ends[[0, *last]].tolist()
    counts = np.diff([0, *last]).tolist()
    places = dict(zip(merchants, zip(cuts, cuts[1:], counts), strict=True))
    return Sheet(name, content, content[: cuts[0]], places)


def folder_of(exports: Path, merchant_id: str, day: date) -> Path:
    """``<exports>/merchants/<merchant_id>/<day>``."""
    return exports.joinpath("merchants", checked_id(merchant_id), day.isoformat())


def manifest_before(folder: Path) -> dict[str, Any]:
    """The manifest of an earlier export into the same folder; empty without a readable one."""
    with suppress(OSError, ValueError), open(f"{folder}/{MANIFEST}", "rb") as handle:
        found = json.loads(handle.read())
        if isinstance(found, dict):
            return found
    return {}


def write_folders(
    folders: Mapping[str, Path],
    sheets: Iterable[Sheet],
    about: Callable[[str], Mapping[str, Any]],
    before: Mapping[str, Mapping[str, Any]],
    extras: Extras | None = None,
) -> int:
    """Write the folder of each merchant; returns the number of files. ``before``: manifests of an earlier export.

    All files first, then one sync, then each folder is read back and, where it holds what was meant, gets its
    manifest. A folder without manifest.json is incomplete. IntegrityBroken where a file reads back otherwise.
    """
    sheets, pending = tuple(sheets), []
    for parent in {folder.parent.parent for folder in islice(folders.values(), 1)}:
        parent.mkdir(parents=True, exist_ok=True)
    for merchant, folder in folders.items():
        more = extras(merchant) if extras else {}
        files = {**{s.name: s.file(merchant) for s in sheets}, **more}
        stated = dict(about(merchant))
        earlier = before[merchant]
        same_version = earlier if earlier.get("lake_hash") == stated.get("lake_hash") else {}
        kept = _open(folder, files, same_version)
        for name, content in files.items():
            _put(folder, name, content, aside=kept is not None)
        stated["rows"] = {s.name: s.rows(merchant) for s in sheets}
        pending.append(_Written(merchant, folder, more, kept or (), stated))
    names = [s.name for s in sheets]
    _sync(f"{w.folder}/{name}" for w in pending for name in (*names, *w.extras))
    told: dict[str, tuple[Any, str]] = {}
    for written in pending:
        _put(
            written.folder, MANIFEST, _manifest(written.stated | {"files": _read_back(written, sheets)}, told)
        )
    _sync(f"{w.folder}/{MANIFEST}" for w in pending)
    return sum(len(names) + len(w.extras) + 1 for w in pending)


def _sync(paths: Iterable[str]) -> None:
    """Bring files to disk: a handful one by one, thousands by one sync of everything."""
    found = list(islice(paths, _FEW_FILES + 1))
    if len(found) > _FEW_FILES:
        os.sync()
        return
    for path in found:
        with open(path, "rb") as handle:
            os.fsync(handle.fileno())


def _open(folder: Path, files: Mapping[str, bytes], same_version: Mapping[str, Any]) -> list[str] | None:
    """Make the folder: None. In one that exists, take the old manifest away, and every file that the new one would
    not name or that tells another version: the names of other files, which stay.
    """
    with suppress(FileExistsError):
        folder.parent.mkdir()
    try:
        folder.mkdir()
        return None
    except FileExistsError:
        pass
    with suppress(FileNotFoundError):
        (folder / MANIFEST).unlink()
    listed = {entry["name"] for entry in same_version.get("files", ())}
    stay = []
    for path in folder.iterdir():
        if path.name in listed and path.name not in files:
            stay.append(path.name)
        elif path.name not in files:
            path.unlink()
    return stay


def _put(folder: Path, name: str, content: bytes, *, aside: bool = True) -> None:
    """Write a file, to be synced together with all the others: ``aside``, then renamed, where one may stand.

    Nobody reads files of a folder that was made just now and has no manifest: there it is written in its place.
    """
    path = f"{folder}/{name}"
    first = f"{folder}/.{name}.part" if aside else path
    # A file object costs more than its three calls, 400,000 times.
    handle = os.open(first, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        while content:
            content = content[os.write(handle, content) :]
    finally:
        os.close(handle)
    if aside:
        os.rename(first, path)  # noqa: PTH104 - as above


def _get(path: str, size: int) -> bytes:
    """A file of ``size`` bytes; one byte more where it is longer."""
    handle = os.open(path, os.O_RDONLY)
    try:
        return os.read(handle, size + 1)
    finally:
        os.close(handle)


def _read_back(written: _Written, sheets: Iterable[Sheet]) -> list[dict[str, Any]]:
    """Name, bytes and sha256 of every file, where each is what was meant and holds this merchant's rows only."""
    merchant, folder = written.merchant, written.folder
    found = {name: (folder / name).read_bytes() for name in written.kept}
    wrong = []
    for name, meant in written.extras.items():
        found[name] = _get(f"{folder}/{name}", len(meant))
        wrong += [name] if found[name] != meant else []
    for s in sheets:
        meant = s.file(merchant)
        found[s.name] = content = _get(f"{folder}/{s.name}", len(meant))
        wrong += [s.name] if content != meant or not _only(content, merchant, s.rows(merchant)) else []
    if wrong:
        raise IntegrityBroken(
            f"{folder / wrong[0]} reads back otherwise than it was written.",
            remedy="Check the disk, then export again; the folder has no manifest, so nobody takes it for whole.",
        )
    return [
        {"name": name, "bytes": len(content), "sha256": sha256(content).hexdigest()}
        for name, content in sorted(found.items())
    ]


def _manifest(stated: Mapping[str, Any], told: dict[str, tuple[Any, str]]) -> bytes:
    """The manifest, one entry a line. ``told``: entries of the one before, most of which are this one's too."""
    for key, value in stated.items():
        if key not in told or told[key][0] is not value:
            told[key] = value, f"{_JSON.encode(key)}: {_JSON.encode(value)}"
    lines = ",\n".join([told[key][1] for key in stated])
    return f"{{\n{lines}\n}}\n".encode()


def _only(content: bytes, merchant: str, rows: int) -> bool:
    """Whether a CSV holds ``rows`` rows, each of the merchant."""
    starts = (f'\n"{merchant}",', f"\n{merchant},", f'\n"\'{merchant}",')
    return (
        content.startswith(BOM)
        and content.endswith(b"\n")
        and content.count(b"\n") == rows + 1
        and rows in accumulate(content.count(start.encode()) for start in starts)
    )
