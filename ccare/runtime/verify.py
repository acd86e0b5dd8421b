"""``ccare verify``: every table, the manifest and the ledger's laws, from the bytes up.

Commit files are hashed before anything is opened; then rows are counted and summed by an engine that did not
write them.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path

import duckdb

from ccare.errors import IntegrityBroken
from ccare.growth.snapshot import connect, gained_columns, name_of
from ccare.ledger.laws import LEDGER_TABLES, check_laws
from ccare.runtime import deltalog, manifest
from ccare.runtime.controls import REPAIRED, TOLD, control_totals
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings
from ccare.runtime.trail import appended_only, beyond
from ccare.tables import Table, stored_tables


@dataclass(frozen=True)
class Check:
    """One thing that was checked."""

    name: str
    ok: bool
    detail: str = ""


@dataclass
class Verified:
    """Every check in order; ``ok`` when all hold."""

    checks: list[Check] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


def verify_lake(
    settings: Settings, said: Callable[[str], None], progress: Callable[[str], None] | None = None
) -> Verified:
    """Check the whole lake; what cannot be read is a broken check of its own, never an exception.

    ``progress`` is told of each check that holds as soon as it is done: a lake of years takes minutes.
    """
    result, since = Verified(), time.monotonic()
    for check in _checks(settings):
        result.checks.append(check)
        if check.ok and progress:
            progress(f"{time.monotonic() - since:6.1f} s  ok  {check.name}: {check.detail}")
        if not check.ok:
            said(f"BROKEN {check.name}: {check.detail}")
    said(f"{sum(c.ok for c in result.checks)} of {len(result.checks)} checks hold")
    return result


def _checks(settings: Settings) -> Iterator[Check]:
    lake = settings.lake
    try:
        rows = manifest.published(lake)
    except IntegrityBroken as error:
        yield Check("run_manifest", False, error.message)
        return
    yield Check("run_manifest", True, f"{len(rows)} runs, chain unbroken")
    if not rows:
        return
    logs = list(_log_checks(lake, rows))
    yield from logs
    if not all(check.ok for check in logs):
        return
    last = rows[-1]
    files = list(_file_checks(lake, last))
    yield from files
    if not all(check.ok for check in files):
        return
    try:
        con = connect(lake, last)
    except Exception as error:
        yield Check("tables", False, str(error)[:300])
        return
    for table in stored_tables():
        if table.name in last.table_versions:
            yield _table_check(con, lake, table, last)
    yield _control_check(lake, last)
    yield from _fate_checks(con)
    yield _trade_check(con)
    yield from _run_checks(con, rows)
    closes = [row.business_date for row in rows if row.kind == "close"]
    yield from _law_checks(con, closes[-1] if closes else None)
    yield from _trail_checks(lake, last)


def _log_checks(lake: Path, rows: list[Published]) -> Iterator[Check]:
    """Every published commit file still has the bytes that were published."""
    seen: set[tuple[str, int]] = set()
    newest, anew = rows[-1], set[str]()
    for row in reversed(rows):
        for name, version in sorted(row.table_versions.items()):
            if (name, version) in seen or name in anew:
                continue
            seen.add((name, version))
            gone = not deltalog.commit_file(lake, name, version).exists()
            if gone and row is not newest:
                continue  # old commits may be cleaned up after their retention
            if gone:
                yield Check(name, False, f"its published commit {version} is gone")
            elif deltalog.commit_sha256(lake, name, version) != row.log_sha256[name]:
                yield Check(name, False, f"its commit {version} is not the one that was published")
        anew |= {name.removesuffix(REPAIRED) for name in row.control_totals if name.endswith(REPAIRED)}
    yield Check("commit files", True, f"{len(seen)} compared")


def _file_checks(lake: Path, last: Published) -> Iterator[Check]:
    """Every data file of the published versions stands there, as long as its log says."""
    sound = 0
    for name, version in sorted(last.table_versions.items()):
        try:
            lost = deltalog.lost_files(lake, name, version)
        except IntegrityBroken as error:
            yield Check(name, False, error.message)
            continue
        sound += not lost
        if lost:
            yield Check(
                name, False, f"it has lost {len(lost)} data file(s) of what is published, such as {lost[0]}"
            )
    yield Check("data files", sound == len(last.table_versions), f"{sound} tables have theirs")


def _table_check(con: duckdb.DuckDBPyConnection, lake: Path, table: Table, last: Published) -> Check:
    """Rows as published, keys unique, required columns present; any failure to read is this table's.

    A column that older rows were written without is null there: it is not asked for.
    """
    key = ", ".join(name_of(name) for name in table.key)
    gained = gained_columns(lake, table, last.table_versions[table.name])
    needed = [c for c in table.columns if not c.nullable and c.name not in gained]
    absent = [f"count(*) filter ({name_of(c.name)} is null)" for c in needed]
    try:
        query = f"select count(*), {' + '.join(absent) or '0'} from {name_of(table.name)}"
        count, nulls = con.execute(query).fetchone() or (0, 0)
        repeated = con.execute(
            f"select count(*) from (select 1 from {name_of(table.name)} group by {key} having count(*) > 1)"
        ).fetchone()
    except duckdb.Error as error:
        return Check(table.name, False, f"it cannot be read: {str(error)[:200]}")
    if count != last.rows[table.name]:
        return Check(table.name, False, f"{count} rows, {last.rows[table.name]} were published")
    if repeated and repeated[0]:
        return Check(
            table.name, False, f"{repeated[0]} keys stand more than once; the grain is {table.grain}"
        )
    if nulls:
        return Check(table.name, False, f"{nulls} required values are null")
    return Check(table.name, True, f"{count} rows")


def _control_check(lake: Path, last: Published) -> Check:
    try:
        found = control_totals(lake, last.table_versions)
    except duckdb.Error as error:
        return Check("control totals", False, str(error)[:200])
    for name, value in last.control_totals.items():
        if not name.endswith(TOLD) and found.get(name) != value:
            return Check(name.split(".")[0], False, f"{name} is {found.get(name)}, {value} was published")
    return Check("control totals", True, f"{len(found)} sums reproduced")


_FATES = """
select count(*) from raw_files
where file_status = 'taken' and rows_read <> rows_accepted + rows_duplicate + rows_rejected
"""
_ACCEPTED = """
select coalesce(sum(rows_accepted) filter (
         stream in ('payments', 'mini_program', 'life_account', 'vouchers', 'traffic')), 0),
       coalesce(sum(rows_rejected), 0),
       (select count(*) from core_payments where file_sha256 not in (
         select file_sha256 from raw_files where stream in ('alipay_bill', 'wechat_bill')))
       + (select count(*) from core_mini_program_events)
       + (select count(*) from core_life_account_events) + (select count(*) from core_voucher_events)
       + (select count(*) from core_traffic_hours),
       (select count(*) from core_rejected_events)
from raw_files
"""
_STATE = """
select (select coalesce(sum(gmv_fen), 0) from state_merchant_days),
       (select coalesce(sum(gmv_fen), 0) from state_user_days),
       (select coalesce(sum(amount_fen), 0) from core_payments where event_type = 'paid'
         and greatest(taken_on, business_date) <= ?)
"""


_TRADES = """
select count(*) from (
    select 1 from core_payments where event_type = 'paid' group by merchant_id, trade_no having count(*) > 1)
"""


def _fate_checks(con: duckdb.DuckDBPyConnection) -> Iterator[Check]:
    broken = con.execute(_FATES).fetchone()
    yield Check("row fates", not (broken and broken[0]), f"{broken[0] if broken else 0} files do not add up")
    accepted, rejected, core, kept = con.execute(_ACCEPTED).fetchone() or (0, 0, 0, 0)
    same = accepted == core and rejected == kept
    yield Check("rows taken", same, f"{accepted} accepted, {core} in core; {rejected} refused, {kept} kept")
    closed = con.execute("select max(business_date) from run_manifest where kind = 'close'").fetchone()
    days, pairs, paid = con.execute(_STATE, [closed[0] if closed else None]).fetchone() or (0, 0, 0)
    yield Check("gmv_fen", days == pairs == paid, f"merchant days {days}, user days {pairs}, payments {paid}")


def _trade_check(con: duckdb.DuckDBPyConnection) -> Check:
    """An ingest looks for a trade among the late window's rows only; a reused event id is found by the table's key."""
    (again,) = con.execute(_TRADES).fetchone() or (0,)
    return Check("trades paid once", not again, f"{again} trades of core_payments are paid more than once")


def _run_checks(con: duckdb.DuckDBPyConnection, rows: list[Published]) -> Iterator[Check]:
    """L10 and L11: versions never go back, days close in order, every transfer's run is published."""
    for before, after in pairwise(rows):
        for name, version in before.table_versions.items():
            if after.table_versions.get(name, -1) < version:
                yield Check("L10", False, f"{name} went back from version {version} in run {after.seq}")
                return
    closes = [row.business_date for row in rows if row.kind == "close"]
    ordered = all((b - a).days == 1 for a, b in pairwise(closes))
    yield Check(
        "L10", ordered, f"{len(closes)} days closed, {'in order' if ordered else 'not one after another'}"
    )
    runs = {row.run_id for row in rows}
    found = {r[0] for r in con.execute("select distinct run_id from ledger_transfers").fetchall()}
    yield Check("L11", found <= runs, f"{len(found - runs)} runs of transfers are not in the manifest")


def _law_checks(con: duckdb.DuckDBPyConnection, closed: date | None) -> Iterator[Check]:
    for result in check_laws(con, {name: name for name in LEDGER_TABLES}, closed):
        yield Check(result.law, result.ok, result.detail)


def _trail_checks(lake: Path, last: Published) -> Iterator[Check]:
    """Append-only tables only grew; and L14: a failed or refused run left what is published as it was."""
    for table in stored_tables():
        if table.append_only and table.name in last.table_versions:
            fault = appended_only(lake, table)
            yield Check(f"{table.name} log", not fault, fault or "rows were only ever added")
    fault = beyond(lake, last)
    yield Check("L14", not fault, fault or "nothing stands beyond what is published but the open run's work")
