"""Deliveries found and read once before Spark sees them: names, digests, lines, decoders, headers, sidecars.

Spark skips some names in silence, drops rows of a cut gzip or fails the whole job for one: so a bad file is
refused here, alone, and the line count is an independent check on what Spark reads.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ccare.errors import InputMissing, UsageError
from ccare.events.read import CSV_COLUMNS_MAX, field_names
from ccare.runtime.sidecar import ENDINGS, sidecar_fault, sidecar_of
from ccare.runtime.survey import UNREAD, digest_survey, survey
from ccare.sources.bill_files import ENDINGS as BILL_ENDINGS
from ccare.tables.streams import BILL_STREAMS, STREAMS, Stream

REPLAY_PREFIX = "replay-"
"""Files that deliver refused lines again may have the bytes of an earlier file: that one's rows were refused."""
_BILLS = frozenset(stream.name for stream in BILL_STREAMS)
Known = tuple[str, int, datetime, str]
"""sha256, bytes, modified_at and file_status of a published delivery."""


@dataclass(frozen=True)
class Delivery:
    """One delivered file. ``status`` is taken, repeated (bytes known before) or refused, with a note.

    ``lines`` leaves a CSV file's header out; ``blocks`` are the lines before each split that Spark will read.
    ``text``: every byte of it was seen to belong to UTF-8 text, so no line needs to be looked through for that again.
    ``escapes``: it may hold a backslash, without which JSON hides no character.
    ``unfinished`` is the number of a CSV file's last line that may have been cut: no newline ends it, and no sidecar
    says that these are all the bytes; else 0.
    """

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
    header: tuple[str, ...] = ()
    blocks: tuple[int, ...] = (0,)
    unfinished: int = 0
    text: bool = False
    escapes: bool = True

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
        for delivered, path, fault in _entries(landing, stream, day + timedelta(days=1)):
            relative = path_told(path, landing)
            stat = path.lstat()
            modified = datetime.fromtimestamp(stat.st_mtime, UTC)
            before = known.get((stream.name, relative))
            # A file that could not be read may be readable now, at the same time of change.
            looked_at = before and (fault or before[0] != UNREAD or not stat.st_size)
            if before and looked_at and before[1] == stat.st_size and before[2] == modified:
                continue
            found = Delivery(
                stream.name,
                relative,
                delivered,
                max(first_day, day),
                stat.st_size,
                UNREAD,
                0,
                modified,
                "taken",
            )
            found = replace(found, status="refused", note=fault) if fault else _read(path, stream, found)
            if before and before[0] == found.sha256:
                continue
            replay = path.name.startswith(REPLAY_PREFIX)
            if found.sha256 != UNREAD and found.sha256 in seen and not replay:
                found = replace(found, status="repeated", note=f"same bytes as {seen[found.sha256]}")
            elif before and not found.note:
                found = replace(found, note="this name was delivered before with other bytes")
            if found.status == "taken":
                seen.setdefault(found.sha256, relative)
            result.append(found)
    return result


def require_complete(landing: Path, day: date, allow_missing: tuple[str, ...]) -> list[str]:
    """Check that every required stream has its folder dated ``day`` + 1; returns the streams let go.

    UsageError where one that is to be let go is not required of a day anyway.
    """
    required = [s.name for s in STREAMS.values() if s.required_daily]
    if strange := sorted(set(allow_missing) - set(required)):
        raise UsageError(
            f"{', '.join(strange)} is not required of a day, so its absence needs no leave.",
            remedy=f"--allow-missing takes {', '.join(required)}.",
        )
    if not landing.is_dir():
        raise InputMissing(
            f"The landing folder {landing} does not exist.",
            remedy="Set CCARE_LANDING to where deliveries land.",
        )
    due = day + timedelta(days=1)
    missing = [name for name in required if not (landing / name / due.isoformat()).is_dir()]
    refused = [name for name in missing if name not in allow_missing]
    if refused:
        raise InputMissing(
            f"{day} is not complete: no folder dated {due} for {', '.join(refused)}.",
            remedy=f"Wait for the delivery, or go on without it: --allow-missing {refused[0]}.",
        )
    return missing


def _entries(landing: Path, stream: Stream, until: date) -> Iterator[tuple[date, Path, str]]:
    """Delivery date, path and fault of everything that was put into the stream's dated folders."""
    folder = landing / stream.name
    if not folder.is_dir():
        return
    for day_folder in sorted(p for p in folder.iterdir() if p.is_dir()):
        delivered = delivery_date(day_folder.name)
        if delivered is None or delivered > until:
            continue
        if day_folder.is_symlink():
            yield delivered, day_folder, "a link is not a delivery"
            continue
        for path in sorted(day_folder.iterdir()):
            if not path.name.endswith((".manifest.json", ".part")):
                yield delivered, path, _entry_fault(path, stream)


def _entry_fault(path: Path, stream: Stream) -> str:
    """Why this cannot be a delivery, by its name and kind alone: nothing is opened."""
    if path.is_symlink():
        return "a link is not a delivery"
    if not path.is_file():
        return "it is not a file"
    if path.name.startswith(("_", ".")):
        return "a name that begins with _ or . is a hidden file's"
    if printable(path.name) != path.name:
        return "its name is not UTF-8"
    if not path.name.isprintable():
        return "its name holds control characters"
    endings = BILL_ENDINGS if stream.name in _BILLS else ENDINGS
    if not path.name.endswith(endings):
        return f"the name must end in {', '.join(endings)}"
    return ""


def _read(path: Path, stream: Stream, found: Delivery) -> Delivery:
    if stream.name in _BILLS:
        # A bill's lines are counted as they are read, by ccare/runtime/bills.py.
        seen = digest_survey(path)
        status = "refused" if seen.fault else "taken"
        return replace(found, sha256=seen.sha256, status=status, note=seen.fault)
    seen = survey(path)
    note = seen.fault or _header_fault(seen.header, stream) or sidecar_fault(path, seen.sha256, seen.lines)
    return replace(
        found,
        sha256=seen.sha256,
        lines=seen.lines,
        header=seen.header,
        blocks=seen.blocks,
        unfinished=0 if sidecar_of(path).is_file() else seen.unfinished,
        text=seen.text,
        escapes=seen.escapes,
        status="refused" if note else "taken",
        note=note,
    )


def _header_fault(header: tuple[str, ...], stream: Stream) -> str:
    """What a CSV header lacks. Fields that only some rows need are asked of the rows."""
    if not header:
        return ""
    if len(header) > CSV_COLUMNS_MAX:
        return f"its header has {len(header)} columns, more than {CSV_COLUMNS_MAX}"
    optional = {f.name for f in stream.fields if not f.required or f.only_for} | {"origin"}
    if stream.is_event:
        optional.add("user_id")
    missing = [name for name in field_names(stream) if name not in optional and name not in header]
    return f"its header lacks {', '.join(missing)}" if missing else ""


def path_told(path: Path, landing: Path) -> str:
    """Path under the landing folder as it is stored and told."""
    return printable(str(path.relative_to(landing)))


def printable(name: str) -> str:
    """A file's name as text: bytes of it that are not UTF-8 are written out, for no table or terminal takes them."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def delivery_date(folder: str) -> date | None:
    """The date that a folder of deliveries is named by; None for any other folder."""
    try:
        return date.fromisoformat(folder)
    except ValueError:
        return None
