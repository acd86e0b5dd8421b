"""The ingest step: deliveries of a day into core tables, every line with one fate."""

import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from ccare.events import job as events
from ccare.events.fate import ACCEPTED, DUPLICATE, REJECTED
from ccare.runtime import deltalog
from ccare.runtime.bills import take_bills
from ccare.runtime.bulk import stage_parsed
from ccare.runtime.fates import (
    Taken,
    add,
    check_lines,
    counted,
    fates_of,
    file_lines,
    late_lines,
    unknown_lines,
)
from ccare.runtime.intake import Delivery, Known, deliveries, require_complete
from ccare.runtime.lines import landing_frames
from ccare.runtime.rowstore import write_rows
from ccare.runtime.run import Run
from ccare.runtime.spark import INTERPRETED_ROWS, conform, interpreted
from ccare.runtime.staging import discard, staging_dir
from ccare.tables import REGISTRY, table
from ccare.tables.streams import ENTITY_STREAMS, EVENT_STREAMS, Stream

SMALL_LINES = 200_000
"""Up to this many lines to take are a small day: its rows are kept in memory."""
PASSES = 3
"""Streams of a small day taken at once: each is planned by one thread, which waits for its jobs half the time."""


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
    bills = take_bills(run, found, _rejected_dir(run))
    found = bills.deliveries
    _store_rejected(run, passes, bills.rejected)
    fates = {sha: taken.by_fate(sha) for taken in passes for sha in taken.fates}
    _store_files(run, found, fates | {d.sha256: bills.fates[d.path] for d in found if d.path in bills.fates})
    for line in (*file_lines(found), *unknown_lines(passes), *late_lines(passes, run.close)):
        run.said(line)


def _take_all(run: Run, usable: list[Delivery]) -> list[Taken]:
    """Every stream's pass: merchants and other entities first, for events name them.

    The passes of a small day are mostly planning, so they run beside each other and without compiled code, which
    takes longer to make than a few thousand rows take without it. A large day's go through files instead.
    """
    files = {s: [d for d in usable if d.stream == s.name] for s in (*ENTITY_STREAMS, *EVENT_STREAMS)}
    lines = sum(d.lines for d in usable)
    small = lines <= SMALL_LINES
    take = _take if small else _take_bulk
    with (
        interpreted(run.spark, lines <= INTERPRETED_ROWS),
        ThreadPoolExecutor(PASSES if small else 1) as pool,
    ):
        passes = [_take(run, stream, files[stream]) for stream in ENTITY_STREAMS if files[stream]]
        passes += pool.map(lambda s: take(run, s, files[s]), (s for s in EVENT_STREAMS if files[s]))
    run.spark.catalog.clearCache()
    return passes


def known_deliveries(run: Run) -> dict[tuple[str, str], Known]:
    """Published deliveries by stream and path."""
    version = run.as_published.get("raw_files")
    if version is None:
        return {}
    columns = ("stream", "path", "file_sha256", "bytes", "modified_at", "file_status")
    rows = deltalog.rows(run.settings.lake, "raw_files", version, columns)
    return {(r["stream"], r["path"]): tuple(r[name] for name in columns[2:]) for r in rows}


def _inputs(run: Run, stream: Stream, files: list[Delivery]) -> dict[str, DataFrame]:
    inputs = landing_frames(run.spark, run.settings.landing, files, run.settings.require_key())
    if run.version("core_merchants") is not None or stream.is_event:
        inputs["core_merchants"] = run.read("core_merchants")
    if run.as_published.get(stream.table) is not None:
        inputs[stream.table] = run.before(stream.table)
    return inputs


def _take(run: Run, stream: Stream, files: list[Delivery]) -> Taken:
    """One pass over a stream's files: parse, judge, count, store what is accepted."""
    meter = run.meter(stream.table)
    inputs = _inputs(run, stream, files)
    rows = import_module(f"jobs.{stream.table}").build(inputs, run.close)
    if stream.table in inputs:
        # Looking ids up among rows taken before costs more than keeping a day's fates.
        rows = rows.persist()
    taken = counted(stream, rows)
    check_lines(files, taken)
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
    if taken.total(REJECTED):
        _stage_rejected(run, stream, events.rejected(rows, stream))
    return taken


def _take_bulk(run: Run, stream: Stream, files: list[Delivery]) -> Taken:
    """The same through files, in memory that does not grow with the lines."""
    meter = run.meter(stream.table)
    inputs = _inputs(run, stream, files)
    folder = staging_dir(run.settings.lake, run.record.run_id) / f"parsed_{stream.name}"
    seen = Observation()
    parsed = events.parsed(inputs, run.close, stream)
    parsed = parsed.observe(seen, F.max("unknown_fields").alias("unknown_fields"))
    staged = stage_parsed(parsed, stream, folder, str(files[0].taken_on))
    inputs = {name: df for name, df in inputs.items() if not name.startswith("landing")}
    rows = import_module(f"jobs.{stream.table}").build({**inputs, "parsed": staged.sound}, run.close)
    lost = rows.where(F.col("fate") != ACCEPTED).persist()
    fates = fates_of(lost)
    refused = staged.refused
    rejects = [] if refused is None else [refused]
    if fates:
        rejects.append(events.rejected(lost, stream))
        staged.drop(lost)
    taken = Taken(stream, fates, seen.get["unknown_fields"] or "")
    add(taken.fates, staged.sound.withColumn("fate", F.lit(ACCEPTED)))
    if refused is not None:
        add(
            taken.fates,
            refused.withColumns({"fate": F.lit(REJECTED), "business_date": F.lit(None).cast("date")}),
        )
    check_lines(files, taken)
    if taken.total(ACCEPTED):
        warnings = run.gated(table(stream.table), staged.sound)
        version = staged.adopt(run.settings.lake, run.record.run_id)
        run.wrote("ingest", stream.table, version, meter, warnings)
    if rejects:
        declared = REGISTRY["core_rejected_events"]
        _stage_rejected(run, stream, reduce(DataFrame.unionByName, (conform(df, declared) for df in rejects)))
    lost.unpersist()
    shutil.rmtree(folder, ignore_errors=True)
    return taken


def _rejected_dir(run: Run) -> Path:
    return staging_dir(run.settings.lake, run.record.run_id) / "rejected"


def _stage_rejected(run: Run, stream: Stream, rejected: DataFrame) -> None:
    """Put a stream's refused rows aside, so that all streams' share one commit and no cache waits for it."""
    df = conform(rejected, REGISTRY["core_rejected_events"])
    df.coalesce(1).write.mode("overwrite").parquet(str(_rejected_dir(run) / stream.name))


def _store_rejected(run: Run, passes: list[Taken], of_bills: Mapping[str, int]) -> None:
    counts = {t.stream.name: t.total(REJECTED) for t in passes if t.total(REJECTED)} | dict(of_bills)
    paths = [str(_rejected_dir(run) / name) for name in counts]
    if paths:
        declared = REGISTRY["core_rejected_events"]
        df = conform(run.spark.read.parquet(*paths), declared)
        run.store("ingest", declared, df, [run.close.day], at_most=sum(counts.values()), cached=True)
        discard(run.settings.lake, run.record.run_id)


def _store_files(run: Run, found: list[Delivery], fates: Mapping[str, Mapping[str, int]]) -> None:
    meter = run.meter("raw_files")
    rows = [_file_row(run, d, fates.get(d.sha256, {}) if d.status == "taken" else {}) for d in found]
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
