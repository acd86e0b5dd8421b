"""One reading of a delivered file before Spark sees it: digest, lines, where splits begin, header, whether whole."""

import codecs
import csv
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from ccare.events.read import LINE_HELD_BYTES

CHUNK = 1 << 22
BLOCK_BYTES = 1 << 26
"""Spark reads a plain file in splits of this size; a multiple of CHUNK, so that lines before each are counted."""
MAX_UNPACKED_BYTES = 64 << 30
"""A compressed file that unpacks to more is refused."""
MAX_RATIO = 250
"""Text packs ten to thirty times; what unpacks to more than this many times its size is no text."""
RATIO_FREE_BYTES = 64 << 20
HEADER_MAX_BYTES = 1 << 16
CODECS = {".gz": "gzip", ".zst": "zstd"}
UNREAD = hashlib.sha256(b"").hexdigest()
"""What stands for the digest of a file that was not opened or cannot be: that of no bytes."""


@dataclass(frozen=True)
class Survey:
    """What one reading found. ``fault`` is empty where the file can be taken.

    ``blocks``: for each split of ``BLOCK_BYTES`` the lines that begin before it; one entry where a file is read whole.
    ``text``: every byte of it is known to belong to UTF-8 text.
    ``escapes``: it may hold a backslash.
    ``unfinished``: number of a CSV file's last line where no newline ends it, else 0; its header is no such line.
    """

    sha256: str
    lines: int = 0
    blocks: tuple[int, ...] = (0,)
    header: tuple[str, ...] = ()
    unfinished: int = 0
    fault: str = ""
    text: bool = False
    escapes: bool = True


def survey(path: Path) -> Survey:
    """Read the file once, a packed one twice, in bounded memory; a fault is told, never raised.

    ``sha256`` is UNREAD of a file whose bytes cannot be had at all.
    """
    codec = CODECS.get(path.suffix)
    packed = ""
    try:
        packed = sha256_of(path) if codec else ""
        return _survey(path, packed, codec)
    except (OSError, EOFError, ValueError) as error:
        known = Survey(packed) if packed else digest_survey(path)
        return (
            known if known.fault else replace(known, fault=f"it cannot be unpacked whole: {str(error)[:120]}")
        )


def digest_survey(path: Path) -> Survey:
    """The digest alone, or why the file's bytes cannot be read."""
    try:
        return Survey(sha256_of(path))
    except OSError as error:
        # Not the error's own text: that names the path as this machine has it.
        return Survey(UNREAD, fault=f"it cannot be read: {error.strerror or type(error).__name__}")


def sha256_of(path: Path) -> str:
    """SHA-256 of the file as delivered."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _survey(path: Path, packed: str, codec: str | None) -> Survey:
    """``packed``: the digest of a packed file; a plain one's is taken of what is read here."""
    digest = hashlib.sha256()
    size, total, lines, last, head = path.stat().st_size, 0, 0, b"\n", b""
    blocks, open_bytes, seen = [0], 0, _Seen()
    # Arrow's reader goes over frame after frame, checks each one's end, and never unpacks more than it is asked for.
    with pa.input_stream(str(path), compression=codec) as handle:
        while chunk := handle.read(CHUNK):
            if codec is None:
                digest.update(chunk)
            if len(head) < HEADER_MAX_BYTES:
                head += chunk[: HEADER_MAX_BYTES - len(head)]
            ended = chunk.find(b"\n")
            open_bytes += len(chunk) if ended < 0 else ended
            if open_bytes > LINE_HELD_BYTES:
                told = f"its line {lines + 1:,} is longer than {LINE_HELD_BYTES:,} bytes"
                return Survey(packed or sha256_of(path), fault=told)
            if ended >= 0:
                # Lines within one chunk are shorter than the bound.
                open_bytes = len(chunk) - chunk.rfind(b"\n") - 1
            lines += chunk.count(b"\n")
            seen.add(chunk)
            last = chunk[-1:]
            total += len(chunk)
            if codec is None and total % BLOCK_BYTES == 0:
                # The first line that begins after a boundary is the next split's.
                blocks.append(lines + 1)
            if total > MAX_UNPACKED_BYTES:
                told = f"it unpacks to more than {MAX_UNPACKED_BYTES:,} bytes"
                return Survey(packed or sha256_of(path), fault=told)
            if codec and total > max(RATIO_FREE_BYTES, size * MAX_RATIO):
                return Survey(packed, fault=f"it unpacks to more than {MAX_RATIO} times its size")
    sha256 = packed or digest.hexdigest()
    cut = last != b"\n"
    lines += cut
    if ".csv" not in path.suffixes or not total:
        return Survey(sha256, lines, tuple(blocks), text=seen.is_text(), escapes=seen.escapes)
    try:
        header = csv_header(head)
    except ValueError as error:
        return Survey(sha256, fault=str(error))
    unfinished = lines if cut and lines > 1 else 0
    return Survey(sha256, max(lines - 1, 0), tuple(blocks), header, unfinished, text=seen.is_text())


class _Seen:
    """Whether all bytes seen so far are UTF-8 text, and any a backslash; chunks may end within a character."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._sound = True
        self.escapes = False

    def add(self, chunk: bytes) -> None:
        self.escapes = self.escapes or b"\\" in chunk
        if self._sound and (self._decoder.getstate()[0] or not chunk.isascii()):
            self._decode(chunk)

    def is_text(self) -> bool:
        """To be asked once, at the end."""
        self._decode(b"", final=True)
        return self._sound

    def _decode(self, chunk: bytes, *, final: bool = False) -> None:
        try:
            self._decoder.decode(chunk, final)
        except UnicodeDecodeError:
            self._sound = False


def csv_header(head: bytes) -> tuple[str, ...]:
    """The names in the first line; ValueError says what is wrong with it."""
    first, newline, _ = head.partition(b"\n")
    first = first.rstrip(b"\r")
    if b"\r" in first:
        raise ValueError("its lines end in a carriage return alone, not in LF or CRLF")
    if not newline and len(head) >= HEADER_MAX_BYTES:
        raise ValueError("its first line is too long to be a header")
    try:
        names = next(csv.reader([first.decode("utf-8-sig")]), [])
    except UnicodeDecodeError:
        raise ValueError("its header is not UTF-8") from None
    except csv.Error:
        raise ValueError("its header is no line of CSV") from None
    if not any(names):
        raise ValueError("it has no header line")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"its header names {', '.join(repeated)} more than once")
    return tuple(names)
