"""A handful of driver-side rows written by delta-rs: no JVM, no Spark job, about ten milliseconds a commit."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake

from ccare.runtime import deltalog
from ccare.tables import Table

_PROPERTIES = {
    "delta.logRetentionDuration": "interval 400 days",
    "delta.deletedFileRetentionDuration": "interval 35 days",
    "delta.checkpointInterval": "50",
}


def properties(table: Table) -> dict[str, str]:
    """Delta table properties that the declaration asks for."""
    result = dict(_PROPERTIES)
    if table.append_only:
        result["delta.appendOnly"] = "true"
    if table.layer == "core" and "business_date" in table.column_names:
        # Only dates are ever used to skip files; statistics on ids cost writing time and log bytes.
        result["delta.dataSkippingStatsColumns"] = "business_date"
    result |= {f"delta.constraints.{name}": expr for name, expr in table.checks.items()}
    return result


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
    commit = CommitProperties(custom_metadata={"userMetadata": run_id})
    if deltalog.latest_version(lake, table.name) is None:
        DeltaTable.create(
            uri,
            arrow.schema,
            partition_by=list(table.partition_by) or None,
            description=table.description,
            configuration=properties(table),
        )
    if replaced:
        values = ", ".join(f"'{value}'" for value in sorted(set(map(str, replaced))))
        predicate = f"{table.partition_by[0]} in ({values})"
        write_deltalake(uri, arrow, mode="overwrite", predicate=predicate, commit_properties=commit)
    else:
        write_deltalake(uri, arrow, mode="append", commit_properties=commit)
    version = deltalog.latest_version(lake, table.name)
    assert version is not None, f"{table.name} was just written"
    return version


def roll_back(lake: Path, table: str, version: int | None, run_id: str) -> None:
    """Make an unpublished remainder of a broken run invisible: the table reads again as at ``version``."""
    latest, target = deltalog.latest_version(lake, table), version or 0
    if latest is None or latest == target:
        return
    DeltaTable(str(lake / table)).restore(
        target, commit_properties=CommitProperties(custom_metadata={"userMetadata": run_id})
    )
