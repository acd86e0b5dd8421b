"""Refused rows: what they are, and their lines delivered again from the landing files that hold them."""

import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from ccare.errors import InputMissing
from ccare.events.read import LINE_MAX_BYTES, UNTERMINATED
from ccare.exports.query import rows_of
from ccare.growth.snapshot import connect
from ccare.runtime.intake import REPLAY_PREFIX
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings
from ccare.runtime.survey import CODECS, sha256_of
from ccare.tables.streams import STREAMS

_LISTED = """
select r.taken_on, r.stream, f.path, r.position, r.reasons, r.merchant_id, r.amount_fen,
       regexp_replace(r.payload, '\\bk[0-9]+_[0-9a-f]{61,64}\\b', '***', 'g') as payload
from core_rejected_events r
left join (select file_sha256, min(path) as path from raw_files where file_status = 'taken' group by 1) f
  using (file_sha256)
where ($reason is null or list_contains(r.reasons, $reason))
  and ($file is null or f.path = $file or f.path like '%/' || $file or r.file_sha256 = $file)
  and ($day is null or r.taken_on = $day)
order by r.taken_on, r.stream, f.path, r.position, r.row_digest
"""
_OF_DAY = """
select r.stream, r.file_sha256, r.position, list_has_any(r.reasons, $cut) as cut,
       (select list_sort(list(distinct path)) from raw_files f where f.file_sha256 = r.file_sha256) as paths,
       (select max(bytes) from raw_files f where f.file_sha256 = r.file_sha256) as bytes
from core_rejected_events r where r.taken_on = $day order by all
"""


@dataclass
class Replayed:
    """What was delivered again: files written with their rows, and what was not, by the file that holds it.

    ``gone``: the file is not there any more, or is no file of lines; ``cut``: rows refused for not being read to their
    end, which can only be refused again.
    """

    day: date
    delivered: dict[str, int] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)


def list_rejected(
    settings: Settings, row: Published, *, reason: str | None, file: str | None, day: date | None
) -> list[dict[str, Any]]:
    """Refused rows of the published snapshot by day, stream, file and line.

    Payloads are masked as they were kept, and tokens in them too: these belong into tables, and file and line say
    where to look.
    """
    con = connect(settings.lake, row)
    return rows_of(con, _LISTED, reason=reason, file=file, day=day)


def replay_rejected(settings: Settings, row: Published, day: date) -> Replayed:
    """Deliver the lines refused on ``day`` again, as they were, for the next close to judge.

    A replay is a delivery like any other, so that history taken again from landing files has it too. It is dated the
    last folder that a close has seen: a later folder would pass for a day's delivery. Lines that are too long or were
    cut stay out. InputMissing where no other refused line of the day can be read any more.
    """
    con = connect(settings.lake, row)
    found = rows_of(con, _OF_DAY, day=day, cut=["line_too_long", UNTERMINATED])
    result = Replayed(day)
    files: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for refused in found:
        files[refused["stream"], refused["file_sha256"]].append(refused)
    closed = max(r[0] for r in con.execute("select business_date from run_manifest").fetchall())
    for (stream, sha256), rows in files.items():
        first = rows[0]
        told = (first["paths"] or [sha256])[0]
        wanted = [r["position"] for r in rows if not r["cut"]]
        if cut := len(rows) - len(wanted):
            result.cut[told] = cut
        if not wanted:
            continue
        source = _source(settings.landing, stream, sha256, first["paths"] or [], first["bytes"])
        if source is None or stream not in STREAMS:
            result.gone[told] = len(wanted)
            continue
        name = f"{REPLAY_PREFIX}{day}-{sha256[:12]}"
        folder = settings.landing / stream / (closed + timedelta(days=1)).isoformat()
        target = _deliver(source, wanted, folder, name)
        result.delivered[str(target.relative_to(settings.landing))] = len(wanted)
    if result.gone and not result.delivered:
        raise InputMissing(
            f"None of the {sum(result.gone.values())} rows refused on {day} can be read again: "
            f"{', '.join(sorted(result.gone)[:3])} is gone from {settings.landing} or no file of lines.",
            remedy="Ask for the delivery again; what is kept of the rows: ccare rejected.",
        )
    return result


def _source(landing: Path, stream: str, sha256: str, paths: Sequence[str], size: int) -> Path | None:
    """The file with these bytes, wherever it stands now under the stream's folder."""
    recorded = [landing / path for path in paths]
    moved = (p for p in sorted((landing / stream).glob("*/*")) if p.is_file() and p.stat().st_size == size)
    for path in (*recorded, *moved):
        if path.is_file() and not path.is_symlink() and sha256_of(path) == sha256:
            return path
    return None


def _deliver(source: Path, positions: list[int], folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    csv_file = ".csv" in source.suffixes
    target = folder / f"{name}{'.csv' if csv_file else '.jsonl'}"
    wanted = {*positions, *((1,) if csv_file else ())}
    part = target.with_name(f"{target.name}.part")
    with part.open("wb") as out:
        for line in _lines_at(source, wanted):
            out.write(line if line.endswith(b"\n") else line + b"\n")
    part.rename(target)
    return target


def _lines_at(path: Path, wanted: set[int]) -> Iterator[bytes]:
    """Lines by number, byte for byte. One of LINE_MAX_BYTES or more is passed over in pieces, and never given."""
    with pa.input_stream(str(path), compression=CODECS.get(path.suffix)) as handle:
        reader, number = io.BufferedReader(handle, 1 << 20), 0
        while piece := reader.readline(LINE_MAX_BYTES):
            number += 1
            short = piece.endswith(b"\n") or len(piece) < LINE_MAX_BYTES
            if short and number in wanted:
                yield piece
            while piece and not short and not piece.endswith(b"\n"):
                piece = reader.readline(LINE_MAX_BYTES)
