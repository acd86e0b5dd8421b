"""Reading a pinned snapshot: named parameters in, plain rows out."""

from typing import Any

import duckdb


def rows_of(con: duckdb.DuckDBPyConnection, sql: str, **values: object) -> list[dict[str, Any]]:
    """Rows as column -> value."""
    cursor = con.execute(sql, values or None)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def one(con: duckdb.DuckDBPyConnection, sql: str, **values: object) -> int:
    """The first integer of the first row; 0 without rows or where it is null."""
    row = con.execute(sql, values or None).fetchone()
    return int(row[0] or 0) if row else 0
