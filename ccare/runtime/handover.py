"""What DuckDB is given of a run and gives to it: a day's rows as Arrow, many more as files for the while."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import duckdb
import pyarrow as pa
from pyarrow import parquet
from pyspark.sql import DataFrame

from ccare.growth.snapshot import connect_to, quoted
from ccare.runtime.close import FEW_CHANGES
from ccare.runtime.rowstore import ROW_GROUP, arrow_schema
from ccare.runtime.spark import conform, held, schema
from ccare.runtime.staging import staging_dir
from ccare.tables import REGISTRY, Table, WriteStyle

if TYPE_CHECKING:
    from ccare.runtime.run import Run

Handed: TypeAlias = pa.Table | str
"""Rows, or a pattern of Parquet files."""
Told: TypeAlias = pa.Table | duckdb.DuckDBPyRelation
"""What a job's build gives: rows, or a query where they may be too many to hold."""
STATE_MEMORY = "1500MB"
"""Of a connection that folds state, two at a time. What does not fit goes to disk."""


@contextmanager
def asked(run: "Run", declared: Table) -> Iterator[Told]:
    """What a job gives that reads its inputs as views of a DuckDB connection, for as long as that is open.

    State is folded onto itself: such a job sees its own table as published before.
    """
    names = dict.fromkeys((*declared.inputs, *declared.previous))
    living = [n for n in declared.inputs if n in run.told or REGISTRY[n].write is WriteStyle.TRANSIENT]
    pinned = {name: run.version(name) for name in declared.inputs if name not in living}
    pinned |= {name: run.as_published.get(name) for name in names if name in declared.previous}
    folds = declared.layer == "state"
    if folds and declared.write is not WriteStyle.TRANSIENT:
        pinned[declared.name] = run.as_published.get(declared.name)
    opened = folding(run, pinned) if folds else connect_to(run.settings.lake, pinned)
    with opened as con, ExitStack() as stack:
        for name in living:
            show(con, name, stack.enter_context(handed(run, name)))
        yield import_module(f"jobs.{declared.name}").build(con, run.close)


def folding(run: "Run", versions: Mapping[str, int | None]) -> duckdb.DuckDBPyConnection:
    """A connection with a view for each table named, of bounded memory; what does not fit is spilled."""
    con = connect_to(run.settings.lake, versions)
    con.execute(f"set memory_limit = '{STATE_MEMORY}'")
    # A folder of its own, of which DuckDB makes the last part where it is needed, and takes it away: two that shared
    # one would write to files of the same names.
    spill = Path(tempfile.gettempdir()) / f"ccare-spill-{uuid.uuid4().hex}"
    con.execute(f"set temp_directory = {quoted(str(spill))}")
    return con


def kept(run: "Run", declared: Table, rows: Told, place: str = "") -> Handed:
    """Rows kept for the run: few are held, many lie in its own staging (at ``place``) until it is released."""
    if isinstance(rows, pa.Table):
        return rows
    batches, first, count = rows.to_arrow_reader(ROW_GROUP), [], 0
    made = arrow_schema(declared)
    for batch in batches:
        first.append(batch)
        count += batch.num_rows
        if count > FEW_CHANGES:
            break
    else:
        return pa.Table.from_batches(first, batches.schema).select(declared.column_names).cast(made)
    folder = _folder(run, place or declared.name)
    folder.mkdir(parents=True, exist_ok=True)
    with parquet.ParquetWriter(folder / "rows.parquet", made, compression="snappy") as out:
        for batch in chain(first, batches):
            part = pa.Table.from_batches([batch]).select(declared.column_names)
            out.write_table(part.cast(made), ROW_GROUP)
    return str(folder / "*.parquet")


def found_at_rest(run: "Run", name: str, query: str, given: Mapping[str, pa.Table]) -> DataFrame:
    """Rows of a table as published that ``query`` gives of it and of ``given``, each the view of its name."""
    declared = REGISTRY[name]
    with folding(run, {name: run.as_published.get(name)}) as con:
        for each, rows in given.items():
            show(con, each, rows)
        found = kept(run, declared, con.sql(query), f"at_rest/{name}")
    return frame_of(run, declared, found)


def frame_of(run: "Run", declared: Table, rows: Handed) -> DataFrame:
    """The same rows as a frame."""
    if isinstance(rows, pa.Table):
        return conform(held(run.spark, declared, rows), declared)
    return conform(run.spark.read.schema(schema(declared)).parquet(str(Path(rows).parent)), declared)


@contextmanager
def handed(run: "Run", name: str, rows: DataFrame | None = None) -> Iterator[Handed]:
    """Rows of a table that lives in the run, or of a frame to be stored, for DuckDB.

    Files lie in the run's own staging and are gone afterwards; Arrow is fetched once.
    """
    lives = REGISTRY[name].write is WriteStyle.TRANSIENT
    if rows is None and name not in run.shared and REGISTRY[name].engine == "duckdb":
        run.tell(name)
    if name in run.told:
        yield run.told[name]
        return
    rows = run.read(name) if rows is None else rows
    if run.close.has_few_changes:
        arrow = rows.toArrow()
        if lives:
            run.told[name] = arrow
        yield arrow
        return
    folder = _folder(run, name)
    rows.write.mode("overwrite").parquet(str(folder))
    try:
        yield str(folder / "*.parquet")
    finally:
        shutil.rmtree(folder)


def show(con: duckdb.DuckDBPyConnection, name: str, rows: Handed) -> None:
    """Make them the view ``name``."""
    if isinstance(rows, str):
        con.read_parquet(rows).create_view(name)
    else:
        con.register(name, rows)


def let_go(run: "Run") -> None:
    """Forget what was kept, and remove its files."""
    run.told.clear()
    shutil.rmtree(_folder(run, ""), ignore_errors=True)


def _folder(run: "Run", name: str) -> Path:
    return staging_dir(run.settings.lake, run.record.run_id) / "handed" / name
