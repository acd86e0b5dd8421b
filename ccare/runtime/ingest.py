"""The ingest step: deliveries of a day into core tables, every line with one fate."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path

from ccare.errors import GateRefused
from ccare.events.fate import REJECTED
from ccare.runtime import deltalog
from ccare.runtime.bills import take_bills
from ccare.runtime.failpoint import reach
from ccare.runtime.fates import Taken, file_lines, late_lines, unknown_lines
from ccare.runtime.intake import Delivery, Known, deliveries, require_complete
from ccare.runtime.lease import WENT_WITHOUT, RunRecord
from ccare.runtime.passes import Published, file_row, take_bulk, take_small
from ccare.runtime.rowstore import write_rows
from ccare.runtime.run import Run
from ccare.runtime.settings import Settings
from ccare.runtime.spark import INTERPRETED_ROWS, conform, interpreted
from ccare.runtime.staging import discard, rejected_dir, staging_dir
from ccare.runtime.stream_gate import gate_silence
from ccare.runtime.twins import twins
from ccare.tables import REGISTRY, table
from ccare.tables.streams import ENTITY_STREAMS, EVENT_STREAMS, Stream

SMALL_LINES = 200_000
"""Up to this many lines to take are a small day: its rows are kept in memory."""
PASSES = 3
"""Streams of a small day taken at once: each is planned by one thread, which waits for its jobs half the time."""
LARGE_PASSES = 2
"""Streams of a large day taken at once: one's rows are parsed while the other's are looked up, gated and committed."""


@dataclass(frozen=True)
class Surveyed:
    """What lies before an ingest: rows of raw_files as published, and every delivery due, each read once."""

    history: Published
    found: list[Delivery]


def survey_due(settings: Settings, record: RunRecord, raw_files: int | None) -> Surveyed:
    """Read every delivery due for a close; ``raw_files`` is the published version. It needs no session."""
    history = published_files(settings.lake, raw_files)
    known = known_deliveries(history)
    return Surveyed(history, deliveries(settings.landing, record.day, record.first_day, known))


def ingest(run: Run, surveyed: Surveyed, allow_missing: tuple[str, ...] = ()) -> None:
    """Take every delivery due for the close; InputMissing where a required stream has no folder."""
    settings, history, found = run.settings, surveyed.history, surveyed.found
    for name in require_complete(settings.landing, run.close.day, allow_missing):
        run.record.notes.append(f"{WENT_WITHOUT}{name}")
        run.said(f"  warning: {name} of {run.close.day} is missing and was let go")
    run.record.inputs_digest = inputs_digest(found)
    reach("landing.surveyed")
    usable = [d for d in found if d.status == "taken" and d.lines]
    if usable:
        settings.require_key()
    passes = _take_all(run, usable, history)
    run.warn(gate_silence(run, [taken.stream for taken in passes], history))
    bills = take_bills(run, found)
    found = bills.deliveries
    _store_rejected(run, passes, bills.rejected)
    fates = {sha: taken.by_fate(sha) for taken in passes for sha in taken.fates}
    _store_files(run, found, fates | {d.sha256: bills.fates[d.path] for d in found if d.path in bills.fates})
    for line in (*file_lines(found), *unknown_lines(passes), *late_lines(passes, run.close)):
        run.said(line)


def require_inputs(settings: Settings, day: date, allow_missing: tuple[str, ...]) -> None:
    """What ingest cannot do without, asked before Spark starts, which takes longer than to say what is missing."""
    require_complete(settings.landing, day, allow_missing)
    if any(path.is_file() for path in settings.landing.glob("*/*/*")):
        settings.require_key()


def _take_all(run: Run, usable: list[Delivery], history: Published) -> list[Taken]:
    """Every stream's pass: merchants and other entities first, for events name them.

    The passes of a small day are mostly planning, so they run beside each other and without compiled code, which
    takes longer to make than a few thousand rows take without it. A large day's go through files instead. A stream
    that its gate refuses does not hold the others up: the day's refusal names them all.
    """
    files = {s: [d for d in usable if d.stream == s.name] for s in (*ENTITY_STREAMS, *EVENT_STREAMS)}
    lines = sum(d.lines for d in usable)
    small = lines <= SMALL_LINES
    refused: list[GateRefused] = []

    def take(stream: Stream) -> Taken | None:
        try:
            if small or not stream.is_event:
                return take_small(run, stream, files[stream], history)
            return take_bulk(run, stream, files[stream], history, guessed[stream].result())
        except GateRefused as error:
            refused.append(error)
            return None

    # A few thousand merchants are no more on a large day: their passes need no compiled code then either.
    entities = sum(d.lines for stream in ENTITY_STREAMS for d in files[stream])
    with ThreadPoolExecutor(1) as beside, interpreted(run.spark, entities <= INTERPRETED_ROWS):
        # The passes of entities mostly wait for plans: meanwhile a core is free.
        spill = staging_dir(run.settings.lake, run.record.run_id)
        guessed = {
            s: beside.submit(twins, files[s], run.settings.landing, spill)
            for s in EVENT_STREAMS
            if files[s] and not small
        }
        passes = [take(stream) for stream in ENTITY_STREAMS if files[stream]]
    if not refused:
        with (
            interpreted(run.spark, lines <= INTERPRETED_ROWS),
            ThreadPoolExecutor(PASSES if small else LARGE_PASSES) as pool,
        ):
            # The longest first, so that none is left to work alone at the end.
            longest = sorted(EVENT_STREAMS, key=lambda s: -sum(d.lines for d in files[s]))
            passes += pool.map(take, (stream for stream in longest if files[stream]))
    run.spark.catalog.clearCache()
    if refused:
        rules = tuple(rule for error in refused for rule in error.rules)
        said, first = " ".join(error.message for error in refused), refused[0]
        raise GateRefused(said, remedy=first.remedy, rules=rules, day=first.day)
    return [taken for taken in passes if taken is not None]


def published_files(lake: Path, version: int | None) -> Published:
    """Published deliveries: what names and dates them, and how many rows each had."""
    if version is None:
        return []
    columns = (
        "stream",
        "path",
        "file_sha256",
        "bytes",
        "modified_at",
        "file_status",
        "rows_read",
        "delivery_date",
    )
    return deltalog.rows(lake, "raw_files", version, columns)


def known_deliveries(history: Published) -> dict[tuple[str, str], Known]:
    """Published deliveries by stream and path."""
    return {
        (r["stream"], r["path"]): (r["file_sha256"], r["bytes"], r["modified_at"], r["file_status"])
        for r in history
    }


def _store_rejected(run: Run, passes: list[Taken], of_bills: Mapping[str, int]) -> None:
    counts = {t.stream.name: t.total(REJECTED) for t in passes if t.total(REJECTED)} | dict(of_bills)
    paths = [str(rejected_dir(run) / name) for name in counts]
    if paths:
        declared = REGISTRY["core_rejected_events"]
        df = conform(run.spark.read.parquet(*paths), declared)
        run.store("ingest", declared, df, [run.close.day], at_most=sum(counts.values()), cached=True)
        discard(run.settings.lake, run.record.run_id)


def _store_files(run: Run, found: list[Delivery], fates: Mapping[str, Mapping[str, int]]) -> None:
    meter = run.meter("raw_files")
    rows = [file_row(run, d, fates.get(d.sha256, {}) if d.status == "taken" else {}) for d in found]
    if not rows:
        return
    lake = run.settings.lake
    version = write_rows(lake, table("raw_files"), rows, run.record.run_id, replaced=[run.close.day])
    run.wrote("ingest", "raw_files", version, meter)


def inputs_digest(found: list[Delivery]) -> str:
    """SHA-256 over stream, delivery date and content of the deliveries a run took, in order."""
    told = sorted(f"{d.stream}|{d.delivery_date}|{d.sha256}|{d.status}" for d in found)
    return sha256("\n".join(told).encode()).hexdigest()
