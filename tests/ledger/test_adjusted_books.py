"""Fundings and adjustments through a close: booked once both halves have come, and every law still holds."""

from datetime import date, timedelta

import duckdb
import pytest
from ledger_reference import Terms
from ledger_world import ADJUSTED, NAMES, REFUSED, SparkBooks, World, policies

from ccare.ledger.approvals import asked_under
from ccare.ledger.laws import check_laws

D0 = date(2026, 3, 1)


def d(n):
    return D0 + timedelta(days=n)


def ask(world, kind, reference, taken, approved, by="Ben", **row):
    """``row`` asked by Ann, approved by ``by`` in the delivery of another day."""
    asked = {"approval": reference, "asked_by": "Ann", "content_hash": f"{reference}-{row}", **row}
    under = {"core_fundings": ([asked], []), "core_adjustments": ([], [asked])}[kind]
    digest = asked_under(*under, [])[reference].digest
    world.asked[kind].append(asked | {"taken_on": d(taken)})
    yes = {"approval": reference, "digest": digest, "approved_by": by, "content_hash": reference}
    world.asked["core_approvals"].append(yes | {"taken_on": d(approved)})


@pytest.fixture(scope="module")
def books(books_spark):
    """a's 100 points are active on days 1 and 2 and expire on day 3; the pool was funded with 1,000."""
    world = World(scores={"a": 50.0})
    world.sell("a", 100_000, D0)
    made = SparkBooks(books_spark, policies(D0, Terms(1, 1), [("A-1", D0, 1_000)]), D0)
    ask(world, "core_fundings", "F-1", 0, 1, pool="p", asset="POINT", amount=50, effective_date=D0)
    ask(world, "core_fundings", "F-2", 0, 1, by="ann", pool="p", asset="POINT", amount=60, effective_date=D0)
    ask(world, "core_fundings", "F-3", 0, 0, pool="nowhere", asset="POINT", amount=70, effective_date=D0)
    ask(world, "core_fundings", "A-1", 0, 0, pool="p", asset="POINT", amount=80, effective_date=D0)
    ask(world, "core_fundings", "F-4", 0, 0, pool="p", asset="POINT", amount=90, effective_date=d(3))
    ask(world, "core_fundings", "F-5", 0, 0, pool="p", asset="POINT", amount=5, effective_date=D0)
    # Written by hand under F-5, after it was approved; the approval of both comes on day 5.
    more = {"approval": "F-5", "asked_by": "Ann", "pool": "p", "asset": "POINT", "effective_date": D0}
    more |= {"amount": 7, "content_hash": "more", "taken_on": d(2)}
    world.asked["core_fundings"].append(more)
    world.asked["core_fundings"].append(
        more | {"approval": "F-6", "amount": 0, "content_hash": "6", "taken_on": D0}
    )
    digest = asked_under([more | {"approval": "F-6", "amount": 0}], [], [])["F-6"].digest
    yes = {"approval": "F-6", "digest": digest, "approved_by": "Ben", "content_hash": "6", "taken_on": D0}
    world.asked["core_approvals"] += [yes, yes | {"approval": "F-9", "content_hash": "9"}]
    made.close(world, D0)
    (earn,) = (t for t in made.rows("ledger_transfers") if t["code"] == "earn")
    ask(world, "core_adjustments", "J-1", 1, 2, transfer_id=earn["transfer_id"], amount=30, note="twice")
    for n in (1, 2, 3):
        made.close(world, d(n))
    (expiry,) = (t for t in made.rows("ledger_transfers") if t["code"] == "expire")
    assert expiry["amount"] == 70
    ask(world, "core_adjustments", "J-2", 4, 4, transfer_id=expiry["transfer_id"], amount=20, note="goodwill")
    ask(world, "core_adjustments", "J-3", 4, 4, transfer_id=expiry["transfer_id"], amount=1, note="again")
    for n in (4, 5):
        made.close(world, d(n))
    return made


def test_a_funding_is_booked_by_the_close_that_has_both_halves(books):
    funds = [(t["booked_date"], t["amount"]) for t in books.rows("ledger_transfers") if t["code"] == "fund"]
    assert sorted(funds) == [(D0, 5), (D0, 1_000), (d(1), 50), (d(3), 90)]


def test_a_funding_that_is_not_booked_is_kept_with_its_reason(books):
    kept = sorted(
        (r["business_key"], r["reason"], (r["decided_on"] - D0).days, r["amount"], r["programme"])
        for r in books.rows(REFUSED)
        if r["rule"] == "funding"
    )
    assert kept == [
        ("funding|nowhere|F-3", "unknown_pool", 0, 70, "nowhere"),
        ("funding|p|A-1", "already_funded", 0, 80, "f"),
        ("funding|p|F-2", "approved_by_asker", 1, 60, "f"),
        ("funding|p|F-5", "stale_approval", 2, 7, "f"),
        ("funding|p|F-6", "bad_amount", 0, 0, "f"),
    ]
    held = {r["account"]: r["balance"] for r in books.rows("ledger_balances")}
    assert held["world:funding"] == -1_145, "and nothing of it is booked"


def test_an_adjustment_takes_back_and_one_gives_back(books):
    moved = [
        ((t["booked_date"] - D0).days, t["debit_account"], t["credit_account"], t["amount"])
        for t in books.rows("ledger_transfers")
        if t["code"] == "adjust"
    ]
    assert moved == [
        (2, "merchant:a:active", "pool:p:available", 30),
        (4, "sink:expired", "merchant:a:pending", 20),
    ]
    (position,) = (p for p in books.rows("ledger_positions") if p["merchant_id"] == "a")
    assert (position["granted"], position["net"]) == (100, 70)
    lots = {lot["business_key"].split("|")[0]: lot for lot in books.rows("ledger_lots")}
    assert (lots["f"]["taken"], lots["f"]["expired"]) == (30, 70)
    assert lots["adjustment"]["active"] == 20, "it is usable in the close that booked it"


def test_what_was_refused_is_kept_with_its_reason(books):
    kept = {r["approval"]: (r["status"], r["refusal"]) for r in books.rows(ADJUSTED)}
    assert kept == {"J-1": ("booked", None), "J-2": ("booked", None), "J-3": ("refused", "already_offset")}


def test_every_law_holds(books):
    con = duckdb.connect()
    for name in NAMES:
        con.register(name, books.tables[name])
    assert [r.detail for r in check_laws(con, {n: n for n in NAMES}) if not r.ok] == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("update {T} set amount = amount + 999 where code = 'adjust'", "offsets"),
        ("update {T} set business_key = 'adjustment|x' where code = 'adjust'", "offsets no transfer"),
    ],
)
def test_l9_finds_an_adjustment_that_offsets_too_much_or_nothing(books, fault, said):
    con = duckdb.connect()
    for name in NAMES:
        con.register(f"given_{name}", books.tables[name])
        con.execute(f"create table {name} as select * from given_{name}")
    con.execute(fault.replace("{T}", "ledger_transfers"))
    found = {r.law: r for r in check_laws(con, {n: n for n in NAMES})}
    assert not found["L9"].ok and said in found["L9"].detail
