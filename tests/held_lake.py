"""Rows as tables of a DuckDB connection: what a job that reads through DuckDB is given."""

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from ccare.runtime.rowstore import arrow_rows
from ccare.tables import table


def held_lake(rows: Mapping[str, Iterable[Mapping[str, Any]]]) -> duckdb.DuckDBPyConnection:
    """Table -> its rows; a column left out is null."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    for name, told in rows.items():
        con.register(name, arrow_rows(table(name), told))
    return con
