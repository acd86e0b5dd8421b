"""A service provider's points from the month that earns them to the debt of a correction, through Spark, lawful."""

from datetime import date

import duckdb
import pytest
from ledger_reference import Shop, Terms
from ledger_world import NAMES, TRAFFIC, SparkBooks, World, policies

from ccare.ledger.derive import derived, derived_positions
from ccare.ledger.laws import check_laws
from ccare.ledger.statements import STATEMENT

FEBRUARY, MARCH = date(2026, 2, 28), date(2026, 3, 31)
ACTIVE, RESOLVED, AFTER = date(2026, 3, 1), date(2026, 3, 4), date(2026, 4, 1)
RULE = {"name": "served_fees", "points": 10, "per_fen": 100}
SHOP = Shop(minimum=5, runs=2, settles=3)


@pytest.fixture(scope="module")
def books(books_spark):
    """p serves m: 100 points for the fees of February, 60 spent of which 30 were served, all of it fallen in March."""
    world = World()
    record = {"valid_from": date(2026, 1, 1), "taken_on": FEBRUARY}
    world.mini_programs += [
        record | {"merchant_id": "m", "service_provider_id": "p", "valid_to": date(2026, 3, 31)},
        record | {"merchant_id": "n", "service_provider_id": "q"},
    ]
    sale = world.sell("m", 10_000, date(2026, 2, 1), FEBRUARY, fee=1_000)
    world.sell("m", 10_000, date(2026, 3, 10), fee=200)
    world.ask("r1", "m", 60, ACTIVE, provider="p")
    world.ask("stranger", "n", 5, ACTIVE, provider="p", at=1)
    world.ask("too-much", "m", 41, ACTIVE, provider="p", at=2)
    world.ask("own", "m", 5, ACTIVE, at=3)
    world.deliver("r1", "m", 300, date(2026, 3, 2))
    world.refund(sale, 10_000, date(2026, 3, 20))
    terms = Terms(maturity=1, expiry=90)
    told = policies(FEBRUARY, terms, [("A-1", FEBRUARY, 1_000), TRAFFIC], rules=[RULE], multiplier="none")
    made = SparkBooks(books_spark, told, FEBRUARY, SHOP)
    for day in (FEBRUARY, ACTIVE, RESOLVED, MARCH, AFTER):
        made.close(world, day)
    return made


@pytest.fixture
def con(books):
    """The books in DuckDB."""
    found = duckdb.connect()
    for name in NAMES:
        found.register(name, books.tables[name])
    return found


def moves(books):
    return sorted(
        (t["booked_date"], t["code"], t["debit_account"], t["credit_account"], t["amount"])
        for t in books.rows("ledger_transfers")
        if t["code"] != "fund"
    )


def test_a_provider_earns_spends_for_a_merchant_that_it_serves_and_owes_what_falls(books):
    p = "provider:p"
    assert moves(books) == [
        (FEBRUARY, "earn", "pool:p:available", f"{p}:pending", 100),
        (ACTIVE, "activate", f"{p}:pending", f"{p}:active", 100),
        (ACTIVE, "reserve", "pool:traffic:available", "merchant:m:reserved", 600),
        (ACTIVE, "reserve", f"{p}:active", f"{p}:reserved", 60),
        (RESOLVED, "settle", "merchant:m:reserved", "sink:delivered:s1", 300),
        (RESOLVED, "settle", f"{p}:reserved", "sink:redeemed:s1", 30),
        (RESOLVED, "void", "merchant:m:reserved", "pool:traffic:available", 300),
        (RESOLVED, "void", f"{p}:reserved", f"{p}:active", 30),
        (MARCH, "debt", f"{p}:debt", "pool:p:receivable", 30),
        (MARCH, "earn", "pool:p:available", f"{p}:pending", 20),
        (MARCH, "fall", f"{p}:active", "pool:p:available", 70),
        (AFTER, "activate", f"{p}:pending", f"{p}:active", 20),
        (AFTER, "repay", "pool:p:receivable", f"{p}:debt", 20),
        (AFTER, "repay", f"{p}:active", "pool:p:available", 20),
    ]
    of_party = {(t["merchant_id"], t["service_provider_id"]) for t in books.rows("ledger_transfers")}
    assert of_party == {(None, None), (None, "p"), ("m", None)}
    (debt,) = (p for p in books.rows("ledger_positions") if p["debt"])
    assert (debt["business_key"], debt["debt"]) == (f"f|served_fees|p|{FEBRUARY}", 10)


def test_a_request_for_a_merchant_that_it_does_not_serve_is_refused_by_name(books):
    said = {r["request_id"]: (r["status"], r["refusal"]) for r in books.rows("ledger_requests")}
    assert said == {
        "r1": ("settled", None),
        "stranger": ("refused", "not_served"),
        "too-much": ("refused", "insufficient"),
        "own": ("refused", "insufficient"),
    }
    (part,) = books.rows("ledger_allocations")
    assert (part["merchant_id"], part["service_provider_id"], part["voided"]) == (None, "p", 30)


def test_every_law_holds_and_caches_can_be_derived_from_the_transfers(books, con):
    assert [r.detail for r in check_laws(con, {n: n for n in NAMES}) if not r.ok] == []
    for name in ("ledger_lots", "ledger_allocations"):
        columns = books.tables[name].column_names
        found = sorted(str([row.get(c) for c in columns]) for row in derived(con, name))
        assert found == sorted(str([row[c] for c in columns]) for row in books.rows(name)), name
    keys = {p["business_key"]: p for p in derived_positions(con, [], None)}
    for position in books.rows("ledger_positions"):
        names = ("merchant_id", "service_provider_id", "asked", "granted", "net", "debt", "repayments")
        assert {n: keys[position["business_key"]][n] for n in names} == {n: position[n] for n in names}


def test_the_providers_statement_adds_up_to_its_balances(books, con):
    query = STATEMENT.replace("<ledger_transfers>", "ledger_transfers")
    lines = con.execute(query, {"party": "provider:p"}).to_arrow_table().to_pylist()
    assert {line["part"] for line in lines} == {"pending", "active", "reserved", "debt"}
    last = {f"provider:p:{line['part']}": line["balance"] for line in lines}
    kept = {
        account: units for account, units in books.balances().items() if account.startswith("provider:p:")
    }
    assert {account: units for account, units in last.items() if units} == kept == {"provider:p:debt": -10}
    theirs = con.execute(query, {"party": "merchant:m"}).to_arrow_table().to_pylist()
    assert {line["asset"] for line in theirs} == {"IMPRESSION"} and theirs[-1]["balance"] == 0
