"""Random histories of many merchants: Spark and the reference book the same transfers and keep the same caches."""

import random
from datetime import date, timedelta

import duckdb
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ledger_reference import Ledger, Terms
from ledger_world import NAMES, SparkBooks, World, as_seen, as_tables, comparable, policies, run_both

from ccare.ledger.laws import check_laws

D0 = date(2024, 2, 26)  # the histories cross a leap day and the end of two months
CLOSES = 8
LATE_DAYS = 4
MERCHANTS = 60


def a_history(seed, merchants):
    """Sales on and off time, repeated and late refunds, staff found out, scores that come and go, spending."""
    rng = random.Random(seed)
    world, spending = World(), []
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
        if rng.random() < 0.5:
            spending.append((D0 + timedelta(days=rng.randrange(2, CLOSES)), name, rng.randrange(1, 120)))
    return world, spending


@settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.integers(0, 2**32), st.sampled_from([500, 2_000, 10**6]), st.booleans())
def test_spark_books_what_the_reference_books(books_spark, seed, funded, only_pending):
    world, spending = a_history(seed, MERCHANTS)
    terms = Terms(maturity=2, expiry=3, only_pending=only_pending)
    fundings = [("A-1", D0, funded), ("A-2", D0 + timedelta(days=5), 300)]
    books = SparkBooks(books_spark, policies(D0, terms, fundings, LATE_DAYS), D0)
    reference = Ledger(terms, D0)
    days = [D0 + timedelta(days=n) for n in range(CLOSES)]
    run_both(books, reference, world, days, fundings, LATE_DAYS, spending)
    assert comparable(books.rows("ledger_transfers")) == as_seen(reference)
    wanted = as_tables(reference)
    for name in ("ledger_lots", "ledger_positions"):
        columns = [c for c in books.tables[name].column_names if c not in ("updated_on", "policy_version")]
        if name == "ledger_positions":
            columns.remove("effective_date")
        found = sorted(str([row[c] for c in columns]) for row in books.rows(name))
        assert found == sorted(str([row.get(c) for c in columns]) for row in wanted[name]), name
    con = duckdb.connect()
    for name in NAMES:
        con.register(name, books.tables[name])
    # Spending is put in between closes without transfers, so laws that count spent points are left out ...
    found = {r.law: r.detail for r in check_laws(con, {n: n for n in NAMES}) if not r.ok}
    assert set(found) <= {"L1", "L4", "L12"}, found
    # ... and the bounds are read from the cached balances, which know of it.
    balances = books.balances()
    owing = {
        account.split(":")[1] for account, units in balances.items() if account.endswith(":debt") and units
    }
    assert owing and not [m for m in owing if f"merchant:{m}:active" in balances]
    assert (
        min(n for account, n in balances.items() if account != "world:funding" and "debt" not in account) > 0
    )
