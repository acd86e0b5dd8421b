"""Whatever is done in whatever order, the books hold: Hypothesis drives the reference ledger.

Each example is a few days of sales, returns, staff found out, requests, deliveries and fundings, some late, some told
twice, with closes that crash and are made again. The reference is audited after every close and by the laws at the
end. The known answers go through the same rules as scripts, and what the examples did is booked by Spark too.
"""

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta

import pytest
from auditor import CLOSES, D0, LATE_DAYS, SHOP, TERMS, Auditor
from hypothesis import HealthCheck, settings
from ledger_reference import Ledger, Shop
from ledger_world import SparkBooks, World, as_seen, comparable, on_fall, policies, run_both

SHOWN: dict[str, set[str]] = {}
"""Codes that the examples have booked, and what became of their requests, by policy of falls."""
RECORDED: list[Auditor] = []
"""What the examples did."""
POLICIES = ("within_balance", "only_pending", "debt")
BATCH = 8
"""Examples that Spark books together, each with merchants of its own."""


def policy_of(machine):
    return on_fall(machine.ledger.terms)


class WithinBalance(Auditor):
    """Remembers what it did."""

    def teardown(self):
        super().teardown()
        if hasattr(self, "ledger"):
            shown = SHOWN.setdefault(policy_of(self), set())
            shown.update(transfer[1] for transfer in self.ledger.transfers)
            shown.update(answer for answer, *_ in self.ledger.answers.values())
            RECORDED.append(self)


class OnlyPending(WithinBalance):
    """The same where falls stop after what is pending."""

    terms = replace(TERMS, only_pending=True)


class Debt(WithinBalance):
    """The same where falls leave other lots alone, and these pay what is owed."""

    terms = replace(TERMS, skips_others=True)


MACHINES = dict(zip(POLICIES, (WithinBalance, OnlyPending, Debt), strict=True))
for machine_of in MACHINES.values():
    machine_of.TestCase.settings = settings(
        max_examples=60 if machine_of is WithinBalance else 30, stateful_step_count=60, deadline=None,
        derandomize=True, suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip
TestWithinBalance, TestOnlyPending, TestDebt = (machine.TestCase for machine in MACHINES.values())


@pytest.fixture(scope="module")
def examples():
    """What the examples did; asked for alone, they are played first."""
    for policy, machine in MACHINES.items():
        if policy not in SHOWN:
            machine.TestCase("runTest").runTest()
    return RECORDED


def test_the_examples_show_what_can_happen(examples):
    """All but settling and repaying, which the scripts, test_laws and test_random_histories show.

    Hypothesis draws numbers that it meets in the modules loaded, so what examples show depends on the tests beside
    them: what takes several steps to come about is in the script that every batch has.
    """
    codes = {"fund", "earn", "activate", "expire", "fall", "debt", "reserve", "void"}
    answers = {"reserved", "duplicate_request", "unknown_slot", "below_minimum", "insufficient"}
    script = spent_and_refunded(TERMS)
    shown = set().union({transfer[1] for transfer in script.ledger.transfers}, *SHOWN.values())
    assert codes | answers <= shown, (codes | answers) - shown
    assert {"fall", "activate", "reserve"} <= SHOWN["only_pending"]
    assert "debt" not in SHOWN["only_pending"], "what is not pending any more is forgiven"


def together(machines):
    """The worlds of several examples as one: merchants, trades and requests have the example's number before them."""
    world = World()
    for n, machine in enumerate(machines):
        sales = {
            id(s): replace(s, merchant=f"{n}{s.merchant}", trade=f"{n}-{s.trade}")
            for s in machine.world.sales
        }
        world.sales += sales.values()
        world.refunds += [replace(r, sale=sales[id(r.sale)]) for r in machine.world.refunds]
        world.asks += [
            replace(a, number=f"{n}-{a.number}", merchant=f"{n}{a.merchant}") for a in machine.world.asks
        ]
        world.traffic += [
            replace(t, grant=f"{n}-{t.grant}", merchant=f"{n}{t.merchant}") for t in machine.world.traffic
        ]
        world.staff |= {(f"{n}{merchant}", user): on for (merchant, user), on in machine.world.staff.items()}
        world.scores |= {f"{n}{merchant}": score for merchant, score in machine.world.scores.items()}
    fundings = defaultdict(int)
    for machine in machines:
        for _, on, amount, *pool in machine.fundings:
            fundings[on, *pool] += amount
    told = [
        (f"F-{number}", on, amount, *pool) for number, ((on, *pool), amount) in enumerate(fundings.items())
    ]
    return world, told


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
def test_spark_books_what_the_examples_did(examples, books_spark, policy):
    """The fullest examples of a policy in one batch, day by day through the product and through the reference."""
    full = sorted(
        (m for m in examples if policy_of(m) == policy),
        key=lambda m: (len({t[1] for t in m.ledger.transfers}), len(m.ledger.transfers)),
    )[-BATCH:]
    terms = MACHINES[policy].terms
    world, fundings = together([*full, spent_and_refunded(terms)])
    shop = replace(SHOP, blocked=tuple(f"{n}{m}" for n in range(BATCH) for m in SHOP.blocked))
    books = SparkBooks(books_spark, policies(D0, terms, fundings, LATE_DAYS), D0, shop)
    reference = Ledger(terms, D0, shop=shop)
    run_both(books, reference, world, [D0 + timedelta(days=n) for n in range(CLOSES)], fundings, LATE_DAYS)
    wanted = {"within_balance": {"debt"}, "only_pending": set(), "debt": {"debt", "repay"}}[policy]
    assert wanted | {"earn", "fall", "expire", "reserve"} <= {t[1] for t in reference.transfers}
    assert comparable(books.rows("ledger_transfers")) == as_seen(reference)


# ---------------------------------------------------------------- the known answers, through the auditor's own rules


@pytest.fixture
def machine():
    """An ample pool, room for every request; a's points are 1 for 1,000 fen."""
    made = Auditor()
    made.start(100_000, TERMS, Shop(runs=2, settles=3))
    yield made
    made.teardown()


def closed(machine, days=1):
    for _ in range(days):
        machine.close(0)
        machine.holds()


def earned(machine, thousands, merchant="a"):
    machine.earn(merchant, thousands, 0, "u")


def part_of(machine, part, merchant="a"):
    return [getattr(lot, part) for lot in machine.ledger.lots if lot.merchant == merchant]


def debt(machine):
    return sum(p.debt for p in machine.ledger.positions.values())


def test_80_of_two_lots_come_from_the_one_that_expires_first(machine):
    """A 100 through day 5, B 50 through day 7; 80 redeemed on day 2: 20 of A expire on day 6, then 50 are left."""
    earned(machine, 100)
    closed(machine, 2)
    earned(machine, 50)
    machine.redeem(0, 80, "s1", 0)
    closed(machine)
    machine.deliver(0, 800, 0)
    closed(machine, 3)
    assert part_of(machine, "active") == [20, 50]
    closed(machine)
    assert (part_of(machine, "expired"), part_of(machine, "active")) == ([20, 0], [0, 50])
    assert part_of(machine, "redeemed") == [80, 0]


def test_what_was_redeemed_and_refunded_is_owed_and_repaid(machine):
    """100 redeemed, 60 % refunded: debt 60; a lot of 50 that matures leaves 10."""
    earned(machine, 100)
    closed(machine, 2)
    machine.redeem(0, 100, "s1", 0)
    closed(machine)
    machine.deliver(0, 1_000, 0)
    closed(machine)
    machine.refund(0, 60)
    earned(machine, 50)
    closed(machine)
    assert debt(machine) == 60
    closed(machine)
    assert debt(machine) == 10 and sum(part_of(machine, "active")) == 0


def spent_and_refunded(terms):
    """A 100 of which 80 are reserved, B 50, then A refunded whole; that day is the last one closed."""
    made = Auditor()
    made.start(100_000, terms, Shop(runs=2, settles=3))
    earned(made, 100)
    closed(made)
    earned(made, 50)
    closed(made)
    made.redeem(0, 80, "s1", 0)
    closed(made)
    made.refund(0, 100)
    closed(made)
    return made


def test_a_reservation_that_is_voided_pays_the_debt_first():
    """20 of A and 50 of B taken, 30 owed; voided: paid, 50 active."""
    machine = spent_and_refunded(TERMS)
    assert (part_of(machine, "taken"), debt(machine)) == ([20, 50], 30)
    closed(machine, 2)
    assert debt(machine) == 0 and part_of(machine, "reserved") == [0, 0]
    assert part_of(machine, "active") == [50, 0], "what the debt left of the 80"
    machine.teardown()


def test_a_lot_that_expired_unused_and_was_refunded_takes_nothing(machine):
    earned(machine, 100)
    closed(machine, 7)
    assert part_of(machine, "expired") == [100]
    before = list(machine.ledger.transfers)
    machine.refund(0, 100)
    closed(machine)
    assert machine.ledger.transfers == before and debt(machine) == 0


def test_a_short_pool_is_shared_once(machine):
    """100 for two that ask 100 each: 50 each, and nothing more; one falls to 40: it keeps 20, the other 50."""
    machine.start(100, TERMS, Shop(runs=2, settles=3))
    earned(machine, 100)
    earned(machine, 200, "b")
    closed(machine, 2)
    net = {p.merchant: p for p in machine.ledger.positions.values()}
    assert (net["a"].net, net["b"].net) == (50, 50)
    machine.refund(0, 60)
    closed(machine, 2)
    assert (net["a"].asked, net["a"].net, net["b"].net) == (40, 20, 50)


def test_with_only_pending_the_rest_is_forgiven(machine):
    machine.start(100_000, replace(TERMS, only_pending=True), Shop(runs=2, settles=3))
    earned(machine, 100)
    closed(machine, 2)
    machine.refund(0, 60)
    closed(machine)
    (position,) = machine.ledger.positions.values()
    assert (position.net, position.forgiven, part_of(machine, "active")) == (40, 60, [100])


def test_under_policy_debt_other_lots_pay_what_is_owed():
    """Under within_balance the fall takes 20 of A and 50 of B."""
    machine = spent_and_refunded(replace(TERMS, skips_others=True))
    last = [t[1:6] for t in machine.ledger.transfers if t[0] == machine.ledger.day]
    key = f"f|trade_net|a|{machine.world.sales[0].paid}"
    assert last == [
        ("fall", "merchant:a:active", "pool:p:available", 20, key),
        ("debt", "merchant:a:debt", "pool:p:receivable", 80, key),
        ("repay", "merchant:a:active", "pool:p:available", 50, key),
        ("repay", "pool:p:receivable", "merchant:a:debt", 50, key),
    ]
    assert (part_of(machine, "taken"), part_of(machine, "active"), debt(machine)) == ([20, 50], [0, 0], 30)
    machine.teardown()
