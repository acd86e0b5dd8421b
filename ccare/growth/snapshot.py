"""One consistent snapshot in DuckDB: every table as one published run left it, by plain read_parquet."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from pathlib import Path

import duckdb

from ccare.runtime import deltalog
from ccare.runtime.manifest import Published
from ccare.tables import REGISTRY, Table, stored_tables
from ccare.tables.model import Column

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


def date_sql(day: date) -> str:
    """A SQL date literal."""
    return f"date '{day}'"


def dates_sql(days: Iterable[date]) -> str:
    """SQL date literals, for a list."""
    return ", ".join(map(date_sql, days))


def name_of(identifier: str) -> str:
    """A quoted SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def view_sql(lake: Path, table: Table, version: int | None, partitions: Collection[str] | None = None) -> str:
    """A query over the files of one version, declared columns in order; typed and empty without files.

    ``partitions``: only these values of the partition column. A glob would miscount: files of older and
    unpublished versions stand in the same folder. A column that was declared after a file was written is null in
    its rows.
    """
    files = deltalog.pinned_files(lake, table.name, version, partitions) if version is not None else None
    if not files or not files.paths:
        return empty_sql(table)
    source = _parquet(files.paths, table, by_name=bool(files.gained))
    return f"from {source} select {', '.join(_shown(c, table, files.held) for c in table.columns)}"


def empty_sql(table: Table) -> str:
    """A query of the declared columns that has no rows."""
    return f"select {', '.join(_shown(c, table, frozenset()) for c in table.columns)} where false"


def gained_columns(lake: Path, table: Table, version: int) -> frozenset[str]:
    """Declared columns that some rows of ``version`` were written without: null there, whatever is required."""
    files = deltalog.pinned_files(lake, table.name, version)
    return files.gained | (set(table.column_names) - files.held)


def _parquet(paths: Iterable[str], table: Table, *, by_name: bool) -> str:
    listed = ", ".join(quoted(path) for path in paths)
    options = ", union_by_name = true" if by_name else ""  # opens every file before the first row
    if table.partition_by:
        types = ", ".join(f"{quoted(n)}: VARCHAR" for n in table.partition_by)
        options += f", hive_partitioning = true, hive_types = {{{types}}}"
    return f"read_parquet([{listed}]{options})"


def _shown(column: Column, table: Table, held: frozenset[str]) -> str:
    name, kind = name_of(column.name), _DUCK[column.type]
    if column.name not in held:
        return f"null::{kind} as {name}"
    # DuckDB 1.5.5 fails with an INTERNAL error on min or max of a partition column where a filter leaves one
    # file (duckdb#25629). Of an expression it does not, and still only the files that are left are read.
    value = f"({name} || '')" if column.name in table.partition_by else name
    return f"{value}::{kind} as {name}"


def connect(lake: Path, row: Published | None, *, database: str = ":memory:") -> duckdb.DuckDBPyConnection:
    """A connection with one view for each stored table, pinned to ``row`` (all empty without one)."""
    con = duckdb.connect(database)
    con.execute("set TimeZone = 'UTC'")
    add_views(con, lake, row)
    return con


def connect_to(lake: Path, versions: Mapping[str, int | None]) -> duckdb.DuckDBPyConnection:
    """A connection with a view for each table named, at its version (None: empty)."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    for name, version in versions.items():
        con.execute(f"create view {name_of(name)} as {view_sql(lake, REGISTRY[name], version)}")
    return con


def add_views(con: duckdb.DuckDBPyConnection, lake: Path, row: Published | None) -> None:
    """Create the views in ``con``."""
    versions = dict(row.table_versions) if row else {}
    if row and deltalog.latest_version(lake, "run_manifest") is not None:
        versions["run_manifest"] = deltalog.latest_version(lake, "run_manifest") or 0
    for table in stored_tables():
        sql = view_sql(lake, table, versions.get(table.name))
        con.execute(f"create or replace view {name_of(table.name)} as {sql}")
