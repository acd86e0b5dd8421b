"""Random histories of many merchants: Spark and the reference book the same transfers and keep the same caches."""

import random
from dataclasses import replace
from datetime import date, timedelta

import duckdb
import pytest
from ledger_reference import Ledger, Shop, Terms
from ledger_world import (
    DAYS,
    NAMES,
    TRAFFIC,
    SparkBooks,
    World,
    as_seen,
    as_tables,
    comparable,
    policies,
    run_both,
)

from ccare.ledger.laws import check_laws

D0 = date(2024, 2, 26)  # the histories cross a leap day and the end of two months
CLOSES = 8
LATE_DAYS = 4
MERCHANTS = 60
ARMS = ("treated", "treated", "holdout")
SHOP = Shop(minimum=5, slot_day=6_000, one_merchant=600, runs=2, settles=3, blocked=("m7", "m8"))


def a_history(seed, merchants):
    """Sales on and off time, repeated and late refunds, staff found out, scores that come and go, spending."""
    rng = random.Random(seed)
    world = World()
    for name in (f"m{i}" for i in range(merchants)):
        world.scores[name] = rng.choice([None, 0.0, 100.0, round(rng.random() * 100, 1)])
        for _ in range(rng.randrange(1, 7)):
            paid = D0 + timedelta(days=rng.randrange(-1, CLOSES))
            taken = max(D0, paid + timedelta(days=rng.choice([0, 0, 0, 1, 2, 5])))
            amount = rng.choice([999, 1_000, 40_000, rng.randrange(200_000)])
            sale = world.sell(name, amount, paid, taken, rng.choice(["u1", "u2", "u3", None]))
            for _ in range(rng.choice([0, 0, 1, 1, 2])):
                part = rng.randrange(amount // 2 + 1)
                world.refund(sale, part, paid + timedelta(days=rng.randrange(CLOSES)))
        if rng.random() < 0.2:
            world.staff[name, rng.choice(["u1", "u2"])] = D0 + timedelta(days=rng.randrange(CLOSES))
        for n in range(rng.randrange(4)):
            on = D0 + timedelta(days=rng.randrange(2, CLOSES - 1))
            number, slot = f"{name}-{n}", rng.choice(["s1", "s1", "s2", "s9"])
            world.ask(number, name, rng.randrange(60), on, slot, at=rng.randrange(3))
            for _ in range(rng.randrange(3)):
                told = on + timedelta(days=rng.randrange(4))
                world.deliver(number, name, rng.randrange(400), told, slot, arm=rng.choice(ARMS))
            if rng.random() < 0.1:
                world.ask(number, name, 7, on + timedelta(days=1), slot, says="b")
    return world


SHORT_TERMS = Terms(maturity=2, expiry=3)
CASES = (
    (8, 10**6, SHORT_TERMS),
    (3, 2_000, replace(SHORT_TERMS, only_pending=True)),
    (20_261_126, 500, SHORT_TERMS),
    (8, 10**6, replace(SHORT_TERMS, skips_others=True)),
)
"""Seed, points funded, terms. Where falls take only what is pending nobody ends in debt, as in the first."""


@pytest.mark.parametrize(("seed", "funded", "terms"), CASES)
def test_spark_books_what_the_reference_books(spread_spark, seed, funded, terms):
    world = a_history(seed, MERCHANTS)
    fundings = [("A-1", D0, funded), ("A-2", D0 + timedelta(days=5), 300), TRAFFIC]
    books = SparkBooks(spread_spark, policies(D0, terms, fundings, LATE_DAYS), D0, SHOP)
    reference = Ledger(terms, D0, shop=SHOP)
    days = [D0 + timedelta(days=n) for n in range(CLOSES)]
    run_both(books, reference, world, days, fundings, LATE_DAYS)
    assert comparable(books.rows("ledger_transfers")) == as_seen(reference)
    wanted = as_tables(reference)
    for name in ("ledger_lots", "ledger_positions"):
        columns = [c for c in books.tables[name].column_names if c not in ("updated_on", "policy_version")]
        if name == "ledger_positions":
            columns.remove("effective_date")
        found = sorted(str([row[c] for c in columns]) for row in books.rows(name))
        assert found == sorted(str([row.get(c) for c in columns]) for row in wanted[name]), name
    for name in DAYS:
        keys = [k for k in ("request_id", "business_key", "leg", "status", "refusal", "settled", "voided", "lot_id")
                if k in books.tables[name].column_names]  # fmt: skip
        found = sorted(str([row[k] for k in keys]) for row in books.rows(name))
        assert found == sorted(str([row.get(k) for k in keys]) for row in wanted[name]), name
    assert {"reserved", "settled", "voided", "refused"} == {
        r["status"] for r in books.rows("ledger_requests")
    }
    con = duckdb.connect()
    for name in NAMES:
        con.register(name, books.tables[name])
    assert [r.detail for r in check_laws(con, {n: n for n in NAMES}) if not r.ok] == []
    if seed == CASES[0][0]:
        codes = {r["code"] for r in books.rows("ledger_transfers")}
        assert {"earn", "activate", "expire", "fall", "debt", "repay", "reserve", "settle", "void"} < codes
        balances = books.balances()
        assert [account for account in balances if account.endswith(":debt")], (
            "a history without debt shows little"
        )
