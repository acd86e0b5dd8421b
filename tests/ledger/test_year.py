"""One year in minutes: a seeded life of a dozen merchants, audited after every close and by the laws at month ends.

The year runs in the reference ledger; days drawn from it are closed by Spark too, on top of the reference's books of
the day before. ``--full-year`` closes 365 days by a seed of its own, printed and given back with ``--seed N``;
without it a fixed seed closes the first ten weeks. All 365 days through Spark would take half an hour.
"""

import random

import pytest
from auditor import D0, LATE_DAYS, Auditor, audit, broken
from ledger_reference import Shop, Terms
from ledger_world import SparkBooks, arrow, as_seen, as_tables, comparable, policies

FIXED_SEED, SHORT, FULL = 20_240_227, 70, 365
TERMS = Terms(maturity=5, expiry=40)
SHOP = Shop(minimum=5, slot_day=9_000, one_merchant=2_500, runs=4, settles=6, blocked=("m11",))
MERCHANTS = [f"m{n}" for n in range(12)]
SPARK_DAYS, IN_A_ROW = {SHORT: 1, FULL: 6}, 2
"""How often days are closed by Spark as well, and how many each time."""
CODES = {"fund", "earn", "activate", "expire", "fall", "debt", "repay", "reserve", "settle", "void"}
ANSWERS = {"reserved", "duplicate_request", "unknown_slot", "below_minimum", "insufficient"}


class Year(Auditor):
    """The auditor's rules, called by a seeded draw instead of by Hypothesis."""

    def __init__(self, seed, closes):
        super().__init__()
        self.draw, self.closes = random.Random(seed), closes
        scores = {name: self.draw.choice([None, 0.0, 50.0, 77.3, 100.0]) for name in MERCHANTS}
        self.start(5_000, TERMS, SHOP, scores)

    def live(self):
        """What happens on one day; some days nothing does."""
        draw, which = self.draw, self.draw.randrange(10**6)
        for _ in range(draw.choice([0, 4, 6, 9])):
            merchant, late = draw.choice(MERCHANTS), draw.choice([0, 0, 0, 1, 2, LATE_DAYS + 1])
            self.earn(merchant, draw.randrange(1, 120), late, draw.choice("uvw"))
        if self.world.sales and draw.random() < 0.4:
            self.refund(draw.randrange(10**6), draw.choice([10, 60, 100]))
        if draw.random() < 0.25 and any(lot.reserved + lot.redeemed for lot in self.ledger.lots):
            self.refund_what_was_spent(which)
        if self.world.sales and draw.random() < 0.01:
            self.found_out_as_staff(which)
        if any(lot.active for lot in self.ledger.lots) and draw.random() < 0.7:
            percent, slot = draw.choice([2, 40, 100, 100, 110]), draw.choice(["s1", "s1", "s2", "nowhere"])
            self.redeem(which, percent, slot, draw.randrange(10))
        if self.world.asks and draw.random() < 0.05:
            self.duplicate(which, draw.random() < 0.5)
        for grant in [g for g in self.ledger.grants if not g.resolved]:
            if draw.random() < 0.4:
                self.deliver(self.ledger.grants.index(grant), draw.randrange(1, 900), draw.choice([0, 0, 1]))
        if draw.random() < 0.1:
            self.fund(draw.randrange(1, 3_000))


@pytest.fixture
def told(pytestconfig, capsys):
    """(seed, closes) of this run, printed where everybody sees it."""
    full, seed = pytestconfig.getoption("--full-year"), pytestconfig.getoption("--seed")
    if seed is None:
        seed = random.SystemRandom().randrange(10**9) if full else FIXED_SEED
    with capsys.disabled():
        print(f"\na ledger's year: seed {seed} (--seed {seed} plays it again)")
    return seed, FULL if full else SHORT


@pytest.mark.spark
@pytest.mark.slow
def test_a_year_holds(books_spark, told):
    """Every close is audited, every month's last one by the laws; days in between are Spark's too."""
    seed, closes = told
    year = Year(seed, closes)
    chosen = year.draw.sample(range(closes // 4, closes - IN_A_ROW), SPARK_DAYS[closes])
    books, left, months = None, 0, 0
    while year.open():
        year.live()
        if (year.day - D0).days in chosen and books is None:
            books, left = as_books(books_spark, year), IN_A_ROW
        today = year.day
        year.close(int(year.draw.random() < 0.02))
        audit(year.ledger)
        if left:
            books.policies = policies(D0, TERMS, year.fundings, LATE_DAYS)
            books.close(year.world, today)
            found = comparable(books.rows("ledger_transfers"))
            assert found == as_seen(year.ledger), f"seed {seed}: Spark books {today} otherwise"
            left -= 1
            books = books if left else None
        if today.month != year.day.month:
            months += 1
            assert broken(as_tables(year.ledger)) == [], f"seed {seed}: {today}"
    assert months == {SHORT: 3, FULL: 12}[closes]
    shown = {t[1] for t in year.ledger.transfers} | {answer for answer, *_ in year.ledger.answers.values()}
    assert shown >= CODES | ANSWERS, f"seed {seed}: {(CODES | ANSWERS) - shown} never happened"


def as_books(spark, year):
    """Spark's ledger as it would stand before the close of the day: the reference's books."""
    books = SparkBooks(spark, policies(D0, TERMS, year.fundings, LATE_DAYS), D0, SHOP)
    for name, rows in as_tables(year.ledger).items():
        if name == "ledger_positions":
            rows = [row | {"policy_version": books.policies.version} for row in rows]
        books.tables[name] = arrow(name, rows)
    return books
