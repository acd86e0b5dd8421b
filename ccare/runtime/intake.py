"""Deliveries found and read once before Spark sees them: digest, lines, decoder, sidecar.

Spark skips some names in silence, drops rows of a cut gzip or fails the whole job for one: so a bad file is
refused here, alone, and the line count is an independent check on what Spark reads.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO

import zstandard

from ccare.errors import InputMissing
from ccare.sources.bill_files import ENDINGS as BILL_ENDINGS
from ccare.tables.streams import BILL_STREAMS, STREAMS, Stream

CHUNK = 1 << 22
MAX_UNPACKED_BYTES = 64 << 30
"""A compressed file that unpacks to more is refused."""
ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_BILLS = frozenset(stream.name for stream in BILL_STREAMS)


Known = tuple[str, int, datetime, str]
"""sha256, bytes, modified_at and file_status of a published delivery."""


@dataclass(frozen=True)
class Delivery:
    """One delivered file. ``status`` is taken, repeated (bytes known before) or refused, with a note."""

    stream: str
    path: str
    delivery_date: date
    taken_on: date
    bytes: int
    sha256: str
    lines: int
    modified_at: datetime
    status: str
    note: str = ""

    def file(self, landing: Path) -> Path:
        """Where the file stands."""
        return landing / self.path


def deliveries(
    landing: Path, day: date, first_day: date, known: dict[tuple[str, str], Known]
) -> list[Delivery]:
    """Files of every stream dated up to ``day`` + 1 that no published run has taken.

    ``known`` maps (stream, path) to what published runs noted of it. Order is stable. The bytes of a refused file
    may come again under another name: what stood against them may be mended.
    """
    seen = {sha: path for (_, path), (sha, _, _, status) in known.items() if status != "refused"}
    result = []
    for stream in (*STREAMS.values(), *BILL_STREAMS):
        for delivered, path in _files(landing, stream, day + timedelta(days=1)):
            relative = str(path.relative_to(landing))
            stat = path.stat()
            modified = datetime.fromtimestamp(stat.st_mtime, UTC)
            before = known.get((stream.name, relative))
            if before and before[1] == stat.st_size and before[2] == modified:
                continue
            found = _read(path, relative, stream.name, delivered, max(first_day, day), modified, stat.st_size)
            if before and before[0] == found.sha256:
                continue
            if found.status == "taken" and found.sha256 in seen:
                found = _noted(found, "repeated", f"same bytes as {seen[found.sha256]}")
            elif before:
                found = _noted(
                    found, found.status, found.note or "this name was delivered before with other bytes"
                )
            seen.setdefault(found.sha256, relative)
            result.append(found)
    return result


def require_complete(landing: Path, day: date, allow_missing: tuple[str, ...]) -> list[str]:
    """Check that every required stream has its folder dated ``day`` + 1; returns the streams let go."""
    if not landing.is_dir():
        raise InputMissing(
            f"The landing folder {landing} does not exist.",
            remedy="Set CCARE_LANDING to where deliveries land.",
        )
    due = day + timedelta(days=1)
    missing = [
        s.name
        for s in STREAMS.values()
        if s.required_daily and not (landing / s.name / due.isoformat()).is_dir()
    ]
    refused = [name for name in missing if name not in allow_missing]
    if refused:
        raise InputMissing(
            f"{day} is not complete: no folder dated {due} for {', '.join(refused)}.",
            remedy=f"Wait for the delivery, or go on without it: --allow-missing {refused[0]}.",
        )
    return missing


def _files(landing: Path, stream: Stream, until: date) -> Iterator[tuple[date, Path]]:
    folder = landing / stream.name
    if not folder.is_dir():
        return
    for day_folder in sorted(p for p in folder.iterdir() if p.is_dir()):
        try:
            delivered = date.fromisoformat(day_folder.name)
        except ValueError:
            continue
        if delivered > until:
            continue
        for path in sorted(day_folder.iterdir()):
            if path.is_file() and not path.name.endswith((".manifest.json", ".part")):
                yield delivered, path


def _read(
    path: Path, relative: str, stream: str, delivered: date, taken_on: date, modified: datetime, size: int
) -> Delivery:
    status, note, lines = "taken", "", 0
    sha256 = _sha256(path)
    is_bill = stream in _BILLS
    endings = BILL_ENDINGS if is_bill else ENDINGS
    if not path.name.endswith(endings):
        status, note = "refused", f"the name must end in {', '.join(endings)}"
    elif path.is_symlink():
        status, note = "refused", "a link is not a delivery"
    elif not is_bill:  # a bill's lines are counted as they are read, ccare/runtime/bills.py
        try:
            lines = _count_lines(path)
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            status, note = "refused", f"it cannot be unpacked whole: {error}"
        note = note or sidecar_fault(path, sha256, lines)
        status = "refused" if note else status
    return Delivery(stream, relative, delivered, taken_on, size, sha256, lines, modified, status, note)


def _noted(delivery: Delivery, status: str, note: str) -> Delivery:
    return Delivery(**{**delivery.__dict__, "status": status, "note": note})


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _count_lines(path: Path) -> int:
    """Lines after unpacking; a last line without a newline counts."""
    lines, last, total = 0, b"\n", 0
    with _unpacked(path) as handle:
        while chunk := handle.read(CHUNK):
            lines += chunk.count(b"\n")
            last = chunk[-1:]
            total += len(chunk)
            if total > MAX_UNPACKED_BYTES:
                raise OSError(f"it unpacks to more than {MAX_UNPACKED_BYTES} bytes")
    return lines + (last != b"\n")


def _unpacked(path: Path) -> IO[bytes]:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if path.name.endswith(".zst"):
        return zstandard.open(path, "rb")
    return path.open("rb")


def sidecar_fault(path: Path, sha256: str, lines: int) -> str:
    """What speaks against a file by the sidecar beside it; nothing where there is none."""
    stem = path.name
    for ending in sorted((*ENDINGS, *BILL_ENDINGS), key=len, reverse=True):
        stem = stem.removesuffix(ending)
    sidecar = path.with_name(f"{stem}.manifest.json")
    if not sidecar.is_file():
        return ""
    try:
        told = json.loads(sidecar.read_text())
        rows, digest = told["rows"], told["sha256"]
    except (ValueError, KeyError, TypeError):
        return "its sidecar is not readable"
    if digest != sha256:
        return "its bytes are not those that its sidecar names"
    return "" if rows == lines else f"it has {lines} lines and its sidecar says {rows}"
