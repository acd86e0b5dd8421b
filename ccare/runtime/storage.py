"""Reading pinned versions, and the only ways to write: replace_day, merge_new, merge_state."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from delta.tables import DeltaTable as SparkDeltaTable
from deltalake import CommitProperties, write_deltalake
from deltalake import DeltaTable as LogTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ccare.runtime import deltalog
from ccare.runtime.spark import frame, schema
from ccare.tables import Table, WriteStyle

_PROPERTIES = {
    "delta.logRetentionDuration": "interval 400 days",
    "delta.deletedFileRetentionDuration": "interval 35 days",
    "delta.checkpointInterval": "50",
}


def read(spark: SparkSession, lake: Path, table: Table, version: int | None) -> DataFrame:
    """The table as it was at ``version``; an empty typed frame where it does not exist yet."""
    if version is None:
        return frame(spark, table)
    return spark.read.format("delta").option("versionAsOf", version).load(str(lake / table.name))


def ensure(spark: SparkSession, lake: Path, table: Table) -> None:
    """Make the table with its schema, comments, constraints and properties where it is not there."""
    if deltalog.latest_version(lake, table.name) is not None:
        return
    builder = SparkDeltaTable.createIfNotExists(spark).location(str(lake / table.name))
    builder = builder.addColumns(schema(table)).partitionedBy(*table.partition_by).comment(table.description)
    for name, value in _properties(table).items():
        builder = builder.property(name, value)
    builder.execute()


def _properties(table: Table) -> dict[str, str]:
    properties = dict(_PROPERTIES)
    if table.append_only:
        properties["delta.appendOnly"] = "true"
    properties |= {f"delta.constraints.{name}": expr for name, expr in table.checks.items()}
    return properties


def write(
    spark: SparkSession, lake: Path, table: Table, df: DataFrame, run_id: str, replaced: Sequence[date | str] = ()
) -> int:
    """Write ``df`` in the table's declared style; returns the version that now holds it.

    ``replaced`` names the partitions that a replace_day takes the place of; nothing else changes.
    """
    ensure(spark, lake, table)
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


def _replace_day(lake: Path, table: Table, df: DataFrame, replaced: Sequence[date | str]) -> None:
    (partition,) = table.partition_by
    values = ", ".join(f"'{value}'" for value in sorted(set(map(str, replaced))))
    writer = df.write.format("delta").mode("overwrite").option("replaceWhere", f"{partition} in ({values})")
    writer.save(str(lake / table.name))


def _merge_state(lake: Path, table: Table, df: DataFrame) -> None:
    """The whole state at once: one pass and one commit, which beat MERGE's two at every size tried so far."""
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


_ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "array<string>": pa.list_(pa.string()),
    "array<double>": pa.list_(pa.float64()),
    "map<string,bigint>": pa.map_(pa.string(), pa.int64()),
    "map<string,string>": pa.map_(pa.string(), pa.string()),
}


def arrow_schema(table: Table) -> pa.Schema:
    """The declared columns as an Arrow schema, descriptions as comments."""
    return pa.schema(
        [
            pa.field(c.name, _ARROW[c.type], nullable=c.nullable, metadata={"comment": c.description})
            for c in table.columns
        ]
    )


def write_rows(
    lake: Path, table: Table, rows: Iterable[Mapping[str, Any]], run_id: str, replaced: Sequence[date] = ()
) -> int:
    """Write a handful of driver-side rows without a Spark job (manifest and deliveries); returns the version.

    Appends, or replaces the partitions in ``replaced``.
    """
    data = [{name: row.get(name) for name in table.column_names} for row in rows]
    arrow = pa.Table.from_pylist(data, schema=arrow_schema(table))
    uri = str(lake / table.name)
    properties = CommitProperties(custom_metadata={"userMetadata": run_id})
    if deltalog.latest_version(lake, table.name) is None:
        LogTable.create(
            uri,
            arrow.schema,
            partition_by=list(table.partition_by) or None,
            description=table.description,
            configuration=_properties(table),
        )
    values = ", ".join(f"'{value}'" for value in sorted(set(map(str, replaced))))
    write_deltalake(
        uri,
        arrow,
        mode="overwrite" if replaced else "append",
        predicate=f"{table.partition_by[0]} in ({values})" if replaced else None,
        commit_properties=properties,
    )
    version = deltalog.latest_version(lake, table.name)
    assert version is not None, f"{table.name} was just written"
    return version


def roll_back(lake: Path, table: str, version: int | None, run_id: str) -> None:
    """Make an unpublished remainder of a broken run invisible: the table reads again as at ``version``."""
    latest = deltalog.latest_version(lake, table)
    if latest is None or latest == version:
        return
    LogTable(str(lake / table)).restore(
        version or 0, commit_properties=CommitProperties(custom_metadata={"userMetadata": run_id})
    )
