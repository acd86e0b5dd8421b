"""Frames that fit the driver, written by delta-rs: no Spark job, and a commit takes milliseconds, not a second."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Schema,
    WriterProperties,
    write_deltalake,
)

from ccare.runtime import deltalog
from ccare.tables import Table, WriteStyle
from ccare.tables.state import LAYOUT

_PROPERTIES = {
    "delta.logRetentionDuration": "interval 400 days",
    "delta.deletedFileRetentionDuration": "interval 35 days",
    "delta.checkpointInterval": "50",
}


DRIVER_CELLS = 22_000_000
"""A frame of up to this many rows x columns is one file, and is written from the driver: some 300 MB as Arrow."""

LAYOUT_PROPERTY = "ccare.layout"

ROW_GROUP = 131_072
"""Rows that tasks share a file by: one group of a million rows would leave a core idle."""


def writer(table: Table) -> WriterProperties:
    """How files are packed. Doubles hardly repeat: a dictionary of them is built in vain and thrown away."""
    plain = ColumnProperties(dictionary_enabled=False)
    doubles = {column.name: plain for column in table.columns if column.type == "double"}
    return WriterProperties(
        compression="ZSTD", max_row_group_size=ROW_GROUP, column_properties=doubles or None
    )


def properties(table: Table) -> dict[str, str]:
    """Delta table properties that the declaration asks for."""
    result = dict(_PROPERTIES)
    if table.append_only:
        result["delta.appendOnly"] = "true"
    if table.layer == "core" and "business_date" in table.column_names:
        # Only dates are ever used to skip files; statistics on ids cost writing time and log bytes.
        result["delta.dataSkippingStatsColumns"] = "business_date"
    elif any(column.personal for column in table.columns):
        # Least and greatest values of a column are values: a log must hold no user's token.
        result["delta.dataSkippingStatsColumns"] = table.key[0]
    elif table.write is WriteStyle.MERGE_STATE:
        # Read whole, always: no reader skips files of it.
        result["delta.dataSkippingStatsColumns"] = table.key[0]
    if table.layer == "state":
        result[LAYOUT_PROPERTY] = str(LAYOUT)
    result |= {f"delta.constraints.{name}": expr for name, expr in table.checks.items()}
    return result


def layout_of(opened: DeltaTable) -> int:
    """The layout of a state table at the version that is open; tables made before it was counted are of the first."""
    return int(opened.metadata().configuration.get(LAYOUT_PROPERTY) or 1)


def signed(run_id: str) -> CommitProperties:
    """What names the run in a commit: one without a name is somebody else's (ccare/runtime/trail.py)."""
    return CommitProperties(custom_metadata={"userMetadata": run_id})


def set_property(opened: DeltaTable, name: str, value: str, run_id: str) -> None:
    """Set a property of the table in a commit of the run."""
    opened.alter.set_table_properties(
        {name: value}, raise_if_not_exists=False, commit_properties=signed(run_id)
    )


def set_layout(opened: DeltaTable, layout: int, run_id: str) -> None:
    """Say what the table's rows mean from its next version on."""
    set_property(opened, LAYOUT_PROPERTY, str(layout), run_id)


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


def arrow_rows(table: Table, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """``rows`` in declared columns; one left out is null, required or not."""
    fields = [pa.field(field.name, field.type) for field in arrow_schema(table)]
    told = [{name: row.get(name) for name in table.column_names} for row in rows]
    return pa.Table.from_pylist(told, schema=pa.schema(fields))


def write_rows(
    lake: Path, table: Table, rows: Iterable[Mapping[str, Any]], run_id: str, replaced: Sequence[date] = ()
) -> int:
    """Write a handful of driver-side rows without a Spark job (manifest and deliveries); returns the version.

    Appends, or replaces the partitions in ``replaced``.
    """
    data = [{name: row.get(name) for name in table.column_names} for row in rows]
    arrow = pa.Table.from_pylist(data, schema=arrow_schema(table))
    return write_arrow(lake, table, arrow, run_id, "overwrite" if replaced else "append", replaced)


def write_arrow(
    lake: Path,
    table: Table,
    rows: pa.Table | pa.RecordBatchReader,
    run_id: str,
    mode: Literal["append", "overwrite"],
    replaced: Sequence[date | str] = (),
) -> int:
    """Write a frame that the driver holds, or reads batch by batch; returns the version.

    ``overwrite`` takes the place of the partitions in ``replaced``, of the whole table where none is named.
    ValueError where a required column holds a null.
    """
    arrow = _in_groups(table, rows)
    packing = writer(table)
    opened = ensure_table(lake, table, run_id)
    values = ", ".join(f"'{value}'" for value in sorted(set(map(str, replaced))))
    commit = signed(run_id)
    if mode == "append":
        write_deltalake(opened, arrow, mode="append", writer_properties=packing, commit_properties=commit)
    else:
        where = f"{table.partition_by[0]} in ({values})" if replaced else None
        write_deltalake(
            opened,
            arrow,
            mode="overwrite",
            predicate=where,
            writer_properties=packing,
            commit_properties=commit,
        )
    version = deltalog.latest_version(lake, table.name)
    assert version is not None, f"{table.name} was just written"
    return version


def fits_driver(table: Table, at_most: int | None) -> bool:
    """Whether rows of the table may be fetched and written without Spark: CHECKs and inserts by key are Spark's."""
    plain = not table.checks and table.write in (WriteStyle.REPLACE_DAY, WriteStyle.MERGE_STATE)
    return plain and at_most is not None and at_most * len(table.columns) <= DRIVER_CELLS


def fits_merge(table: Table, at_most: int | None) -> bool:
    """Whether rows to be inserted by key are few enough for the driver to hold."""
    few = at_most is not None and at_most * len(table.columns) <= DRIVER_CELLS
    return few and table.write is WriteStyle.MERGE_NEW


def merge_rows(lake: Path, table: Table, rows: pa.Table, run_id: str) -> None:
    """Insert the rows whose key a table that stands does not hold yet, in one commit; none where there are none.

    DeltaError where a row breaks one of its CHECKs.
    """
    if not rows.num_rows:
        return
    source = rows.select(table.column_names).cast(arrow_schema(table))
    same = [f"t.{name} = s.{name}" for name in table.key]
    for name in table.partition_by:
        # As literals: a join alone would look at every partition.
        values = ", ".join(f"'{value}'" for value in sorted(set(map(str, source[name].to_pylist()))))
        same.append(f"t.{name} in ({values})")
    merging = DeltaTable(str(lake / table.name)).merge(
        source,
        predicate=" and ".join(same),
        source_alias="s",
        target_alias="t",
        writer_properties=writer(table),
        commit_properties=signed(run_id),
    )
    merging.when_not_matched_insert_all().execute()


def _in_groups(table: Table, rows: pa.Table | pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Declared columns, group by group: of one batch of millions encoding and packing would take turns."""
    schema = arrow_schema(table)

    def declared(part: pa.Table) -> list[pa.RecordBatch]:
        batches: list[pa.RecordBatch] = part.select(table.column_names).cast(schema).to_batches(ROW_GROUP)
        return batches

    if isinstance(rows, pa.Table):
        return pa.RecordBatchReader.from_batches(schema, declared(rows))
    groups = (group for each in rows for group in declared(pa.Table.from_batches([each])))
    return pa.RecordBatchReader.from_batches(schema, groups)


def ensure_table(lake: Path, table: Table, run_id: str) -> DeltaTable:
    """The table, made where it is not there, with the columns and layout that its declaration has gained since."""
    uri, schema = str(lake / table.name), arrow_schema(table)
    if deltalog.latest_version(lake, table.name) is None:
        return DeltaTable.create(
            uri,
            schema,
            partition_by=list(table.partition_by) or None,
            description=table.description,
            configuration=properties(table),
            raise_if_key_not_exists=False,
        )
    opened = DeltaTable(uri)
    known = {field.name for field in opened.schema().fields}
    gained = pa.schema([field for field in schema if field.name not in known])
    if gained:
        opened.alter.add_columns(Schema.from_arrow(gained).fields)
    if table.layer == "state" and layout_of(opened) != LAYOUT:
        # Only what derives all rows again comes here: every other run was refused before it wrote.
        set_layout(opened, LAYOUT, run_id)
    return opened


def roll_back(lake: Path, table: str, version: int | None, run_id: str) -> None:
    """Make an unpublished remainder of a broken run invisible: the table reads again as at ``version``."""
    latest, target = deltalog.latest_version(lake, table), version or 0
    if latest is None or latest == target:
        return
    DeltaTable(str(lake / table)).restore(target, commit_properties=signed(run_id))
