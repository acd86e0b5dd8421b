"""Histories counted by hand. Each is one merchant; all of them share one run of closes through Spark."""

from collections import defaultdict
from datetime import date, timedelta

import duckdb
import pytest
from ledger_reference import Ledger, Shop, Terms
from ledger_world import TRAFFIC, SparkBooks, World, as_seen, as_tables, comparable, policies, run_both

from ccare.ledger.statements import BALANCES

D0 = date(2026, 1, 30)
TERMS = Terms(maturity=3, expiry=4)
FUNDING = [("A-1", D0, 1_000_000), TRAFFIC]
LATE_DAYS = 4
SHOP = Shop(runs=2, settles=4)


def d(n):
    return D0 + timedelta(days=n)


@pytest.fixture(scope="module")
def world():
    w = World(scores={"late": 0.0, "scored": 73.4, "unscored": None})
    w.scores |= dict.fromkeys(
        ("lapse", "flip", "debt", "other", "own", "share", "staff", "null", "order", "soon", "part"), 50.0
    )
    # At 50.0 the multiplier is 1,000: 1,000 fen are one point.
    sale = w.sell("lapse", 100_000, d(0))  # matures on day 3, expires through day 7
    w.refund(sale, 100_000, d(9))
    sale = w.sell("flip", 100_000, d(0))
    w.refund(sale, 40_000, d(1))
    w.sell("flip", 40_000, d(0), taken=d(2))
    old = w.sell("debt", 100_000, d(0))
    w.refund(old, 60_000, d(5))  # after all 100 were spent
    w.sell("debt", 50_000, d(6))  # active on day 9
    w.sell("debt", 30_000, d(7))  # active on day 10
    sale = w.sell("other", 100_000, d(0))
    w.sell("other", 50_000, d(1))
    w.refund(sale, 100_000, d(5))  # after 80 of it were spent
    one = w.sell("own", 30_000, d(0))
    w.sell("own", 20_000, d(1))
    w.refund(one, 10_000, d(3))  # taken from its own pending lot before it activates
    one, two = w.sell("share", 30_000, d(0)), w.sell("share", 20_000, d(1))
    w.sell("share", 40_000, d(2))
    w.refund(one, 30_000, d(6))
    w.refund(two, 20_000, d(6))
    w.sell("staff", 10_000, d(0), user="boss")
    w.sell("staff", 5_000, d(0), user="u1")
    w.staff["staff", "boss"] = d(2)
    w.sell("null", 7_000, d(0), user=None)
    w.sell("scored", 100_000, d(0))
    w.sell("unscored", 100_000, d(0))
    w.sell("late", 100_000, d(0), taken=d(5))  # delivered on day 6: with a window of 4 days it earns nothing
    w.sell("before", 100_000, D0 - timedelta(days=1), taken=d(0))
    w.sell("order", 999, d(0))  # floor: 0 points, no key
    for merchant, points in (("debt", 100), ("other", 80), ("share", 50)):
        w.ask(f"spent-{merchant}", merchant, points, d(4))
    w.deliver("spent-debt", "debt", 1_000, d(5))
    w.deliver("spent-share", "share", 600, d(5))
    w.sell("soon", 100_000, d(0))  # expires through day 7
    w.sell("soon", 50_000, d(2))  # expires through day 9
    w.ask("soon", "soon", 80, d(5))
    w.deliver("soon", "soon", 800, d(6))
    w.sell("part", 70_000, d(2))
    w.sell("part", 50_000, d(3))
    w.ask("part", "part", 101, d(6))  # all 70 of the first lot, 31 of the second
    w.deliver("part", "part", 100, d(7))
    w.deliver("part", "part", 95, d(8), taken=d(10))  # told in time: the close of day 10 resolves it
    w.deliver("part", "part", 500, d(7), arm="holdout")
    w.deliver("part", "part", 500, d(7), source="paid")
    w.deliver("part", "part", 500, d(9))  # the grant ran through day 8
    w.deliver("part", "part", 500, d(7), slot="s2")
    w.deliver("part", "soon", 500, d(7))
    return w


@pytest.fixture(scope="module")
def both(spread_spark, world):
    """Twelve closes through Spark and through the reference."""
    books = SparkBooks(spread_spark, policies(D0, TERMS, FUNDING, LATE_DAYS), D0, SHOP)
    reference = Ledger(TERMS, D0, shop=SHOP)
    run_both(books, reference, world, [d(n) for n in range(12)], FUNDING, LATE_DAYS)
    return books, reference


@pytest.fixture
def books(both):
    """Spark's ledger after the twelve closes."""
    return both[0]


def moves(books, merchant, *codes):
    rows = [t for t in books.rows("ledger_transfers") if t["merchant_id"] == merchant]
    rows.sort(key=lambda t: (t["booked_date"], t["code"], t["leg"]))
    return [
        ((t["booked_date"] - D0).days, t["code"], t["amount"])
        for t in rows
        if not codes or t["code"] in codes
    ]


def position(books, merchant, day):
    key = f"f|trade_net|{merchant}|{d(day)}"
    return next(p for p in books.rows("ledger_positions") if p["business_key"] == key)


def test_points_become_active_when_they_mature_and_expire_after_their_last_day(books):
    assert moves(books, "null") == [(0, "earn", 7), (3, "activate", 7), (8, "expire", 7)]


def test_a_lot_that_expired_unused_then_refunded_takes_nothing(books):
    assert moves(books, "lapse") == [(0, "earn", 100), (3, "activate", 100), (8, "expire", 100)]
    p = position(books, "lapse", 0)
    assert (p["asked"], p["net"], p["lapsed"], p["debt"], p["revision"]) == (0, 0, 100, 0, 2)


def test_there_and_back_again_keeps_three_revisions(books):
    rows = [t for t in books.rows("ledger_transfers") if t["merchant_id"] == "flip"]
    seen = {
        (t["code"], t["revision"]): (t["amount"], t["asked"]) for t in rows if t["code"] in ("earn", "fall")
    }
    assert seen == {("earn", 1): (100, 100), ("fall", 2): (40, 60), ("earn", 3): (40, 100)}
    assert position(books, "flip", 0)["net"] == 100


def test_a_fall_takes_its_own_pending_lot_on_the_day_it_matures(books):
    assert moves(books, "own")[:4] == [(0, "earn", 30), (1, "earn", 20), (3, "activate", 20), (3, "fall", 10)]


def test_a_payer_who_turns_out_to_be_staff_takes_the_points_along(books):
    assert moves(books, "staff", "earn", "fall") == [(0, "earn", 15), (2, "fall", 10)]


def test_the_multiplier_is_500_plus_tenths_of_the_score(books):
    assert moves(books, "scored", "earn") == [(0, "earn", 123)]  # floor(100,000 x 1,234 / 1,000,000)
    assert moves(books, "unscored", "earn") == [(0, "earn", 50)]
    assert position(books, "scored", 0)["multiplier_milli"] == 1_234


def test_what_comes_too_late_or_is_too_old_or_too_small_earns_nothing(books):
    assert moves(books, "late") == moves(books, "before") == moves(books, "order") == []


def test_dates_cross_the_end_of_the_month(books):
    lot = next(x for x in books.rows("ledger_lots") if x["merchant_id"] == "null")
    assert (lot["matures_on"], lot["expires_on"]) == (date(2026, 2, 2), date(2026, 2, 6))


def test_what_was_spent_becomes_debt_and_is_paid_by_what_matures_next(books):
    assert moves(books, "debt") == [
        (0, "earn", 100),
        (3, "activate", 100),
        (4, "reserve", 100),
        (4, "reserve", 1_000),
        (5, "debt", 60),
        (6, "earn", 50),
        (6, "settle", 100),
        (6, "settle", 1_000),
        (7, "earn", 30),
        (9, "activate", 50),
        (9, "repay", 50),
        (9, "repay", 50),
        (10, "activate", 30),
        (10, "repay", 10),
        (10, "repay", 10),
    ]
    p = position(books, "debt", 0)
    assert (p["net"], p["debt"], p["repayments"]) == (40, 0, 4)
    assert books.balances()["merchant:debt:active"] == 20


def test_a_fall_takes_its_own_lot_then_the_merchants_others_then_debt(books):
    assert moves(books, "other", "fall", "debt") == [(5, "debt", 30), (5, "fall", 20), (5, "fall", 50)]
    assert books.balances()["pool:p:receivable"] == 10  # of share
    legs = {(t["code"], t["leg"]) for t in books.rows("ledger_transfers") if t["merchant_id"] == "other"}
    assert {("fall", 1), ("fall", 2), ("debt", 3)} <= legs


def test_falls_of_one_close_share_the_other_lots_oldest_key_first(books):
    assert [position(books, "share", n)["debt"] for n in (0, 1)] == [0, 10]
    taken = [t for t in books.rows("ledger_transfers") if t["merchant_id"] == "share" and t["code"] == "fall"]
    assert sorted((t["effective_date"], t["amount"]) for t in taken) == [(d(0), 30), (d(1), 10)]


def test_what_a_reservation_gives_back_pays_debt_first_and_expires_with_its_lot(books):
    """80 of A were reserved when A was refunded and 30 stayed owed; A's last day was the day before."""
    assert moves(books, "other", "reserve", "void", "repay", "expire")[-5:] == [
        (8, "expire", 50),
        (8, "repay", 30),
        (8, "repay", 30),
        (8, "void", 80),
        (8, "void", 800),
    ]
    assert [n for n in ("merchant:other:debt", "merchant:other:active") if n in books.balances()] == []


def test_a_redemption_takes_what_expires_soonest_and_only_the_rest_expires(books):
    """A 100, B 50, 80 redeemed: 20 of A expire, then 50 are left until B's last day."""
    assert moves(books, "soon", "settle", "expire") == [
        (7, "settle", 80),
        (7, "settle", 800),
        (8, "expire", 20),
        (10, "expire", 50),
    ]


def test_a_grant_is_charged_for_treated_impressions_of_its_own_run_in_whole_points(books):
    """195 of 1,010 impressions of 101 points: ceil(19.5) = 20 of the first lot, the rest back to both."""
    kept = next(r for r in books.rows("ledger_requests") if r["request_id"] == "part")
    assert (kept["status"], kept["delivered"], kept["settled"], kept["voided"]) == ("settled", 195, 20, 81)
    assert moves(books, "part", "settle", "void", "expire") == [
        (10, "expire", 50),  # the first lot's last day was day 9
        (10, "settle", 20),
        (10, "settle", 195),
        (10, "void", 50),
        (10, "void", 31),
        (10, "void", 815),
        (11, "expire", 50),
    ]
    parts = [a for a in books.rows("ledger_allocations") if a["business_key"] == "redemption|part"]
    assert [(a["leg"], a["amount"], a["settled"], a["voided"]) for a in parts] == [
        (1, 70, 20, 50),
        (2, 31, 0, 31),
    ]


def test_the_reference_books_the_same(both):
    books, reference = both
    assert comparable(books.rows("ledger_transfers")) == as_seen(reference)


def test_ids_hashes_and_caches_are_those_that_the_reference_gives(both):
    books, reference = both
    wanted = as_tables(reference)
    hashes = ("transfer_id", "content_hash", "lot_id", "matures_on", "expires_on", "effective_date", "asked")
    compared = {
        "ledger_transfers": hashes,
        "ledger_lots": (*books.tables["ledger_lots"].column_names,),
        "ledger_positions": (
            *("business_key", "revision", "asked", "granted", "net", "lapsed", "forgiven", "cut_by_pool"),
            *("debt", "repayments", "multiplier_milli", "matures_on", "expires_on", "merchant_id", "rule"),
        ),
    }
    for name, columns in compared.items():
        found = sorted(str([row[c] for c in columns]) for row in books.rows(name))
        assert found == sorted(str([row.get(c) for c in columns]) for row in wanted[name]), name


def test_balances_of_every_day_as_known_on_it_are_the_references(both):
    """What counted by the end of a day, of all that its close had booked, is what the reference held then."""
    books, reference = both
    con = duckdb.connect()
    con.register("ledger_transfers", books.tables["ledger_transfers"])
    query = BALANCES.replace("<ledger_transfers>", "ledger_transfers")
    for n in range(12):
        held = defaultdict(int)
        for day, _, debit, credit, amount, *_ in reference.transfers:
            if day <= d(n):
                held[debit] -= amount
                held[credit] += amount
        told = con.execute(query, {"as_of": d(n), "known_on": d(n)}).fetchall()
        found = defaultdict(int)
        for account, _, balance in told:
            found[account] += balance
        assert dict(found) == {account: units for account, units in held.items() if units}, d(n)


def test_what_was_known_later_counts_from_its_own_day(both):
    """staff: 15 points were earned on day 0 and known then; on day 2 ten of them turn out never to have counted."""
    con = duckdb.connect()
    con.register("ledger_transfers", both[0].tables["ledger_transfers"])
    query = BALANCES.replace("<ledger_transfers>", "ledger_transfers")
    pending = [
        {a: b for a, _, b in con.execute(query, {"as_of": d(0), "known_on": d(n)}).fetchall()}
        for n in (0, 1, 2)
    ]
    assert [balances["merchant:staff:pending"] for balances in pending] == [15, 15, 5]
