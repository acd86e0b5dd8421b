"""The laws hold on a lawful ledger, and each deliberate fault turns its law red and says where."""

from datetime import date, timedelta

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_reference import Ledger, Terms
from ledger_world import NAMES, World, arrow, as_tables

from ccare.ledger.laws import HELD, check_laws

D0 = date(2026, 1, 30)
POINTS = dict.fromkeys(("a", "b", "x"), 500)


def d(n):
    return D0 + timedelta(days=n)


def history():
    """Eight closes of three merchants with a fall, a lapse, an expiry, and a debt repaid in part."""
    world = World()
    sale = world.sell("a", 100_000, d(0))
    world.sell("a", 50_000, d(1))
    world.refund(sale, 30_000, d(4))
    lapsing = world.sell("b", 40_000, d(0))
    world.refund(lapsing, 40_000, d(6))
    world.sell("x", 10_000, d(0))
    world.sell("x", 3_000, d(4))
    ledger = Ledger(Terms(3, 2), D0)
    for n in range(8):
        ledger.close(d(n), world.nets(d(n), 30), POINTS, [("A-1", D0, 10_000)])
        if n == 6:
            owe(ledger, f"f|trade_net|x|{D0}", 4)
    return ledger


def owe(ledger, key, points):
    """What a fall does once its points were spent: debt."""
    p = ledger.positions[key]
    p.net, p.asked, p.debt, p.revision = p.net - points, p.asked - points, p.debt + points, p.revision + 1
    ledger.asked_at[key, p.revision] = p.asked
    ledger.post("debt", f"merchant:{p.merchant}:debt", "pool:p:receivable", points, key, 1, p.revision)


LAWFUL = {name: arrow(name, rows) for name, rows in as_tables(history()).items()}


def laws(tables=LAWFUL, *faults):
    con = duckdb.connect()
    for name in NAMES:
        con.register(f"given_{name}", tables[name])
        con.execute(f"create table {name} as select * from given_{name}")
    for fault in faults:
        assert con.execute(fault).fetchone()[0] > 0, "the fault touches nothing"
    return {result.law: result for result in check_laws(con, {name: name for name in NAMES})}


def test_a_lawful_ledger_holds_them_all():
    found = laws()
    assert list(found) == list(HELD)
    assert [r.detail for r in found.values() if not r.ok] == []
    assert {t["code"] for t in LAWFUL["ledger_transfers"].to_pylist()} == {
        *("fund", "earn", "activate", "expire", "fall", "debt", "repay")
    }


def test_an_empty_ledger_is_lawful():
    assert all(r.ok for r in laws({name: arrow(name) for name in NAMES}).values())


T, L, P, B = NAMES
FAULTS = [
    ("L1", f"update {B} set balance = balance + 1 where account = 'sink:expired'", "sum to 1"),
    ("L2", f"insert into {T} select * from {T} where code = 'fund'", "has 2 transfers fund"),
    ("L3", f"update {T} set amount = 0 where code = 'fall'", "moves no positive amount"),
    ("L3", f"update {T} set credit_account = 'sink:expired' where code = 'fall'", "does not join"),
    ("L3", f"update {T} set amount = amount + 1 where code = 'expire'", "content hash"),
    ("L3", f"update {T} set leg = 7 where code = 'fall'", "an id that its fields do not give"),
    ("L3", f"update {T} set merchant_id = 'b' where merchant_id = 'a'", "another merchant"),
    ("L3", f"update {T} set code = 'gift' where code = 'earn'", "does not join"),
    ("L3", f"update {T} set lot_id = null where code = 'activate'", "names a lot wrongly"),
    ("L3", f"update {T} set asset = 'EURO' where code = 'fund'", "has no known asset"),
    ("L3", f"update {T} set matures_on = expires_on + 1 where code = 'earn'", "before it matures"),
    ("L4", f"delete from {T} where code = 'activate' and merchant_id = 'a'", "merchant:a:active stood at -"),
    (
        "L4",
        f"update {T} set booked_date = booked_date + 3 where code = 'fund'",
        "pool:p:available stood at -",
    ),
    ("L4", f"delete from {T} where code = 'repay'", "beside a debt of 4"),
    ("L5", f"update {L} set taken = taken + 1 where merchant_id = 'a'", "its parts sum to"),
    (
        "L5",
        f"update {L} set active = active - 9, expired = expired + 9 where merchant_id = 'a'",
        "parts sum to",
    ),
    ("L6", f"update {T} set credit_account = 'pool:p:available' where code = 'expire'", "was funded with"),
    ("L6", f"update {P} set debt = debt + 1 where debt > 0", "its keys owe"),
    ("L7", f"update {T} set amount = amount + 500 where code = 'expire'", "more was taken out"),
    ("L9", f"update {T} set lot_id = 'other' where code = 'earn' and merchant_id = 'a'", "names another lot"),
    ("L9", f"update {T} set revision = 1 where code = 'fall'", "reversed by its own revision 1"),
    (
        "L12",
        f"update {B} set balance = balance + 1, credits = credits + 1 where account like '%active'",
        "Balance",
    ),
    ("L12", f"delete from {B} where account = 'world:funding'", "Balance of world:funding"),
    ("L12", f"update {L} set pending = pending + 1, amount = amount + 1 where merchant_id = 'x'", "Lot"),
    ("L12", f"delete from {P} where merchant_id = 'b'", "Position f|trade_net|b"),
    ("L12", f"update {P} set net = net + 1 where merchant_id = 'a'", "Position f|trade_net|a"),
    ("L12", f"update {P} set asked = asked + 1 where merchant_id = 'a'", "Position f|trade_net|a"),
]


@pytest.mark.parametrize(("law", "fault", "said"), FAULTS, ids=[f"{f[0]}-{f[2]}" for f in FAULTS])
def test_a_fault_turns_its_law_red_and_says_where(law, fault, said):
    result = laws(LAWFUL, fault)[law]
    assert not result.ok
    assert said in result.detail


DAYS = st.integers(0, 9)
SALES = st.lists(st.tuples(st.sampled_from("abc"), DAYS, st.integers(0, 3), st.integers(1, 90)), max_size=12)
REFUNDS = st.lists(st.tuples(st.integers(0, 99), DAYS, st.integers(1, 100)), max_size=8)


@settings(max_examples=150, deadline=None)
@given(SALES, REFUNDS, st.integers(1, 150), st.booleans())
def test_the_reference_ledger_is_lawful_whatever_happens(sales, refunds, funded, only_pending):
    world = World()
    made = [world.sell(m, thousand * 1_000, d(n), d(n + late)) for m, n, late, thousand in sales]
    for index, n, percent in refunds:
        if made:
            sale = made[index % len(made)]
            left = sale.amount - sum(r.amount for r in world.refunds if r.sale is sale)
            world.refund(sale, left * percent // 100, max(d(n), sale.paid))
    ledger = Ledger(Terms(2, 3, only_pending), D0)
    for n in range(13):
        ledger.close(d(n), world.nets(d(n), 30), {}, [("A-1", D0, funded), ("A-2", d(4), 20)])
    found = laws({name: arrow(name, rows) for name, rows in as_tables(ledger).items()})
    assert [r.detail for r in found.values() if not r.ok] == []
