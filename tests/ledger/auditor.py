"""What may happen to the reference ledger, rule by rule, and what must hold after each close.

Hypothesis draws the rules in test_auditor, scripts and a seeded year call them one by one.
"""

from collections import defaultdict
from copy import deepcopy
from dataclasses import replace
from datetime import date, timedelta

import duckdb
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from ledger_reference import Ledger, Shop, Terms
from ledger_world import (
    NAMES,
    TRAFFIC,
    World,
    arrow,
    as_tables,
    tenths,
)

from ccare.ledger.laws import check_laws

D0 = date(2024, 2, 27)
LATE_DAYS = 3
CLOSES = 9
TERMS = Terms(maturity=1, expiry=4)
SCORES = {"a": 50.0, "b": None, "c": 77.3}
SHOP = Shop(minimum=5, slot_day=3_000, one_merchant=900, runs=2, settles=3, blocked=("c",))
MERCHANTS = st.sampled_from("aabc")


def audit(ledger):
    """Everything that must hold after a close, from the transfers alone and against what the reference keeps."""
    balances = defaultdict(int)
    for _, _, debit, credit, amount, *_ in ledger.transfers:
        balances[debit] -= amount
        balances[credit] += amount
    ids = [(t[1], *t[5:8]) for t in ledger.transfers]
    assert len(set(ids)) == len(ids)
    for account, balance in balances.items():
        if account != "world:funding":
            assert (balance <= 0) if account.endswith(":debt") else (balance >= 0), account
    for lot in ledger.lots:
        parts = (lot.pending, lot.active, lot.reserved, lot.redeemed, lot.expired, lot.taken)
        assert min(parts) >= 0 and sum(parts) == lot.amount
    for merchant in {lot.merchant for lot in ledger.lots}:
        owed = sum(p.debt for p in ledger.positions.values() if p.merchant == merchant)
        assert -owed == balances[f"merchant:{merchant}:debt"]
        active = sum(lot.active for lot in ledger.lots if lot.merchant == merchant)
        assert active == balances[f"merchant:{merchant}:active"]
        assert not (active and owed), "usable points beside a debt"
    for position in ledger.positions.values():
        assert 0 <= position.net <= position.granted and position.granted + position.cut >= position.asked
    assert ledger.available == balances["pool:p:available"]
    assert balances["pool:p:receivable"] == sum(p.debt for p in ledger.positions.values())


class Auditor(RuleBasedStateMachine):
    """A few days in the life of three merchants: ``closes`` of them, by one policy of falls."""

    closes = CLOSES

    terms = TERMS

    @initialize(funded=st.sampled_from([60, 400, 100_000]))
    def begin(self, funded):
        self.start(funded, self.terms)

    def start(self, funded, terms=TERMS, shop=SHOP, scores=SCORES):
        """An empty ledger of these terms."""
        self.world, self.day, self.number = World(scores=dict(scores)), D0, 0
        self.fundings = [("A-1", D0, funded), TRAFFIC]
        self.ledger = Ledger(terms, D0, shop=shop)

    def open(self):
        return self.day < D0 + timedelta(days=self.closes)

    @precondition(open)
    @rule(
        merchant=MERCHANTS,
        thousands=st.integers(1, 120),
        late=st.sampled_from([0, 0, 0, 1, 4]),
        user=st.sampled_from("uvw"),
    )
    def earn(self, merchant, thousands, late, user):
        paid = max(self.day - timedelta(days=late), D0)
        self.world.sell(merchant, thousands * 1_000, paid, self.day, user)

    @precondition(lambda self: self.open() and self.world.sales)
    @rule(which=st.integers(0, 99), percent=st.sampled_from([10, 60, 100]))
    def refund(self, which, percent):
        sale = self.world.sales[which % len(self.world.sales)]
        left = sale.amount - sum(r.amount for r in self.world.refunds if r.sale is sale)
        self.world.refund(sale, left * percent // 100, max(self.day, sale.paid), self.day)

    @precondition(lambda self: self.open() and any(lot.reserved + lot.redeemed for lot in self.ledger.lots))
    @rule(which=st.integers(0, 99))
    def refund_what_was_spent(self, which):
        spent = [lot for lot in self.ledger.lots if lot.reserved + lot.redeemed]
        lot = spent[which % len(spent)]
        for sale in [s for s in self.world.sales if (s.merchant, s.paid) == (lot.merchant, lot.effective)]:
            left = sale.amount - sum(r.amount for r in self.world.refunds if r.sale is sale)
            self.world.refund(sale, left, self.day, self.day)

    @precondition(lambda self: self.open() and self.world.sales)
    @rule(which=st.integers(0, 99))
    def found_out_as_staff(self, which):
        sale = self.world.sales[which % len(self.world.sales)]
        self.world.staff.setdefault((sale.merchant, sale.user), self.day)

    @precondition(lambda self: self.open() and any(lot.active for lot in self.ledger.lots))
    @rule(
        which=st.integers(0, 99),
        percent=st.sampled_from([0, 5, 40, 100, 100, 110]),
        slot=st.sampled_from(["s1", "s1", "s2", "nowhere"]),
        at=st.integers(0, 9),
    )
    def redeem(self, which, percent, slot, at):
        """Some of what a merchant can use today, hardly anything, or a little more than that."""
        rich = sorted({lot.merchant for lot in self.ledger.lots if lot.active})
        merchant = rich[which % len(rich)]
        active = sum(lot.active for lot in self.ledger.lots if lot.merchant == merchant)
        self.number += 1
        points = max(active * percent // 100, 1)
        self.world.ask(f"r{self.number}", merchant, points, self.day, slot, at=at)

    @precondition(lambda self: self.open() and self.world.asks)
    @rule(which=st.integers(0, 99), other=st.booleans())
    def duplicate(self, which, other):
        """The same request again, or another under its number."""
        asked = self.world.asks[which % len(self.world.asks)]
        self.world.asks.append(replace(asked, on=self.day, taken=None, says="b" if other else asked.says))

    @precondition(lambda self: self.open() and self.ledger.grants)
    @rule(which=st.integers(0, 99), impressions=st.integers(1, 900), back=st.sampled_from([0, 0, 0, 1]))
    def deliver(self, which, impressions, back):
        ask = self.ledger.grants[which % len(self.ledger.grants)].ask
        on = self.day - timedelta(days=back)
        self.world.deliver(ask.number, ask.merchant, impressions, on, ask.slot, taken=self.day)

    @precondition(open)
    @rule(amount=st.integers(1, 300))
    def fund(self, amount):
        self.fundings.append((f"F-{len(self.fundings)}", self.day, amount))

    @precondition(open)
    @rule(nothing=st.just(0))
    def next_day(self, nothing):
        self.close(nothing)

    @precondition(open)
    @rule(crashes=st.integers(0, 2))
    def close(self, crashes):
        """A close that was cut off leaves nothing; made again it is the same."""
        tried = [deepcopy(self.ledger) for _ in range(crashes)]
        asks = self.world.servable(self.day, D0)
        scores = {m: tenths(s) for m, s in self.world.scores.items()}
        nets = self.world.nets(self.day, LATE_DAYS)
        for ledger in (*tried, self.ledger):
            served = self.world.served(ledger, self.day)
            ledger.close(self.day, nets, scores, self.fundings, asks, served)
        assert all(ledger.transfers == self.ledger.transfers for ledger in tried)
        self.day += timedelta(days=1)

    @precondition(lambda self: not self.open())
    @rule()
    def rest(self):
        """The last day is closed: nothing more happens."""

    @invariant()
    def holds(self):
        if hasattr(self, "ledger"):
            audit(self.ledger)

    def teardown(self):
        if not hasattr(self, "ledger"):
            return
        while self.open():
            self.close(0)
            audit(self.ledger)
        assert broken(as_tables(self.ledger)) == []


def broken(tables):
    """What the laws say of books given as dict rows or as Arrow tables."""
    con = duckdb.connect()
    for name in NAMES:
        con.register(name, arrow(name, tables[name]) if isinstance(tables[name], list) else tables[name])
    return [result.detail for result in check_laws(con, {name: name for name in NAMES}) if not result.ok]
