"""Bill files as downloaded (csv, csv.gz, zip), opened without trusting them: bounded, streamed, refused by name."""

import gzip
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from ccare.sources.bills import BillRefused

ENDINGS = (".csv", ".csv.gz", ".zip")
CHUNK = 1 << 20
MAX_MEMBERS = 8
MAX_UNPACKED_BYTES = 4 << 30
MAX_RATIO = 200
"""Unpacked to packed bytes, looked at from RATIO_FROM_BYTES on: a real bill packs 10 to 20 times."""
RATIO_FROM_BYTES = 16 << 20
MAX_DIRECTORY_BYTES = 1 << 16
"""Of a zip's central directory, which is read before anything else is known."""
_END, _END64 = b"PK\x05\x06", b"PK\x06\x07"
_END_BYTES = 22
_PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh")
_REMEDY = "Deliver the file as the platform gave it, not packed again."
_FAULTS = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Member:
    """One csv of a delivery: its name for people, and its bytes in chunks, readable again."""

    name: str
    chunks: Callable[[], Iterator[bytes]]


@contextmanager
def opened(path: Path) -> Iterator[list[Member]]:
    """The csv files of a delivery. BillRefused where it is not safe, not whole, or holds none."""
    if not path.name.endswith(".zip"):
        yield [Member(path.name, lambda: _plain_chunks(path))]
        return
    _check_directory(path)
    try:
        archive = zipfile.ZipFile(path)
    except _FAULTS as error:
        raise _cut(error) from None
    with archive:
        infos = _checked(archive.infolist())
        members = [Member(_name(i), lambda i=i: _member_chunks(archive, i)) for i in infos]  # type: ignore[misc]
        if not members:
            raise BillRefused("It is an archive without a csv file.", remedy=_REMEDY)
        yield members


def _plain_chunks(path: Path) -> Iterator[bytes]:
    try:
        packed = path.name.endswith(".gz")
        with gzip.open(path, "rb") if packed else path.open("rb") as handle:
            yield from _chunks(handle, path.stat().st_size if packed else None)  # type: ignore[arg-type]
    except _FAULTS as error:
        raise _cut(error) from None


def _member_chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(info) as handle:
            yield from _chunks(handle, info.compress_size)
    except _FAULTS as error:
        raise _cut(error) from None


def _chunks(handle: IO[bytes], packed: int | None) -> Iterator[bytes]:
    total = 0
    while chunk := handle.read(CHUNK):
        if not total and chunk.startswith(_PACKED):
            raise BillRefused("It is an archive inside an archive.", remedy=_REMEDY)
        total += len(chunk)
        _check_size(total, packed)
        yield chunk


def _check_size(total: int, packed: int | None) -> None:
    if total > MAX_UNPACKED_BYTES:
        raise BillRefused(f"It unpacks to more than {MAX_UNPACKED_BYTES >> 30} GiB.", remedy=_REMEDY)
    if packed is not None and total > RATIO_FROM_BYTES and total > MAX_RATIO * packed:
        raise BillRefused(f"It unpacks to more than {MAX_RATIO} times its size.", remedy=_REMEDY)


def _check_directory(path: Path) -> None:
    """Python reads a zip's whole directory before it tells the number of members: look at its size first."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        handle.seek(max(0, size - (1 << 16) - _END_BYTES))
        tail = handle.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_BYTES:
        raise BillRefused("It is no whole zip archive: its end is missing.", remedy="Deliver it again.")
    if (
        tail[max(0, at - 20) : at].startswith(_END64)
        or int.from_bytes(tail[at + 12 : at + 16], "little") > MAX_DIRECTORY_BYTES
    ):
        raise BillRefused(f"It is an archive of more than {MAX_MEMBERS} members.", remedy=_REMEDY)


def _checked(infos: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """The members to read; BillRefused for an archive that no platform makes."""
    if len(infos) > MAX_MEMBERS:
        raise BillRefused(f"It is an archive of more than {MAX_MEMBERS} members.", remedy=_REMEDY)
    for info in infos:
        fault = _fault(info)
        if fault:
            raise BillRefused(f"It is an archive with {fault}.", remedy=_REMEDY)
    files = [info for info in infos if not info.is_dir()]
    _check_size(sum(i.file_size for i in files), sum(i.compress_size for i in files))
    return [info for info in files if _name(info).lower().endswith(".csv")]


def _fault(info: zipfile.ZipInfo) -> str:
    name = _name(info).replace("\\", "/")
    if "\0" in info.orig_filename or ".." in PurePosixPath(name).parts:
        return "a member that leads out of it (..)"
    if name.startswith("/") or name[1:2] == ":":
        return "a member with an absolute path"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a link as a member"
    if info.flag_bits & 0x1:
        return "an encrypted member"
    if name.lower().endswith((".zip", ".gz", ".tgz", ".tar", ".rar", ".7z", ".zst", ".bz2", ".xz")):
        return "another archive as a member"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "a member packed in an unusual way"
    return ""


def _name(info: zipfile.ZipInfo) -> str:
    """The platform writes names in GBK without saying so; zipfile then reads them as code page 437."""
    if info.flag_bits & 0x800:
        return info.orig_filename
    return info.orig_filename.encode("cp437", "replace").decode("gb18030", "replace")


def _cut(error: Exception) -> BillRefused:
    if isinstance(error, BillRefused):
        return error
    return BillRefused(f"It cannot be unpacked whole ({type(error).__name__}).", remedy="Deliver it again.")
