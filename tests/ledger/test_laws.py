"""The laws hold on a lawful ledger, and each deliberate fault turns its law red and says where."""

from datetime import date, timedelta

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_reference import Ledger, Shop, Terms
from ledger_world import NAMES, TRAFFIC, World, arrow, as_tables

from ccare.ledger.laws import HELD, check_laws

D0 = date(2026, 1, 30)
POINTS = dict.fromkeys(("a", "b", "c", "x"), 500)
SHOP = Shop(runs=2, settles=3)


def d(n):
    return D0 + timedelta(days=n)


def history():
    """Eight closes of four merchants: a fall, a lapse, expiries, a debt repaid in part, three redemptions.

    Of c's 100 points, r1 spends 30 of 60 and gives 30 back to a lot that is past its last day; r2 gives 20 back a
    day later; r3 is not resolved yet.
    """
    world = World()
    sale = world.sell("a", 100_000, d(0))
    world.sell("a", 50_000, d(1))
    world.refund(sale, 30_000, d(4))
    lapsing = world.sell("b", 40_000, d(0))
    world.refund(lapsing, 40_000, d(6))
    world.sell("x", 10_000, d(0))
    world.sell("x", 3_000, d(4))
    world.sell("c", 100_000, d(0))
    for number, points, n in (("r1", 60, 3), ("r2", 20, 4), ("r3", 20, 5), ("r4", 9, 5)):
        world.ask(number, "c", points, d(n))
    world.deliver("r1", "c", 300, d(4))
    ledger = Ledger(Terms(3, 2), D0, shop=SHOP)
    for n in range(8):
        asks, served = world.servable(d(n), D0), world.served(ledger, d(n))
        ledger.close(d(n), world.nets(d(n), 30), POINTS, [("A-1", D0, 10_000), TRAFFIC], asks, served)
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


def laws(tables=LAWFUL, *faults, closed=None):
    con = duckdb.connect()
    for name in NAMES:
        con.register(f"given_{name}", tables[name])
        con.execute(f"create table {name} as select * from given_{name}")
    for fault in faults:
        assert con.execute(fault).fetchone()[0] > 0, "the fault touches nothing"
    return {result.law: result for result in check_laws(con, {name: name for name in NAMES}, closed)}


def test_a_lawful_ledger_holds_them_all():
    found = laws()
    assert list(found) == list(HELD)
    assert [r.detail for r in found.values() if not r.ok] == []
    assert {t["code"] for t in LAWFUL["ledger_transfers"].to_pylist()} == {
        *("fund", "earn", "activate", "expire", "fall", "debt", "repay", "reserve", "settle", "void")
    }
    spent = {r["request_id"]: r["status"] for r in LAWFUL["ledger_requests"].to_pylist()}
    assert spent == {"r1": "settled", "r2": "voided", "r3": "reserved", "r4": "refused"}


def test_an_empty_ledger_is_lawful():
    assert all(r.ok for r in laws({name: arrow(name) for name in NAMES}).values())


T, L, P, B, Q, A = NAMES
FAULTS = [
    ("L1", f"update {B} set balance = balance + 1 where account = 'sink:expired'", "sum to 1"),
    ("L2", f"insert into {T} select * from {T} where code = 'fund'", "has 2 transfers fund"),
    ("L3", f"update {T} set amount = 0 where code = 'fall'", "moves no positive amount"),
    ("L3", f"update {T} set credit_account = 'sink:expired' where code = 'fall'", "does not join"),
    ("L3", f"update {T} set amount = amount + 1 where code = 'expire'", "content hash"),
    ("L3", f"update {T} set leg = 7 where code = 'fall'", "an id that its fields do not give"),
    ("L3", f"update {T} set merchant_id = 'b' where merchant_id = 'a'", "another party"),
    (
        "L3",
        f"update {T} set merchant_id = null, service_provider_id = 'a' where merchant_id = 'a'",
        "another party",
    ),
    ("L3", f"update {T} set service_provider_id = 'p' where merchant_id = 'a'", "names two parties"),
    ("L3", f"update {T} set merchant_id = null where code = 'earn'", "names its party wrongly"),
    (
        "L3",
        f"update {T} set credit_account = 'provider:a:active' where code = 'activate' and merchant_id = 'a'",
        "joins two parties",
    ),
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
    ("L7", f"update {A} set amount = amount + 100 where leg = 1", "allocated to reservations"),
    (
        "L8",
        f"update {T} set booked_date = booked_date + 1 where code = 'void' and asset = 'POINT'",
        "on 2 days",
    ),
    ("L8", f"update {T} set amount = amount + 1 where code = 'settle'", "was resolved as 31 settled"),
    (
        "L8",
        f"update {Q} set settled = settled + 1 where status = 'settled'",
        "is kept as settled with 60 points, 31",
    ),
    ("L8", f"delete from {Q} where request_id = 'r3'", "is kept as unknown"),
    ("L8", f"update {A} set settled = 0 where settled = 30", "has allocations of 60"),
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
    ("L15", f"delete from {T} where code = 'activate' and merchant_id = 'x'", "pending on"),
    ("L15", f"delete from {T} where code = 'expire'", "active on"),
]


@pytest.mark.parametrize(("law", "fault", "said"), FAULTS, ids=[f"{f[0]}-{f[2]}" for f in FAULTS])
def test_a_fault_turns_its_law_red_and_says_where(law, fault, said):
    result = laws(LAWFUL, fault)[law]
    assert not result.ok
    assert said in result.detail


class Forgetful(Ledger):
    """A ledger that once forgets what time does, and makes up for it a day later: its books balance all the same."""

    forgets = ("activate_and_pay", None)

    def activate_and_pay(self):
        if self.forgets != ("activate_and_pay", self.day):
            super().activate_and_pay()

    def expire(self):
        if self.forgets != ("expire", self.day):
            super().expire()


@pytest.mark.parametrize(
    ("step", "on", "said"),
    [
        ("activate_and_pay", 3, f"pending on {d(3)}, and matured on"),
        ("expire", 6, f"active on {d(6)}, and its last"),
    ],
)
@pytest.mark.parametrize("closes", [None, 9], ids=["on the last day closed", "made up for later"])
def test_what_time_should_have_done_and_did_not_breaks_that_law_alone(step, on, said, closes):
    world, ledger = World(), Forgetful(Terms(3, 2), D0)
    ledger.forgets = (step, d(on))
    world.sell("a", 100_000, d(0))
    for n in range(closes or on + 1):
        ledger.close(d(n), world.nets(d(n), 30), POINTS, [("A-1", D0, 10_000)])
    found = laws({name: arrow(name, rows) for name, rows in as_tables(ledger).items()}, closed=d(n))
    assert {law: r.detail.split(" had ")[-1] for law, r in found.items() if not r.ok}.keys() == {"L15"}
    assert said in found["L15"].detail


DAYS = st.integers(0, 9)
SALES = st.lists(st.tuples(st.sampled_from("abc"), DAYS, st.integers(0, 3), st.integers(1, 90)), max_size=12)
REFUNDS = st.lists(st.tuples(st.integers(0, 99), DAYS, st.integers(1, 100)), max_size=8)


ASKS = st.lists(
    st.tuples(st.sampled_from("abc"), DAYS, st.integers(0, 60), st.sampled_from("rstu")), max_size=6
)
FALLS = st.sampled_from([{}, {"only_pending": True}, {"skips_others": True}])
SERVED = st.lists(st.tuples(st.sampled_from("rstu"), DAYS, st.integers(0, 500)), max_size=6)


@settings(max_examples=60, deadline=None)
@given(SALES, REFUNDS, ASKS, SERVED, st.integers(1, 150), FALLS)
def test_the_reference_ledger_is_lawful_whatever_happens(sales, refunds, asks, served, funded, policy):
    world = World()
    made = [world.sell(m, thousand * 1_000, d(n), d(n + late)) for m, n, late, thousand in sales]
    for index, n, percent in refunds:
        if made:
            sale = made[index % len(made)]
            left = sale.amount - sum(r.amount for r in world.refunds if r.sale is sale)
            world.refund(sale, left * percent // 100, max(d(n), sale.paid))
    for m, n, points, number in asks:
        world.ask(number, m, points, d(n), says=f"{m}{n}{points}")
    for number, n, impressions in served:
        for m in "abc":
            world.deliver(number, m, impressions, d(n))
    ledger = Ledger(Terms(2, 3, **policy), D0, shop=SHOP)
    fundings = [("A-1", D0, funded), ("A-2", d(4), 20), TRAFFIC]
    for n in range(15):
        given = world.servable(d(n), D0), world.served(ledger, d(n))
        ledger.close(d(n), world.nets(d(n), 30), {}, fundings, *given)
    found = laws({name: arrow(name, rows) for name, rows in as_tables(ledger).items()}, closed=d(14))
    assert [r.detail for r in found.values() if not r.ok] == []
