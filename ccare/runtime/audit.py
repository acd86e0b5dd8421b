"""The audit of a close's postings: its staging before anything is merged, and the tables before it is published."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb

from ccare.errors import IntegrityBroken
from ccare.growth.snapshot import name_of, view_sql
from ccare.ledger.day_laws import BALANCED, STAGED, broken
from ccare.runtime import deltalog
from ccare.runtime.staging import staged_files
from ccare.tables import REGISTRY, table

if TYPE_CHECKING:
    from ccare.runtime.run import Run

_NEW = ("ledger_lots", "ledger_positions", "ledger_balances", "ledger_requests", "ledger_allocations")
_OLD = ("ledger_lots", "ledger_balances", "ledger_requests")
_CACHES = ("ledger_positions", "ledger_lots", "ledger_balances")
TRANSFERS = "ledger_transfers"
_POSTINGS = """
select count(*), coalesce(sum(amount), 0)::hugeint,
    coalesce(sum(('0x' || transfer_id[:15])::bigint), 0)::hugeint,
    coalesce(sum(('0x' || content_hash[:15])::bigint), 0)::hugeint
from new_transfers
"""
_POSTED = ("rows", "amount", "ids", "contents")
"""What is kept of the postings, in this order: sums over the hashes do not depend on the order of rows."""


def audit_staged(run: "Run") -> dict[str, int]:
    """Hold what is about to be posted against the pinned ledger; returns the totals that the tables must show.

    IntegrityBroken names the law that would be broken; nothing is merged then.
    """
    with _connected(f"The staging of {run.close.day}") as con:
        _show_staged(con, TRANSFERS, "new_transfers", run)
        for name in dict.fromkeys((TRANSFERS, *_OLD, *_CACHES)):
            _show_stored(con, name, _as("old", name), run, run.as_published.get(name))
        for name in _NEW:
            _show_staged(con, name, _as("new", name), run)
        large = run.close.large_books
        if large:
            _show_lots_apart(con, run)
        _require_same_content(con, run)
        day = run.close.day.isoformat()
        found = broken(con, STAGED, day, run.record.run_id, lots_apart=large)
        if found is not None:
            raise IntegrityBroken(
                f"What {run.close.day} is about to post breaks {found.law}: {found.detail}",
                remedy="Nothing was posted. See docs/how-to/recover.md.",
            )
        return _totals(con) | {f"{name}.rows": _rows(con.view(_as("new", name))) for name in _CACHES}


def audit_posted(run: "Run", versions: dict[str, int]) -> None:
    """Hold the tables that are about to be published against what was staged and what was published before.

    IntegrityBroken names the law; the manifest does not show the day then. A run that posts nothing passes.
    """
    wanted = run.record.postings
    if not wanted or TRANSFERS not in versions:
        return
    lake, day = run.settings.lake, run.close.day.isoformat()
    for name in _CACHES:
        rows = deltalog.partition_rows(lake, name, versions.get(name), ())
        if rows != wanted[f"{name}.rows"]:
            raise _not_published(run, name, f"L12: {rows} rows, {wanted[f'{name}.rows']} were staged")
    with _connected("A table of the ledger") as con:
        sql = view_sql(lake, table(TRANSFERS), versions[TRANSFERS], [day])
        con.execute(f"create table new_transfers as {sql}")
        for kind, pins in (("new", versions), ("old", run.as_published)):
            name = "ledger_balances"
            _show_stored(con, name, _as(kind, name), run, pins.get(name))
        found = _totals(con)
        if found["rows"] != wanted["rows"] or found["ids"] != wanted["ids"]:
            raise _not_published(
                run, TRANSFERS, f"L2: {found['rows']} transfers of {day}, {wanted['rows']} others were staged"
            )
        if found != {name: wanted[name] for name in found}:
            raise _not_published(run, TRANSFERS, f"L3: the transfers of {day} are not those that were staged")
        law = broken(con, BALANCED, day, run.record.run_id)
        if law is not None:
            raise _not_published(run, "ledger_balances", f"{law.law}: {law.detail}")


def _not_published(run: "Run", name: str, what: str) -> IntegrityBroken:
    return IntegrityBroken(
        f"Table {name} does not hold what {run.close.day} staged: {what.rstrip('.')}.",
        remedy="The day is not published. Find who else writes to the lake; see docs/how-to/recover.md.",
    )


@contextmanager
def _connected(what: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection; ``what`` cannot be read where DuckDB says so."""
    try:
        with duckdb.connect() as con:
            con.execute("set TimeZone = 'UTC'")
            yield con
    except duckdb.Error as error:
        raise IntegrityBroken(
            f"{what} cannot be read: {str(error)[:200]}", remedy="See docs/how-to/recover.md."
        ) from None


def _as(kind: str, name: str) -> str:
    return f"{kind}_{name.removeprefix('ledger_')}"


def _show_staged(con: duckdb.DuckDBPyConnection, name: str, shown: str, run: "Run") -> None:
    """A view of a staged table's rows; typed and empty where none were staged.

    Of large books only the rows that change are staged: what is shown has the others as they were published.
    """
    files, partly = staged_files(run, name), run.close.large_books and name in _CACHES
    if not files and partly:
        con.execute(f"create view {shown} as from {_as('old', name)}")
        return
    if not files:
        con.execute(f"create view {shown} as {view_sql(run.settings.lake, table(name), None)}")
        return
    columns = ", ".join(map(name_of, REGISTRY[name].column_names))
    staged = con.read_parquet(files).project(columns)
    if partly:
        keys = ", ".join(map(name_of, REGISTRY[name].key))
        others = con.view(_as("old", name)).join(staged, keys, how="anti").project(columns)
        others.union(staged).create_view(shown)
        return
    staged.create_view(shown)


def _show_lots_apart(con: duckdb.DuckDBPyConnection, run: "Run") -> None:
    """The staged lots, and the published ones that they come of or that a transfer names: any other stays as it is."""
    files = staged_files(run, "ledger_lots")
    staged = con.read_parquet(files) if files else con.view("new_lots").limit(0)
    staged.create_view("staged_lots")
    moved = con.view("new_transfers").filter("lot_id is not null").project("lot_id")
    named = staged.project("lot_id").union(moved)
    con.view("old_lots").join(named, "lot_id", how="semi").create_view("met_lots")


def _show_stored(
    con: duckdb.DuckDBPyConnection, name: str, shown: str, run: "Run", version: int | None
) -> None:
    con.execute(f"create view {shown} as {view_sql(run.settings.lake, table(name), version)}")


def _totals(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    found = con.execute(_POSTINGS).fetchone()
    assert found is not None
    return dict(zip(_POSTED, map(int, found), strict=True))


def _rows(shown: duckdb.DuckDBPyRelation) -> int:
    found = shown.count("*").fetchone()
    return int(found[0]) if found else 0


_OTHER = """
select count(*), min(n.transfer_id) from old_transfers o join new_transfers n using (transfer_id)
where o.content_hash <> n.content_hash
"""
_COVERED = (
    *("amount", "debit_account", "credit_account", "asset", "code", "programme", "merchant_id"),
    *("service_provider_id", "lot_id", "effective_date", "expires_on", "booked_date"),
    *("business_key", "leg", "revision"),
)
"""Fields that a content hash covers, those that tell most first."""


def _require_same_content(con: duckdb.DuckDBPyConnection, run: "Run") -> None:
    """Every id that was ever posted is looked at: DuckDB reads two columns, and no Spark job starts."""
    count, transfer_id = con.execute(_OTHER).fetchone() or (0, None)
    if not count:
        return
    names = ", ".join(_COVERED)
    same = duckdb.ColumnExpression("transfer_id") == duckdb.ConstantExpression(transfer_id)
    posted, asked = (
        con.view(side).filter(same).project(names).fetchone() for side in ("old_transfers", "new_transfers")
    )
    differs = _differences(posted or (), asked or ())
    raise IntegrityBroken(
        f"Transfer {transfer_id} is posted with other content: {differs}; {count} of {run.close.day} are.",
        remedy="Nothing was posted. An approval, a policy or an earlier posting was edited: put it back as it was.",
    )


def _differences(posted: tuple[Any, ...], asked: tuple[Any, ...]) -> str:
    """Every field that differs, with what is posted and what is asked for now."""
    told = [
        f"{name} is {was} there and {now} now"
        for name, was, now in zip(_COVERED, posted, asked, strict=True)
        if was != now
    ]
    return ", ".join(told) or "a content hash that its fields do not give"
