"""One DuckDB file over one published version: every table as a view on its files, each column described."""

import os
from contextlib import suppress
from pathlib import Path

import duckdb

from ccare.growth.derived import columns_of, macros, views
from ccare.growth.questions import questions
from ccare.growth.snapshot import name_of, quoted, view_sql
from ccare.runtime import deltalog
from ccare.runtime.manifest import MANIFEST, Published
from ccare.runtime.settings import Settings
from ccare.tables import Table, stored_tables
from ccare.tables.model import Column

FILE_NAME = "ccare.duckdb"
STORAGE_VERSION = "v1.2.0"
"""Any DuckDB from 1.2 on opens the file."""

SNAPSHOT = (
    Column("seq", "bigint", "Number of the published run that every view is pinned to."),
    Column("run_id", "string", "That run."),
    Column("business_date", "date", "Last business day closed."),
    Column("published_at", "timestamp", "When it was published (UTC)."),
    Column("hash", "string", "Hash of its manifest row."),
    Column("currency", "string", "Currency; amounts count its minor unit (columns ending in _fen)."),
    Column("policy_version", "string", "Scoring and ledger policy it was computed under."),
    Column("business_timezone", "string", "Time zone of business dates."),
)
QUERIES = (
    Column("name", "string", "Name for ccare sql NAME."),
    Column("question", "string", "What it answers."),
    Column("grain", "string", "What a row is."),
    Column("parameters", "string", "name TYPE = default: what it means; one a line."),
    Column("run", "string", "A line that runs it."),
    Column("sql", "string", "The query; its parameters stand as $name."),
)


def write_catalogue(settings: Settings, row: Published) -> Path:
    """Write ``<exports>/ccare.duckdb`` beside and rename it into place; returns its path.

    Views read plain Parquet by file lists, so the file opens in a bare DuckDB and shows one consistent
    version for as long as the lake keeps its files.
    """
    settings.exports.mkdir(parents=True, exist_ok=True)
    path = settings.exports / FILE_NAME
    temporary = settings.exports / f".{FILE_NAME}.{os.getpid()}.part"
    try:
        with duckdb.connect() as con:
            con.execute(
                f"attach {quoted(str(temporary))} as catalogue (storage_version {quoted(STORAGE_VERSION)})"
            )
            con.execute("use catalogue")
            # One transaction: some four hundred comments would otherwise be synced to disk one by one.
            con.execute("begin")
            fill(con, settings, row)
            _describe(con)
            con.execute("commit")
            con.execute("use memory")
            con.execute("detach catalogue")
        temporary.replace(path)
    finally:
        for left in (temporary, temporary.with_name(temporary.name + ".wal")):
            with suppress(FileNotFoundError):
                left.unlink()
    return path


def open_snapshot(settings: Settings, row: Published | None) -> duckdb.DuckDBPyConnection:
    """The catalogue's views, tables and macros in memory, over ``row`` (all empty without one)."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    fill(con, settings, row)
    return con


def fill(con: duckdb.DuckDBPyConnection, settings: Settings, row: Published | None) -> None:
    """Views on every stored table at ``row``, derived views, macros, the tables snapshot and queries."""
    for stored in stored_tables():
        con.execute(f"create view {name_of(stored.name)} as {_pinned(settings.lake, stored, row)}")
    _add_derived(con, settings, row)


def _pinned(lake: Path, stored: Table, row: Published | None) -> str:
    if row is None:
        return view_sql(lake, stored, None)
    if stored.name != MANIFEST:
        return view_sql(lake, stored, row.table_versions.get(stored.name))
    sql = view_sql(lake, stored, deltalog.latest_version(lake, MANIFEST))
    return f"from ({sql}) where seq <= {int(row.seq)}"


def _add_derived(con: duckdb.DuckDBPyConnection, settings: Settings, row: Published | None) -> None:
    con.execute(_table_sql("snapshot", SNAPSHOT))
    if row:
        con.execute(
            "insert into snapshot values ($1, $2, $3, $4, $5, $6, $7, $8)",
            [
                row.seq,
                row.run_id,
                row.business_date,
                row.published_at,
                row.hash,
                settings.currency,
                row.policy_version,
                settings.timezone,
            ],
        )
    con.execute(_table_sql("queries", QUERIES))
    for q in questions().values():
        listed = "\n".join(
            f"{p.name} {p.type} = {_default(p.default)}: {p.description}" for p in q.parameters
        )
        con.execute(
            "insert into queries values ($1, $2, $3, $4, $5, $6)",
            [q.name, q.question, q.grain, listed, q.run, q.sql],
        )
    for view in views():
        con.execute(f"create or replace view {name_of(view.name)} as {view.sql}")
    for macro in macros():
        arguments = ", ".join(macro.arguments)
        con.execute(f"create or replace macro {name_of(macro.name)}({arguments}) as table {macro.sql}")


def _default(value: object) -> object:
    return "none" if value is None else value


def _table_sql(name: str, columns: tuple[Column, ...]) -> str:
    types = {"string": "varchar", "bigint": "bigint", "date": "date", "timestamp": "timestamptz"}
    return (
        f"create table {name_of(name)} ({', '.join(f'{name_of(c.name)} {types[c.type]}' for c in columns)})"
    )


def _describe(con: duckdb.DuckDBPyConnection) -> None:
    for stored in stored_tables():
        about = f"{stored.description} Grain: {stored.grain}."
        _comment(
            con, "view", stored.name, about + (f" {stored.caveats}" if stored.caveats else ""), stored.columns
        )
    for view in views():
        known = columns_of(view)
        shown = [row[0] for row in con.execute(f"describe {name_of(view.name)}").fetchall()]
        _comment(con, "view", view.name, view.about, tuple(known[n] for n in shown))
    for macro in macros():
        con.execute(f"comment on macro table {name_of(macro.name)} is {quoted(macro.about)}")
    _comment(con, "table", "snapshot", "The published run that every view is pinned to: one row.", SNAPSHOT)
    _comment(con, "table", "queries", "Named questions. Grain: one row for each.", QUERIES)


def _comment(
    con: duckdb.DuckDBPyConnection, kind: str, name: str, about: str, columns: tuple[Column, ...]
) -> None:
    con.execute(f"comment on {kind} {name_of(name)} is {quoted(about)}")
    for c in columns:
        text = c.description + (f" Unit: {c.unit}." if c.unit else "")
        con.execute(f"comment on column {name_of(name)}.{name_of(c.name)} is {quoted(text)}")
