"""The ingest step: deliveries of a day into core tables, every line with one fate."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.errors import IntegrityBroken
from ccare.events import job as events
from ccare.events.fate import ACCEPTED, DUPLICATE, REJECTED
from ccare.events.pseudonym import pads
from ccare.runtime import deltalog
from ccare.runtime.intake import Delivery, deliveries, require_complete
from ccare.runtime.rowstore import write_rows
from ccare.runtime.run import Run
from ccare.runtime.spark import INTERPRETED_ROWS, conform, interpreted
from ccare.runtime.staging import discard, staging_dir
from ccare.tables import REGISTRY, table
from ccare.tables.streams import ENTITY_STREAMS, EVENT_STREAMS, Stream

SMALL_LINES = 200_000
"""Up to this many lines to take are a small day."""
PASSES = 3
"""Streams of a small day taken at once: each is planned by one thread, which waits for its jobs half the time."""
Fates = dict[str, dict[str, int]]
"""file path -> fate -> lines"""


@dataclass
class _Taken:
    """What a stream's pass left to be stored: its accepted rows and its refused ones."""

    stream: Stream
    rows: DataFrame
    fates: Fates

    def total(self, fate: str) -> int:
        return sum(counts.get(fate, 0) for counts in self.fates.values())


def ingest(run: Run, allow_missing: tuple[str, ...] = (), require: bool = True) -> None:
    """Take every delivery due for the close; InputMissing where a required stream has no folder."""
    settings = run.settings
    if require:
        for name in require_complete(settings.landing, run.close.day, allow_missing):
            run.record.notes.append(f"missing allowed: {name}")
            run.said(f"  warning: {name} of {run.close.day} is missing and was let go")
    found = deliveries(settings.landing, run.close.day, run.close.first_day, known_deliveries(run))
    usable = [d for d in found if d.status == "taken" and d.lines]
    if usable:
        settings.require_key()
    passes = _take_all(run, usable)
    _store_rejected(run, passes)
    _store_files(run, found, {path: counts for taken in passes for path, counts in taken.fates.items()})
    late = _late_lines(found, run)
    if late:
        run.said(late)


def _take_all(run: Run, usable: list[Delivery]) -> list[_Taken]:
    """Every stream's pass: merchants and other entities first, for events name them.

    The passes of a small day are mostly planning, so they run beside each other and without compiled code, which
    takes longer to make than a few thousand rows take without it.
    """
    files = {s: [d for d in usable if d.stream == s.name] for s in (*ENTITY_STREAMS, *EVENT_STREAMS)}
    lines = sum(d.lines for d in usable)
    small = lines <= SMALL_LINES

    def take(stream: Stream) -> _Taken:
        taken = _take(run, stream, files[stream])
        _stage_rejected(run, taken)
        if not small:
            run.spark.catalog.clearCache()
        return taken

    with (
        interpreted(run.spark, lines <= INTERPRETED_ROWS),
        ThreadPoolExecutor(PASSES if small else 1) as pool,
    ):
        passes = [take(stream) for stream in ENTITY_STREAMS if files[stream]]
        passes += pool.map(take, (stream for stream in EVENT_STREAMS if files[stream]))
    run.spark.catalog.clearCache()
    return passes


def known_deliveries(run: Run) -> dict[tuple[str, str], tuple[str, int, datetime]]:
    """Published deliveries by stream and path."""
    version = run.as_published.get("raw_files")
    if version is None:
        return {}
    columns = ("stream", "path", "file_sha256", "bytes", "modified_at")
    rows = deltalog.rows(run.settings.lake, "raw_files", version, columns)
    return {(r["stream"], r["path"]): (r["file_sha256"], r["bytes"], r["modified_at"]) for r in rows}


def _take(run: Run, stream: Stream, files: list[Delivery]) -> _Taken:
    """One pass over a stream's files: parse, judge, count, store what is accepted."""
    meter = run.meter(stream.table)
    inputs: dict[str, DataFrame] = {"landing": _lines(run, files)}
    if run.version("core_merchants") is not None or stream.is_event:
        inputs["core_merchants"] = run.read("core_merchants")
    if run.as_published.get(stream.table) is not None:
        inputs[stream.table] = run.before(stream.table)
    if stream.has_user and run.as_published.get("core_forgotten") is not None:
        inputs["core_forgotten"] = run.before("core_forgotten")
        inputs["pads"] = pads(run.spark, run.settings.require_key())
    rows = import_module(f"jobs.{stream.table}").build(inputs, run.close)
    if stream.table in inputs:
        # Looking ids up among rows taken before costs more than keeping a day's fates.
        rows = rows.persist()
    taken = _Taken(stream, rows, _count(rows))
    _check_lines(files, taken)
    declared = table(stream.table)
    accepted = events.accepted(rows, stream)
    if taken.total(ACCEPTED):
        if stream.is_event:
            df = conform(accepted, declared)
            count = taken.total(ACCEPTED)
            run.store("ingest", declared, df, [run.close.day], meter, at_most=count, cached=True)
        else:
            whole = events.entity_state(run.before(stream.table), accepted, stream)
            run.store("ingest", declared, conform(whole, declared), (), meter)
    return taken


def _lines(run: Run, files: list[Delivery]) -> DataFrame:
    """Lines of the files with where they came from; position is known where a file is one split."""
    spark, landing = run.spark, run.settings.landing
    paths = [str(d.file(landing)) for d in files]
    text = spark.read.option("lineSep", "\n").text(paths)
    # Hadoop and Python differ in how many slashes follow "file:".
    uri = F.regexp_replace(F.col("_metadata.file_path"), "^file:/+", "/")
    block = F.col("_metadata.file_block_start")
    row_in_split = F.monotonically_increasing_id().bitwiseAND(F.lit((1 << 33) - 1))
    lines = text.select("value", uri.alias("_uri"), F.when(block == 0, row_in_split + 1).alias("position"))
    known = spark.createDataFrame(
        pa.table(
            {
                "_uri": [d.file(landing).as_uri().removeprefix("file://") for d in files],
                "path": [d.path for d in files],
                "file_sha256": [d.sha256 for d in files],
                "delivery_date": [d.delivery_date for d in files],
                "taken_on": [d.taken_on for d in files],
            }
        )
    )
    joined = lines.join(F.broadcast(known), "_uri", "left").drop("_uri")
    return joined.crossJoin(F.broadcast(pads(spark, run.settings.require_key())))


def _count(rows: DataFrame) -> Fates:
    fates: Fates = {}
    for path, fate, count in rows.groupBy("path", "fate").count().collect():
        fates.setdefault(path, {})[fate] = count
    return fates


def _check_lines(files: list[Delivery], taken: _Taken) -> None:
    """Spark's rows must equal the lines counted beforehand, file by file."""
    for d in files:
        seen = sum(taken.fates.get(d.path, {}).values())
        if seen != d.lines:
            raise IntegrityBroken(
                f"{d.path} has {d.lines} lines and {seen} were read: accepted + duplicate + rejected must equal them.",
                remedy="The file changed while it was read; deliver it again under a new name.",
            )


def _rejected_dir(run: Run) -> Path:
    return staging_dir(run.settings.lake, run.record.run_id) / "rejected"


def _stage_rejected(run: Run, taken: _Taken) -> None:
    """Put a stream's refused rows aside, so that all streams' share one commit and no cache waits for it."""
    if taken.total(REJECTED):
        df = conform(events.rejected(taken.rows, taken.stream), REGISTRY["core_rejected_events"])
        df.coalesce(1).write.mode("overwrite").parquet(str(_rejected_dir(run) / taken.stream.name))


def _store_rejected(run: Run, passes: list[_Taken]) -> None:
    paths = [str(_rejected_dir(run) / t.stream.name) for t in passes if t.total(REJECTED)]
    if paths:
        declared = REGISTRY["core_rejected_events"]
        df = conform(run.spark.read.parquet(*paths), declared)
        count = sum(t.total(REJECTED) for t in passes)
        run.store("ingest", declared, df, [run.close.day], at_most=count, cached=True)
        discard(run.settings.lake, run.record.run_id)


def _store_files(run: Run, found: list[Delivery], fates: Mapping[str, Mapping[str, int]]) -> None:
    meter = run.meter("raw_files")
    rows = [_file_row(run, d, fates.get(d.path, {})) for d in found]
    run.record.inputs_digest = inputs_digest(found)
    if not rows:
        return
    lake = run.settings.lake
    version = write_rows(lake, table("raw_files"), rows, run.record.run_id, replaced=[run.close.day])
    run.wrote("ingest", "raw_files", version, meter)


def inputs_digest(found: list[Delivery]) -> str:
    """SHA-256 over stream, delivery date and content of the deliveries a run took, in order."""
    told = sorted(f"{d.stream}|{d.delivery_date}|{d.sha256}|{d.status}" for d in found)
    return sha256("\n".join(told).encode()).hexdigest()


def _file_row(run: Run, d: Delivery, fates: Mapping[str, int]) -> dict[str, Any]:
    return {
        "file_sha256": d.sha256,
        "stream": d.stream,
        "path": d.path,
        "bytes": d.bytes,
        "rows_read": d.lines if d.status == "taken" else 0,
        "rows_accepted": fates.get(ACCEPTED, 0),
        "rows_duplicate": fates.get(DUPLICATE, 0),
        "rows_rejected": fates.get(REJECTED, 0),
        "delivery_date": d.delivery_date,
        "taken_on": d.taken_on,
        "file_status": d.status,
        "file_note": d.note or None,
        "received_at": run.record.posted_at,
        "modified_at": d.modified_at,
        "run_id": run.record.run_id,
    }


def _late_lines(found: list[Delivery], run: Run) -> str:
    """One line about files that turned up after their folder's day had closed."""
    if run.close.day == run.close.first_day:
        return ""
    late = [d for d in found if (run.close.day - d.delivery_date).days >= 0 and d.status == "taken"]
    if not late:
        return ""
    shown = ", ".join(f"{d.stream} of {d.delivery_date} ({d.lines} lines)" for d in late[:5])
    return f"  late: {len(late)} files for days already closed: {shown}"
