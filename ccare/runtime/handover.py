"""Frames that live in a run's session, given to DuckDB: a day's rows as Arrow, many more as files for the while."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import duckdb
import pyarrow as pa
from pyspark.sql import DataFrame

from ccare.runtime.staging import staging_dir
from ccare.tables import REGISTRY, WriteStyle

if TYPE_CHECKING:
    from ccare.runtime.run import Run

Handed: TypeAlias = pa.Table | str
"""Rows, or a pattern of Parquet files."""


@contextmanager
def handed(run: "Run", name: str, rows: DataFrame) -> Iterator[Handed]:
    """``rows`` of a table that lives in the run, or of a frame to be stored, for DuckDB.

    Files lie in the run's own staging and are gone afterwards; Arrow is fetched once.
    """
    if name in run.told:
        yield run.told[name]
        return
    if run.close.has_few_changes:
        arrow = rows.toArrow()
        if REGISTRY[name].write is WriteStyle.TRANSIENT:
            run.told[name] = arrow
        yield arrow
        return
    folder = staging_dir(run.settings.lake, run.record.run_id) / "handed" / name
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
