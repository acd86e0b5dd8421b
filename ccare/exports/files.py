"""Files for people and other systems: written aside, renamed, their manifest last."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from ccare.errors import UsageError
from ccare.tables.streams import ID_PATTERN

MANIFEST = "manifest.json"
BOM = b"\xef\xbb\xbf"
_DANGEROUS = r"^([=+\-@\t\r\n＝＋－＠])"
"""First characters that make a spreadsheet read a cell as a formula (OWASP, CSV injection)."""
_NEUTRAL = (_DANGEROUS, r"'\1")
_BREAKS = r"[\r\n\x0b\x0c]+"
_ID = re.compile(ID_PATTERN.strip("^$"))


def checked_id(merchant_id: str) -> str:
    """``merchant_id`` where it may stand in a path: it is data, so anything but an id is refused."""
    if not _ID.fullmatch(merchant_id):
        raise UsageError(
            f"{merchant_id[:80]!r} is no merchant id.",
            remedy="An id has 1 to 64 letters, digits, - or _.",
        )
    return merchant_id


def write_aside(path: Path, content: bytes) -> Path:
    """Write beside, sync, rename: a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    return path


def publish_files(folder: Path, files: Mapping[str, bytes], about: Mapping[str, Any]) -> dict[str, str]:
    """Put ``files`` (name -> bytes) into ``folder`` and their manifest after them; returns name -> sha256.

    A folder without manifest.json is incomplete: it is taken away before any file changes. The manifest is
    ``about`` and, under ``files``, name, bytes and sha256 of each.
    """
    digests = {name: sha256(content).hexdigest() for name, content in files.items()}
    listed = [{"name": n, "bytes": len(files[n]), "sha256": digests[n]} for n in sorted(files)]
    manifest = json.dumps({**about, "files": listed}, ensure_ascii=False, indent=1, default=str) + "\n"
    with suppress(FileNotFoundError):
        (folder / MANIFEST).unlink()
    for name, content in files.items():
        write_aside(folder / name, content)
    write_aside(folder / MANIFEST, manifest.encode())
    return digests


def csv_bytes(rows: pa.Table, numbers: Iterable[str] = (), *, flat: bool = False) -> bytes:
    """UTF-8 with BOM, header first; text that a spreadsheet would run starts with an apostrophe.

    ``numbers``: text columns that hold numbers or bounds of them, where a minus sign is no formula. ``flat``: line
    breaks in texts become spaces, so that a line is a row.
    """
    plain = frozenset(numbers)
    breaks = ((_BREAKS, " "),) if flat else ()
    columns = [
        _each_text(column, *breaks, *(() if name in plain else (_NEUTRAL,)))
        if pa.types.is_string(column.type)
        else column
        for name, column in zip(rows.column_names, rows.columns, strict=True)
    ]
    buffer = pa.BufferOutputStream()
    buffer.write(BOM)
    pacsv.write_csv(pa.table(columns, names=rows.column_names), buffer)
    written: bytes = buffer.getvalue().to_pybytes()
    return written


def neutral(text: str) -> str:
    """One text as a spreadsheet may hold it."""
    return "'" + text if re.match(_DANGEROUS, text) else text


def _each_text(column: pa.ChunkedArray, *changes: tuple[str, str]) -> pa.Array | pa.ChunkedArray:
    """``column`` with every match of each pattern replaced in turn, each distinct text looked at once."""
    encoded = column.combine_chunks().dictionary_encode()
    texts = encoded.dictionary
    for pattern, replacement in changes:
        texts = pc.replace_substring_regex(texts, pattern=pattern, replacement=replacement)
    return column if texts.equals(encoded.dictionary) else texts.take(encoded.indices)
