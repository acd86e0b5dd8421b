"""The day's part of the laws: a lawful close passes, and each fault in what is about to be posted is named."""

import duckdb
import pytest
from books_lake import LAST, closed_books, run_id
from ledger_world import NAMES, arrow, as_tables

from ccare.ledger.day_laws import BALANCED, RELATIONS, STAGED, broken
from ccare.runtime.audit import _differences

RUN = run_id(LAST)


def books(closed):
    rows = as_tables(closed_books(closed))
    for row in rows["ledger_transfers"]:
        row["run_id"] = run_id(row["booked_date"])
    return rows


BEFORE, AFTER = books(5), books(6)


def staged():
    """A connection that shows the sixth close of the tiny books on top of the fifth."""
    con = duckdb.connect()
    for kind, rows in (("old", BEFORE), ("new", AFTER)):
        for name in NAMES:
            told = [r for r in rows[name] if r.get("booked_date") == LAST] if _own(kind, name) else rows[name]
            con.register("given", arrow(name, told))
            con.execute(f"create table {kind}_{name.removeprefix('ledger_')} as from given")
    assert {name for (name,) in con.execute("select table_name from duckdb_tables()").fetchall()} >= {
        *RELATIONS
    }
    return con


def _own(kind, name):
    return kind == "new" and name == "ledger_transfers"


def test_a_lawful_close_passes():
    con = staged()
    found = con.execute("select count(*), count(distinct code) from new_transfers").fetchone()
    assert (
        found == (len(AFTER["ledger_transfers"]) - len(BEFORE["ledger_transfers"]), found[1]) and found[1] > 5
    )
    assert broken(con, STAGED, LAST.isoformat(), RUN) is None
    assert broken(con, BALANCED, LAST.isoformat(), RUN) is None


T, L, P, B, Q, A = (f"new_{name.removeprefix('ledger_')}" for name in NAMES)
FAULTS = [
    ("L1", f"update {B} set balance = balance + 1 where account = 'world:funding'", "sum to 1"),
    ("L2", f"insert into {T} select * from {T} where code = 'void'", "void"),
    ("L3", f"update {T} set amount = amount + 1 where code = 'earn'", "content hash"),
    ("L3", f"update {T} set run_id = 'stranger' where code = 'earn'", "which is another close"),
    (
        "L4",
        f"update {B} set balance = balance - 200000 where account = 'pool:p:available';"
        f"update {B} set balance = balance + 200000 where account = 'merchant:b:active' and asset = 'POINT'",
        "pool:p:available would stand at -",
    ),
    ("L5", f"update {L} set taken = taken + 1 where merchant_id = 'a'", "its parts sum to"),
    ("L6", f"update {P} set debt = debt + 1 where merchant_id = 'a'", "its keys owe"),
    ("L7", f"update {A} set amount = amount + 1000 where leg = 1", "allocated to reservations"),
    ("L8", f"update {Q} set settled = settled + 1, voided = voided - 1 where request_id = 'r1'", "r1 is kept as"),
    ("L8", f"delete from {Q} where request_id = 'r3'", "r3 is kept as 0 reserved"),
    (
        "L8",
        "update old_requests set resolved_on = decided_on where request_id = 'r1'",
        "was resolved before",
    ),
    ("L9", "insert into old_lots from (from new_lots order by booked_date desc limit 1)", "granted again"),
    ("L12", f"delete from {T} where code = 'earn'", "Balance of"),
    ("L12", f"update {B} set transfers = transfers + 1 where account = 'pool:p:available'", "Balance of pool:p"),
    (
        "L12",
        f"update {L} set active = active - 1, expired = expired + 1 where active > 0",
        "would be cached with",
    ),
    (
        "L15",
        f"update {L} set matures_on = booked_date, booked_date = booked_date - 1 where pending > 0",
        "pending on",
    ),
    ("L15", f"update {L} set expires_on = booked_date where active > 0", "active on"),
    ("L12", "insert into old_lots select * replace ('gone' as lot_id) from old_lots limit 1", "Lot gone"),
]  # fmt: skip


@pytest.mark.parametrize(("law", "fault", "said"), FAULTS, ids=[f"{f[0]}-{f[2]}" for f in FAULTS])
def test_a_fault_in_what_is_about_to_be_posted_is_named(law, fault, said):
    con = staged()
    for each in fault.split(";"):
        assert con.execute(each).fetchone()[0] > 0, "the fault touches nothing"
    found = broken(con, STAGED, LAST.isoformat(), RUN)
    assert found is not None and found.law == law, found
    assert said in found.detail


def test_debt_beside_usable_points_is_named():
    con = staged()
    con.execute(
        f"insert into {B} select 'merchant:z:' || part, 'POINT', n, 0, 0, 1, null from "
        "(values ('active', 5), ('debt', -5)) v(part, n)"
    )
    found = broken(con, STAGED, LAST.isoformat(), RUN)
    assert (found.law, found.detail) == ("L4", "merchant:z would have 5 active POINT beside a debt.")


def test_fields_that_differ_are_named():
    assert _differences((5, "a", *range(13)), (6, "a", *range(13))) == "amount is 5 there and 6 now"
