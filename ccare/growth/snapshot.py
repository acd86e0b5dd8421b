"""One consistent snapshot in DuckDB: every table as one published run left it, by plain read_parquet."""

from collections.abc import Collection
from pathlib import Path

import duckdb

from ccare.runtime import deltalog
from ccare.runtime.manifest import Published
from ccare.tables import Table, stored_tables

_DUCK = {
    "string": "VARCHAR",
    "bigint": "BIGINT",
    "int": "INTEGER",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "array<string>": "VARCHAR[]",
    "array<double>": "DOUBLE[]",
    "map<string,bigint>": "MAP(VARCHAR, BIGINT)",
    "map<string,string>": "MAP(VARCHAR, VARCHAR)",
}


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def name_of(identifier: str) -> str:
    """A quoted SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def view_sql(lake: Path, table: Table, version: int | None, partitions: Collection[str] | None = None) -> str:
    """A query over the files of one version, declared columns in order; typed and empty without files.

    ``partitions``: only these values of the partition column. A glob would miscount: files of older and
    unpublished versions stand in the same folder.
    """
    files: list[str] = []
    has: list[str] = []
    if version is not None:
        files, has = deltalog.files_and_columns(lake, table.name, version, partitions)
    if not files:
        columns = [f"null::{_DUCK[c.type]} as {name_of(c.name)}" for c in table.columns]
        return f"select {', '.join(columns)} where false"
    listed = ", ".join(quoted(path) for path in files)
    # A version of before a column was declared has none of it: it reads as null, as Spark reads it.
    # DuckDB 1.5.5 fails with an INTERNAL error on min or max of a partition column where a filter leaves one
    # file (duckdb#25629). Of an expression it does not, and still only the files that are left are read.
    parts = {n: f"({name_of(n)} || '')" for n in table.partition_by}
    columns = [
        f"{parts.get(c.name, name_of(c.name)) if c.name in has else 'null'}::{_DUCK[c.type]} as {name_of(c.name)}"
        for c in table.columns
    ]
    # Files of one version may differ too: those written before the column came lack it.
    options = ", union_by_name = true" if len(files) > 1 else ""
    if parts:
        types = ", ".join(f"{quoted(n)}: VARCHAR" for n in parts)
        options += f", hive_partitioning = true, hive_types = {{{types}}}"
    return f"from read_parquet([{listed}]{options}) select {', '.join(columns)}"


def connect(lake: Path, row: Published | None, *, database: str = ":memory:") -> duckdb.DuckDBPyConnection:
    """A connection with one view for each stored table, pinned to ``row`` (all empty without one)."""
    con = duckdb.connect(database)
    con.execute("set TimeZone = 'UTC'")
    add_views(con, lake, row)
    return con


def add_views(con: duckdb.DuckDBPyConnection, lake: Path, row: Published | None) -> None:
    """Create the views in ``con``."""
    versions = dict(row.table_versions) if row else {}
    if row and deltalog.latest_version(lake, "run_manifest") is not None:
        versions["run_manifest"] = deltalog.latest_version(lake, "run_manifest") or 0
    for table in stored_tables():
        sql = view_sql(lake, table, versions.get(table.name))
        con.execute(f"create or replace view {name_of(table.name)} as {sql}")
