"""Tables of a benchmark's lake: rows that DuckDB draws, written as files and adopted by Delta in one commit."""

from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow.parquet as parquet
from deltalake.transaction import AddAction

from ccare.runtime import deltalog
from ccare.runtime.rowstore import arrow_schema, ensure_table
from ccare.tables import REGISTRY, Table

_TYPES = {
    "string": "VARCHAR",
    "bigint": "BIGINT",
    "int": "INTEGER",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
}


def made_table(con: duckdb.DuckDBPyConnection, lake: Path, name: str, queries: list[str]) -> int:
    """Write the rows of each query as files of a table and adopt them in one commit; returns its version."""
    declared = replace(
        REGISTRY[name], checks={}
    )  # which are Spark's: delta-rs does not make a table with them
    opened, root = ensure_table(lake, declared, "made"), lake / name
    for number, query in enumerate(queries):
        con.execute(f"CREATE OR REPLACE TEMP VIEW made AS {query}")
        target = root if declared.partition_by else root / f"made-{number}.parquet"
        # The table's own folders, for a scan takes what they are named for the column; beside the log and each other.
        into = f"OVERWRITE_OR_IGNORE, FILENAME_PATTERN 'made-{number}-{{i}}'"
        by = f", PARTITION_BY ({declared.partition_by[0]}), {into}" if declared.partition_by else ""
        con.execute(
            f"COPY (SELECT {_declared(con, declared)} FROM made) TO '{target}' (FORMAT parquet, COMPRESSION zstd{by})"
        )
    actions = [_add(path, root) for path in sorted(root.rglob("*.parquet"))]
    opened.create_write_transaction(
        actions, "append", arrow_schema(declared), partition_by=list(declared.partition_by)
    )
    version = deltalog.latest_version(lake, name)
    assert version is not None, f"{name} was just made"
    if declared.append_only:
        # Rows as the merges of many closes would have left them: a log that says they were appended is refused.
        commit = deltalog.commit_file(lake, name, version)
        commit.write_text(commit.read_text().replace('"operation":"WRITE"', '"operation":"MERGE"'))
    return version


def _declared(con: duckdb.DuckDBPyConnection, declared: Table) -> str:
    made = {row[0] for row in con.execute("DESCRIBE made").fetchall()}
    zero = {c.name for c in declared.columns if c.type == "bigint" and not c.name.endswith("_version")}
    cells = []
    for column in declared.columns:
        value = f'"{column.name}"' if column.name in made else "0" if column.name in zero else "NULL"
        cells.append(f'CAST({value} AS {_TYPES.get(column.type, "VARCHAR[]")}) AS "{column.name}"')
    return ", ".join(cells)


def _add(path: Path, root: Path) -> AddAction:
    parts = dict(part.split("=", 1) for part in path.relative_to(root).parts[:-1] if "=" in part)
    rows = parquet.read_metadata(path).num_rows
    stat = path.stat()
    stats = f'{{"numRecords":{rows}}}'
    return AddAction(
        str(path.relative_to(root)), stat.st_size, dict(parts), int(stat.st_mtime * 1000), True, stats
    )
