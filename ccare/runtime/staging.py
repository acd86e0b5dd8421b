"""What a close is about to post, kept on disk so that a retry posts the same and computes nothing again."""

import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import parquet
from pyspark.sql import DataFrame

from ccare.runtime.failpoint import reach
from ccare.runtime.rowstore import arrow_schema, fits_driver, fits_merge
from ccare.runtime.spark import conform, schema
from ccare.tables import REGISTRY, Table, WriteStyle

if TYPE_CHECKING:
    from ccare.runtime.run import Run

ONE_FILE_ROWS = 200_000
"""Up to this many rows are one file, written by one task; beyond that a second core pays."""


def staging_dir(lake: Path, run_id: str) -> Path:
    """The folder of one run's staging."""
    return lake / "_staging" / run_id


def _folder(run: "Run", name: str) -> Path:
    return staging_dir(run.settings.lake, run.record.run_id) / name


def stage(run: "Run", frames: Mapping[str, DataFrame | pa.Table]) -> None:
    """Write every frame as Parquet."""
    folder = staging_dir(run.settings.lake, run.record.run_id)
    shutil.rmtree(folder, ignore_errors=True)
    small = run.bound("ledger_positions") <= ONE_FILE_ROWS
    for name, rows in frames.items():
        if isinstance(rows, pa.Table):
            (folder / name).mkdir(parents=True)
            parquet.write_table(rows, folder / name / "rows.parquet", compression="zstd")
        else:
            rows = rows.coalesce(1) if small else rows
            rows.write.mode("overwrite").parquet(str(folder / name))
        reach(f"{name}.staged")


def staged(run: "Run", declared: Table) -> DataFrame | pa.Table | None:
    """A staged table as it was written, held where it is small; None where it has no rows to post."""
    if not _folder(run, declared.name).is_dir():
        return None
    count = staged_rows(run, declared.name)
    if declared.write is not WriteStyle.MERGE_STATE and not count:
        return None
    if fits_driver(declared, count) or fits_merge(declared, count):
        # Spark writes instants as INT96, which Arrow would take for nanoseconds.
        parts = (
            parquet.read_table(file, coerce_int96_timestamp_unit="us")
            for file in staged_files(run, declared.name)
        )
        return pa.concat_tables(part.cast(arrow_schema(declared)) for part in parts)
    rows = staged_frame(run, declared)
    return rows.coalesce(1) if count <= ONE_FILE_ROWS else rows


def staged_frame(run: "Run", declared: Table) -> DataFrame:
    """A staged table's rows, where they lie."""
    read = run.spark.read.schema(schema(declared))
    return conform(read.parquet(str(_folder(run, declared.name))), declared)


def staged_pattern(run: "Run", name: str) -> str:
    """What names the files of a staged table."""
    return str(_folder(run, name) / "*.parquet")


def staged_rows(run: "Run", name: str) -> int:
    """Rows of a staged table, by its files' own footers."""
    return sum(parquet.read_metadata(path).num_rows for path in staged_files(run, name))


def staged_files(run: "Run", name: str) -> list[str]:
    """Files of a staged table in order; none where it was not staged."""
    return sorted(map(str, _folder(run, name).glob("*.parquet")))


def staged_days(run: "Run", declared: Table) -> list[date]:
    """The partitions that a staged replace_day table takes the place of."""
    if declared.write is not WriteStyle.REPLACE_DAY:
        return []
    (day,) = declared.partition_by
    found = (parquet.read_table(path, columns=[day])[day] for path in staged_files(run, declared.name))
    return sorted({value for column in found for value in column.unique().to_pylist()})


def rejected_dir(run: "Run") -> Path:
    """Where refused rows wait for the one commit that all streams share."""
    return _folder(run, "rejected")


def stage_rejected(run: "Run", stream: str, rejected: DataFrame) -> None:
    """Put a stream's refused rows aside, so that no cache waits for their commit."""
    df = conform(rejected, REGISTRY["core_rejected_events"])
    df.coalesce(1).write.mode("overwrite").parquet(str(rejected_dir(run) / stream))


def discard(lake: Path, run_id: str) -> None:
    """The postings are in their tables: the staging has done its work. A kill leaves it whole or out of the way."""
    folder = staging_dir(lake, run_id)
    aside = folder.with_name(f".{run_id}.discarded")
    if folder.is_dir():
        folder.rename(aside)
    for each in folder.parent.glob(".*.discarded"):
        shutil.rmtree(each, ignore_errors=True)
