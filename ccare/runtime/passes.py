"""One pass over a stream's files: parse, judge, count, gate, store; in memory, or through files where they are many."""

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from importlib import import_module
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F
from pyspark.util import inheritable_thread_target

from ccare.events import job as events
from ccare.events.fate import ACCEPTED, DUPLICATE, REJECTED, SHARED, alone
from ccare.events.pseudonym import pads_frame
from ccare.events.rules import KNOWN, UNREAD
from ccare.runtime.bill_payments import known_bill_trades
from ccare.runtime.bulk import Staged, stage_parsed
from ccare.runtime.clashes import clashes
from ccare.runtime.fates import Taken, add, check_lines, counted
from ccare.runtime.gate import Failure
from ccare.runtime.intake import Delivery
from ccare.runtime.layouts import layouts
from ccare.runtime.lines import landing_frames
from ccare.runtime.run import Run
from ccare.runtime.spark import conform
from ccare.runtime.staging import stage_rejected, staging_dir
from ccare.runtime.stream_gate import (
    Judged,
    gate_pass,
    gate_relations,
    helped,
    row_failures,
    unknown_code,
)
from ccare.tables import REGISTRY, table
from ccare.tables.streams import PAYMENTS, Stream

Published = Sequence[Mapping[str, Any]]
"""Rows of raw_files as published before the run."""


def take_small(run: Run, stream: Stream, files: list[Delivery], history: Published) -> Taken:
    """A pass whose rows the driver holds: one Spark job parses and judges each row alone.

    Only where two rows clash, which most days have none of, is the stream's job asked who of them stays.
    """
    meter = run.meter(stream.table)
    inputs = _inputs(run, stream, files)
    parsed = events.parsed(inputs, run.close, stream)
    held = _held(run, stream, alone(parsed, stream))
    if clashes(run, stream, held):
        known = {name: df for name, df in inputs.items() if not name.startswith("landing")}
        known["parsed"] = run.spark.createDataFrame(held.select(parsed.columns))
        rows = import_module(f"jobs.{stream.table}").build(known, run.close)
        held = _held(run, stream, rows)
    taken = counted(stream, held)
    check_lines(files, taken)

    def frame() -> DataFrame:
        return run.spark.createDataFrame(held)

    stays = held.filter(pc.equal(held["fate"], ACCEPTED))
    looked_at = Judged(lambda: row_failures(stays, stream, run.close.timezone), frame, frame, frame)
    warnings = gate_pass(run, stream, looked_at, taken, _told(run, files, taken), history, inputs)
    declared = table(stream.table)
    if stays.num_rows:
        if stream.is_event:
            rows = stays.select(declared.column_names)
            run.store_held("ingest", declared, rows, [run.close.day], meter, warnings)
            warnings = gate_relations(run, stream)
        else:
            before = run.before(stream.table)
            whole = events.entity_state(before, events.accepted(frame(), stream), stream)
            at_most = stays.num_rows + run.rows_before(stream.table)
            run.store("ingest", declared, conform(whole, declared), (), meter, at_most=at_most)
    run.warn(warnings)
    if taken.total(REJECTED):
        stage_rejected(run, stream.name, events.rejected(frame(), stream))
    return taken


def _held(run: Run, stream: Stream, rows: DataFrame) -> pa.Table:
    return helped(rows, stream, run.close.timezone, run.close.slots).toArrow()


def take_bulk(
    run: Run, stream: Stream, files: list[Delivery], history: Published, apart: Sequence[str] = ()
) -> Taken:
    """A pass through files, in memory that does not grow with the lines; ``apart`` as in ``stage_parsed``."""
    meter = run.meter(stream.table)
    inputs = _inputs(run, stream, files)
    folder = staging_dir(run.settings.lake, run.record.run_id) / f"parsed_{stream.name}"
    seen = Observation()
    known = layouts(files, run.settings.landing, stream)
    parsed = events.parsed(inputs, run.close, stream, layouts=known).observe(seen, *_observed(stream, run))
    staged = stage_parsed(parsed, stream, folder, str(files[0].taken_on), apart)
    inputs = {name: df for name, df in inputs.items() if not name.startswith("landing")}
    taken = Taken(stream, {}, seen.get["unknown_fields"] or "", unknown_codes=seen.get["unknown_codes"])
    refused = staged.refused
    refused = refused and refused.withColumn("fate", F.lit(REJECTED))
    rejects = [] if refused is None else [refused]
    sound = _as_judged(staged, seen.get) if staged.files() else None
    with ThreadPoolExecutor(1) as beside:
        # Rows that will have lost break no rule of a row either, and half of what settles them is not computing.
        broken = beside.submit(inheritable_thread_target(partial(_row_failures, run, stream, sound)))
        disputed = _settled(run, staged, inputs, taken)
        if disputed is not None and taken.fates:
            rejects.append(events.rejected(disputed, stream))
        for sha256, day, n in staged.counts():
            taken.fates.setdefault(sha256, {})[ACCEPTED, day] = n
        for sha256, day, n in staged.refused_counts():
            add(taken.fates, sha256, REJECTED, day, n)
    check_lines(files, taken)
    told = _told(run, files, taken)
    accepted = _as_judged(staged, seen.get)
    # A failure that asks for refused or disputed rows has counted some.
    looked_at = Judged(
        broken.result, lambda: accepted, lambda: refused or _there(disputed), lambda: _there(disputed)
    )
    warnings = gate_pass(run, stream, looked_at, taken, told, history, inputs)
    if taken.total(ACCEPTED):
        version = staged.adopt(run.settings.lake, run.record.run_id)
        run.wrote("ingest", stream.table, version, meter, warnings)
        warnings = gate_relations(run, stream)
    run.warn(warnings)
    if rejects:
        declared = REGISTRY["core_rejected_events"]
        rejected = reduce(DataFrame.unionByName, (conform(df, declared) for df in rejects))
        stage_rejected(run, stream.name, rejected)
    shutil.rmtree(folder, ignore_errors=True)
    return taken


def _row_failures(run: Run, stream: Stream, rows: DataFrame | None) -> list[Failure]:
    if rows is None:
        return []
    return row_failures(events.gated(rows, stream, run.close.timezone), stream, run.close.timezone)


def _there(rows: DataFrame | None) -> DataFrame:
    assert rows is not None
    return rows


def _settled(run: Run, staged: Staged, inputs: dict[str, DataFrame], taken: Taken) -> DataFrame | None:
    """Rows that share an id or a trade, with their fates; those that lost are dropped and counted.

    None where there are none: then the stream's job has nothing to say.
    """
    stream, version = staged.stream, run.as_published.get(staged.stream.table)
    rows = staged.disputed(run.settings.lake, version, events.lookup_since(run.close))
    if rows is None:
        return None
    judged = import_module(f"jobs.{stream.table}").build({**inputs, "parsed": rows}, run.close)
    judged, found = staged.settle(judged)
    for sha256, fate, day, n in found:
        if fate == ACCEPTED:
            taken.shared += n
        else:
            add(taken.fates, sha256, fate, day, n)
    return judged


def _observed(stream: Stream, run: Run) -> list[Column]:
    """What is asked of the parsed rows on their way to disk: the gate's helper columns are not kept there."""
    sound = F.size("reasons") == 0
    return [
        F.max("unknown_fields").alias("unknown_fields"),
        F.count_if(sound & unknown_code(stream, run.close.slots)).alias("unknown_codes"),
        F.bit_or(F.when(sound, F.col(UNREAD)).otherwise(0)).alias(UNREAD),
        F.bool_and(F.coalesce(F.col(KNOWN), F.lit(False)) | ~sound).alias(KNOWN),
    ]


def _as_judged(staged: Staged, seen: Mapping[str, Any]) -> DataFrame:
    """The rows that stay, as the gate wants them: what one row was seen to break on its way, all of them answer for."""
    known = F.lit(True if seen[KNOWN] is not False else None).cast("boolean")
    helpers = {"fate": F.lit(ACCEPTED), SHARED: F.lit(False), UNREAD: F.lit(seen[UNREAD] or 0), KNOWN: known}
    return staged.sound.withColumns(helpers)


def _inputs(run: Run, stream: Stream, files: list[Delivery]) -> dict[str, DataFrame]:
    inputs = landing_frames(run.spark, run.settings.landing, files, run.settings.require_key())
    if run.version("core_merchants") is not None or stream.is_event:
        inputs["core_merchants"] = run.read("core_merchants")
    if run.as_published.get(stream.table) is not None:
        inputs[stream.table] = run.before(stream.table)
    if stream.name == PAYMENTS.name and (trades := known_bill_trades(run)) is not None:
        inputs["bill_trades"] = trades
    if stream.has_user and run.as_published.get("core_forgotten") is not None:
        inputs["core_forgotten"] = run.before("core_forgotten")
        inputs["pads"] = pads_frame(run.spark, run.settings.require_key())
    return inputs


def _told(run: Run, files: list[Delivery], taken: Taken) -> list[dict[str, Any]]:
    return [file_row(run, d, taken.by_fate(d.sha256)) for d in files]


def file_row(run: Run, d: Delivery, fates: Mapping[str, int]) -> dict[str, Any]:
    """A delivery as raw_files keeps it."""
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
