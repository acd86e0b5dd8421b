"""A pool that is short: shares by largest remainder, decided once; and what fundings and replays may do."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_reference import Ledger, Terms, largest_remainder
from ledger_world import SparkBooks, World, as_seen, comparable, policies, run_both

from ccare.ledger.pools import available

D0 = date(2026, 3, 1)
TERMS = Terms(maturity=3, expiry=4)


def d(n):
    return D0 + timedelta(days=n)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=30), st.integers(0, 10**10))
def test_largest_remainder_gives_all_there_is_and_nobody_more_than_asked(extras, available):
    demand = [(f"m{i}", f"k{i}", extra) for i, extra in enumerate(extras)]
    granted = largest_remainder(demand, available)
    total = sum(extras)
    assert sum(granted.values()) == min(total, available)
    for _, key, extra in demand:
        share = min(extra * available // total, extra)
        assert share <= granted[key] <= min(share + 1, extra)


@pytest.fixture(scope="module")
def short(books_spark):
    """100 points for two merchants that ask 100 each; a second funding of 7 for three that ask 10, 10 and 1."""
    fundings = [("A-1", D0, 100), ("A-2", d(2), 7)]
    world = World(scores=dict.fromkeys("abcde", 50.0))
    world.refund(world.sell("a", 100_000, D0), 60_000, d(1))
    world.sell("b", 100_000, D0)
    for merchant, amount in (("c", 10_000), ("d", 10_000), ("e", 1_000)):
        world.sell(merchant, amount, d(2))
    books, reference = SparkBooks(books_spark, policies(D0, TERMS, fundings), D0), Ledger(TERMS, D0)
    days = [d(n) for n in range(4)]
    run_both(books, reference, world, days, fundings)
    return books, reference


def net(books, merchant):
    return next(p for p in books.rows("ledger_positions") if p["merchant_id"] == merchant)


def test_two_that_ask_100_of_100_get_50_each_and_never_more(short):
    books, _ = short
    a, b = net(books, "a"), net(books, "b")
    assert (b["asked"], b["granted"], b["net"], b["cut_by_pool"]) == (100, 50, 50, 50)
    assert (a["asked"], a["granted"], a["net"], a["cut_by_pool"]) == (40, 50, 20, 50)
    earned = [t for t in books.rows("ledger_transfers") if t["code"] == "earn" and t["merchant_id"] in "ab"]
    assert sorted((t["booked_date"], t["amount"]) for t in earned) == [(D0, 50), (D0, 50)]
    assert all("pool short of 50" in t["reason"] for t in earned)


def test_what_falls_back_serves_the_next_demand_by_largest_remainder(short):
    books, _ = short
    # 7 + the 30 that a gave back cover 10 + 10 + 1.
    assert [net(books, m)["granted"] for m in "cde"] == [10, 10, 1]
    assert books.balances()["pool:p:available"] == 16


def test_the_reference_grants_the_same(short):
    books, reference = short
    assert comparable(books.rows("ledger_transfers")) == as_seen(reference)


def test_building_a_close_again_gives_the_same_rows_and_a_closed_day_posts_nothing(books_spark):
    world = World(scores={"a": 12.3})
    world.sell("a", 50_000, D0)
    fundings = [("A-1", D0, 1_000)]
    one, two = (SparkBooks(books_spark, policies(D0, TERMS, fundings), D0) for _ in range(2))
    first = one.close(world, D0)
    second = two.close(world, D0, run_id="another run")
    held = ("transfer_id", "content_hash")
    assert sorted([t[n] for n in held] for t in first) == sorted([t[n] for n in held] for t in second)
    assert {t["run_id"] for t in second} == {"another run"}
    before = {name: one.rows(name) for name in one.tables}
    assert one.close(world, D0, posts=False) == []
    assert {name: one.rows(name) for name in one.tables} == before
    assert two.close(World(), d(1)) == []


def test_nothing_is_booked_before_go_live(books_spark):
    world = World()
    world.sell("a", 50_000, D0)
    books = SparkBooks(books_spark, policies(d(1), TERMS, [("A-1", D0, 1_000)]), D0)
    assert books.close(world, D0) == []
    assert [t["code"] for t in books.close(world, d(1))] == ["fund"]


def test_an_edited_approval_comes_up_under_its_old_id_for_the_insert_to_refuse(books_spark):
    books = SparkBooks(books_spark, policies(D0, TERMS, [("A-1", D0, 1_000)]), D0)
    (booked,) = books.close(World(), D0)
    books.policies = policies(D0, TERMS, [("A-1", D0, 2_000)])
    (again,) = books.close(World(), d(1))
    assert again["transfer_id"] == booked["transfer_id"]
    assert again["content_hash"] != booked["content_hash"]


def test_what_an_adjustment_takes_out_of_a_pool_is_not_there_to_be_granted(books_spark):
    """A funding taken back and points earned in one close: both out of the same 100."""
    policy = policies(D0, TERMS, [("A-1", D0, 100)]).for_day(D0)
    account = "pool:p:available"
    balances = [{"account": account, "asset": "POINT", "balance": 100}]
    moves = [
        (account, "world:funding", 30),
        ("merchant:a:pending", account, 4),
        (account, "merchant:b:pending", 5),
    ]
    held = available(
        books_spark.createDataFrame(balances),
        books_spark.createDataFrame(
            [(*each, "POINT") for each in moves],
            "debit_account string, credit_account string, amount bigint, asset string",
        ),
        policy,
    )
    assert [(row["pool"], row["held"]) for row in held.collect()] == [("p", 100 - 30 + 4 - 5)]
