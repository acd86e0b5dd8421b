"""Asking the published lake in SQL: named questions or a query of one's own, read only, values bound."""

from collections.abc import Mapping
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import duckdb

from ccare.errors import InputMissing, UsageError
from ccare.growth.catalogue import open_snapshot
from ccare.growth.questions import LISTED, Question, headed, question
from ccare.runtime import manifest
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

Result = tuple[list[str], list[tuple[Any, ...]]]


def run_query(
    settings: Settings,
    name: str | None = None,
    *,
    query: str | None = None,
    file: Path | None = None,
    params: Mapping[str, str] | None = None,
    row: Published | None = None,
) -> Result:
    """Column names and rows of a named question, a query's text or its file, over ``row`` (default: latest).

    ``params`` are texts; a named question reads them by its declared types, a query of one's own gets them as
    VARCHAR ($name::date where a date is meant). Only one SELECT is run, and only the lake can be read.

    Raises UsageError (unknown name or parameter, DuckDB's own sentence for wrong SQL), InputMissing (file).
    """
    given = dict(params or {})
    if sum(part is not None for part in (name, query, file)) != 1:
        raise UsageError("Give one of a query's name, -c QUERY or -f FILE.", remedy=LISTED)
    published = row or manifest.latest(settings.lake)
    if name is not None:
        asked = question(name)
        sql, values = asked.sql, _values(asked, given)
    else:
        sql = query if query is not None else read_query(file or Path())
        values = _own_values(sql, given)
    with open_snapshot(settings, published) as con:
        if name is not None and published is not None:
            _require_known(con, values, published.business_date)
        return _run(con, settings.lake, sql, values)


def _require_known(con: duckdb.DuckDBPyConnection, values: Mapping[str, Any], last: date) -> None:
    """InputMissing where a merchant or a day is asked for that the lake does not have: zeros would be an answer."""
    merchant = values.get("merchant_id")
    if merchant is not None:
        found = con.execute(
            "select 1 from core_merchants where merchant_id = $1 limit 1", [merchant]
        ).fetchone()
        if found is None:
            raise InputMissing(
                f"The lake has no merchant {merchant}.",
                remedy="Its merchants: ccare sql -c 'select merchant_id, name from merchants_current'.",
            )
    for name, value in values.items():
        if isinstance(value, date) and value > last:
            raise InputMissing(
                f"{name} is {value}; the last published day is {last}.", remedy="Give a day until then."
            )


def read_query(file: Path) -> str:
    """A query's text; InputMissing or UsageError where the file holds none."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputMissing(
            f"{file} cannot be read ({error.strerror}).", remedy="Give a file with a query."
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8 text.", remedy="Give a file with a query.") from None


def _values(asked: Question, given: Mapping[str, str]) -> dict[str, Any]:
    known = {p.name: p for p in asked.parameters}
    _refuse_unknown(asked.name, given, list(known))
    return {n: p.read(str(given[n])) if n in given else p.default for n, p in known.items()}


def _own_values(sql: str, given: Mapping[str, str]) -> dict[str, Any]:
    if own := headed(sql):
        return _values(own, given)
    wanted = _statement(sql).named_parameters
    _refuse_unknown("The query", given, sorted(wanted))
    missing = sorted(set(wanted) - set(given))
    if missing:
        raise UsageError(
            f"The query needs a value for {', '.join(missing)}.",
            remedy=f"Add --param {missing[0]}=VALUE.",
        )
    return dict(given)


def _refuse_unknown(what: str, given: Mapping[str, str], known: list[str]) -> None:
    for name in given:
        if name not in known:
            near = get_close_matches(name, known) or known
            raise UsageError(
                f"{what} has no parameter {name}.",
                remedy=f"Did you mean {' or '.join(near)}?" if near else "It takes none.",
            )


def _statement(sql: str) -> duckdb.Statement:
    """The one SELECT in ``sql``; UsageError otherwise."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise _refused(error) from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise UsageError(
            "Only one query that reads can be run here.",
            remedy="Give one SELECT (a PIVOT with its values in an IN list), or open the catalogue itself.",
        )
    return statements[0]


def _run(con: duckdb.DuckDBPyConnection, lake: Path, sql: str, values: Mapping[str, Any]) -> Result:
    statement = _statement(sql)
    con.execute("set allowed_directories = $1", [[str(lake)]])
    con.execute("set enable_external_access = false")
    con.execute("set lock_configuration = true")
    try:
        cursor = con.execute(statement, values or None)
        return [column[0] for column in cursor.description or []], cursor.fetchall()
    except duckdb.Error as error:
        raise _refused(error) from None


def _refused(error: duckdb.Error) -> UsageError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" ^")]
    return UsageError(f"DuckDB says: {lines[0]}", remedy=" ".join(lines[1:3]))
