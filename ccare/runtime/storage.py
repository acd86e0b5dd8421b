"""Reading pinned versions, and the only ways to write: replace_day, merge_new, merge_state."""

from collections.abc import Sequence
from datetime import date
from functools import reduce
from operator import and_
from pathlib import Path

import duckdb
import pyarrow as pa
from delta.tables import DeltaTable as SparkDeltaTable
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ccare.errors import IntegrityBroken
from ccare.growth.snapshot import name_of, view_sql
from ccare.runtime import deltalog
from ccare.runtime.handover import Handed, show
from ccare.runtime.jvm import java_strings
from ccare.runtime.rowstore import (
    ROW_GROUP,
    ensure_table,
    fits_driver,
    fits_merge,
    merge_rows,
    properties,
    write_arrow,
)
from ccare.runtime.spark import frame, schema, whole
from ccare.tables import Table, WriteStyle

MERGED_CELLS = 1_000_000_000
"""Up to this many cells a state is merged by the driver though a cluster could: it takes some 20 s."""


def read(spark: SparkSession, lake: Path, table: Table, version: int | None) -> DataFrame:
    """The table as it was at ``version``; an empty typed frame where it does not exist yet.

    A pinned version is a list of files: read as such it needs no Spark job. Delta's own scan takes two to five
    for each use of a table (docs/decisions/0005). Raises IntegrityBroken where a file is gone.
    """
    files = [] if version is None else deltalog.data_files(lake, table.name, version)
    if not files:
        return frame(spark, table)
    reader = spark.read.schema(schema(table)).option("basePath", str(lake / table.name))
    try:
        found = reader._jreader.parquet(java_strings(spark, files))
        return whole(
            DataFrame(
                found.selectExpr(java_strings(spark, (f"`{name}`" for name in table.column_names))), spark
            )
        )
    except AnalysisException as error:
        if error.getCondition() != "PATH_NOT_FOUND":
            raise
        raise IntegrityBroken(
            f"Table {table.name} has lost data files of its published version {version}.",
            remedy="Restore them from a backup, or see docs/how-to/recover.md.",
        ) from None


def ensure(spark: SparkSession, lake: Path, table: Table, run_id: str) -> None:
    """Make the table with its schema, comments, constraints and properties; one that stands gains new columns."""
    if deltalog.latest_version(lake, table.name) is not None:
        ensure_table(lake, table, run_id)
        return
    builder = SparkDeltaTable.createIfNotExists(spark).location(str(lake / table.name))
    builder = builder.addColumns(schema(table)).partitionedBy(*table.partition_by).comment(table.description)
    for name, value in properties(table).items():
        builder = builder.property(name, value)
    builder.execute()


def write(
    spark: SparkSession,
    lake: Path,
    table: Table,
    df: DataFrame,
    run_id: str,
    replaced: Sequence[date | str] = (),
    at_most: int | None = None,
) -> int:
    """Write ``df`` in the table's declared style; returns the version that now holds it.

    ``replaced`` names the partitions that a replace_day takes the place of; nothing else changes. ``at_most`` is a
    bound on the rows where one is known: a small frame is fetched and committed without Spark.
    """
    if fits_driver(table, at_most):
        return write_held(lake, table, df.toArrow(), run_id, replaced)
    if fits_merge(table, at_most):
        return merge_held(spark, lake, table, df.toArrow(), run_id)
    ensure(spark, lake, table, run_id)
    spark.conf.set("spark.databricks.delta.commitInfo.userMetadata", run_id)
    if table.write is WriteStyle.REPLACE_DAY:
        _replace_day(lake, table, df, replaced)
    elif table.write is WriteStyle.MERGE_STATE:
        _merge_state(lake, table, df)
    elif table.write is WriteStyle.MERGE_NEW:
        _merge_new(spark, lake, table, df)
    else:
        raise ValueError(f"{table.name} is not written by storage")
    version = deltalog.latest_version(lake, table.name)
    assert version is not None, f"{table.name} was just written"
    return version


def write_merged(lake: Path, table: Table, version: int | None, changed: Handed, run_id: str) -> int:
    """Write the table at ``version`` with ``changed`` rows in place of those that have their keys; returns the version.

    The many rows that stay pass from file to file as they stand, by DuckDB and delta-rs and never all at once: 20
    million users took Spark 110 s and take 16 s so (docs/decisions/0018).
    """
    same = " and ".join(f"o.{name_of(key)} is not distinct from n.{name_of(key)}" for key in table.key)
    names = ", ".join(map(name_of, table.column_names))
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        show(con, "changed", changed)
        con.execute(f"create view known as {view_sql(lake, table, version)}")
        stays = f"select {names} from known o where not exists (from changed n where {same})"
        rows = con.sql(f"{stays} union all select {names} from changed").to_arrow_reader(ROW_GROUP)
        return write_arrow(lake, table, rows, run_id, "overwrite")


def merged_frame(before: DataFrame, rows: DataFrame, table: Table) -> DataFrame:
    """The same as one Spark plan, for tables that only a cluster rewrites quickly."""
    old, new = before.alias("o"), rows.select(*table.key).alias("n")
    same = [F.col(f"o.{key}").eqNullSafe(F.col(f"n.{key}")) for key in table.key]
    return old.join(new, reduce(and_, same), "left_anti").unionByName(rows)


def merge_held(spark: SparkSession, lake: Path, table: Table, rows: pa.Table, run_id: str) -> int:
    """Insert what is not there by key, as Spark's MERGE does and without its jobs; returns the version.

    delta-rs looks at the partitions that the condition names alone, and holds to the table's CHECKs. Where nothing is
    new no commit is made.
    """
    ensure(spark, lake, table, run_id)
    merge_rows(lake, table, rows, run_id)
    version = deltalog.latest_version(lake, table.name)
    assert version is not None, f"{table.name} stands"
    return version


def write_held(
    lake: Path,
    table: Table,
    rows: pa.Table | pa.RecordBatchReader,
    run_id: str,
    replaced: Sequence[date | str] = (),
) -> int:
    """Write rows that the driver holds, or reads batch by batch, in the table's declared style; returns the version."""
    days = replaced if table.write is WriteStyle.REPLACE_DAY else ()
    return write_arrow(lake, table, rows, run_id, "overwrite", days)


def put_beside(
    lake: Path, table: Table, df: DataFrame, run_id: str, day: date, at_most: int, *, alone: bool
) -> int:
    """Add rows of ``day`` to a replace_day table beside those that the run has written; returns the version.

    ``alone``: the run has written none, so what a broken run may have left of the day is replaced.
    """
    days = [day] if alone else []
    if fits_driver(table, at_most):
        return write_arrow(lake, table, df.toArrow(), run_id, "overwrite" if alone else "append", days)
    if alone:
        return write(df.sparkSession, lake, table, df, run_id, days, at_most)
    df.sparkSession.conf.set("spark.databricks.delta.commitInfo.userMetadata", run_id)
    df.write.format("delta").mode("append").save(str(lake / table.name))
    version = deltalog.latest_version(lake, table.name)
    assert version is not None, f"{table.name} was just written"
    return version


def _replace_day(lake: Path, table: Table, df: DataFrame, replaced: Sequence[date | str]) -> None:
    (partition,) = table.partition_by
    values = ", ".join(f"'{value}'" for value in sorted(set(map(str, replaced))))
    if len(replaced) > 1:
        # Otherwise every task writes a file into every partition.
        df = df.repartition(partition)
    writer = df.write.format("delta").mode("overwrite").option("replaceWhere", f"{partition} in ({values})")
    writer.save(str(lake / table.name))


def _merge_state(lake: Path, table: Table, df: DataFrame) -> None:
    """The whole state at once, by Spark: for what neither the driver nor DuckDB holds (docs/decisions/0018).

    MERGE rewrites the files that it touches at a greater price; with deletion vectors, readers of pinned files would
    see rows that were taken back (docs/decisions/0003).
    """
    df.write.format("delta").mode("overwrite").save(str(lake / table.name))


def _merge_new(spark: SparkSession, lake: Path, table: Table, df: DataFrame) -> None:
    """Insert what is not there by key. MERGE keeps duplicates of its own source: the caller asserts keys."""
    target = SparkDeltaTable.forPath(spark, str(lake / table.name))
    same = [F.col(f"t.{name}") == F.col(f"s.{name}") for name in table.key]
    # Delta does not prune a MERGE's target by the source: the partitions must stand as literals.
    for name in table.partition_by:
        days = [row[0] for row in df.select(name).distinct().collect()]
        if not days:
            return
        same.append(F.col(f"t.{name}").isin(days))
    condition = same[0]
    for part in same[1:]:
        condition = condition & part
    target.alias("t").merge(df.alias("s"), condition).whenNotMatchedInsertAll().execute()
