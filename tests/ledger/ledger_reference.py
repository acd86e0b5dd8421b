"""A small reference ledger in plain Python integers, written from the rules and not from the Spark code.

One ``Ledger`` is told, close by close, what every key is entitled to (its net sales) and books what the rules
say. It keeps transfers as (code, debit, credit, amount, business key, leg, revision, lot) tuples.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta


@dataclass
class Lot:
    key: str
    merchant: str
    revision: int
    effective: date
    booked: date
    matures: date
    expires: date
    amount: int
    pending: int = 0
    active: int = 0
    expired: int = 0
    taken: int = 0
    redeemed: int = 0
    reserved: int = 0

    @property
    def order(self):
        return (self.expires, self.effective, self.booked, self.key, self.revision)


@dataclass
class Position:
    merchant: str
    effective: date
    multiplier: int
    matures: date
    expires: date
    revision: int = 0
    asked: int = 0
    granted: int = 0
    net: int = 0
    lapsed: int = 0
    forgiven: int = 0
    cut: int = 0
    debt: int = 0
    repayments: int = 0


@dataclass
class Terms:
    maturity: int = 15
    expiry: int = 180
    only_pending: bool = False
    skips_others: bool = False
    """Policy debt: a fall takes from its own lots alone, the rest is owed, and paid by all that is active."""


@dataclass(frozen=True)
class Shop:
    """What points buy: public slots at one price, and the bounds of a day."""

    slots: tuple[str, ...] = ("s1", "s2")
    price: int = 100
    minimum: int = 1
    slot_day: int = 1_000_000
    one_merchant: int = 100_000
    runs: int = 14
    settles: int = 21
    blocked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ask:
    """A request; ``at`` orders requests of a day, ``says`` tells two contents of one number apart."""

    number: str
    merchant: str
    slot: str
    points: int
    on: date
    at: int = 0
    says: str = "a"
    provider: str | None = None
    taken: date | None = None


@dataclass
class Grant:
    """An accepted request with the lots that gave to it."""

    ask: Ask
    day: date
    impressions: int
    parts: list
    served: int = 0
    spent: int = 0
    resolved: date | None = None
    back: list = field(default_factory=list)


@dataclass
class Ledger:
    terms: Terms
    start: date
    available: int = 0
    shop: Shop = Shop()
    impressions: int = 0
    grants: list[Grant] = field(default_factory=list)
    answers: dict[tuple, tuple] = field(default_factory=dict)
    lots: list[Lot] = field(default_factory=list)
    positions: dict[str, Position] = field(default_factory=dict)
    transfers: list[tuple] = field(default_factory=list)
    funded: dict[str, date] = field(default_factory=dict)
    asked_at: dict[tuple, int] = field(default_factory=dict)

    # ------------------------------------------------------------------ one close, in the fixed order
    def close(self, day, net_sales, scores, fundings=(), asks=(), delivered=None):
        """net_sales: {(merchant, effective date): fen known so far}, for the keys that rows came in for.

        asks: requests that can be served for the first time; delivered: {request: treated impressions so far}.
        """
        self.day = day
        for approval, on, amount, *pool in fundings:
            if on <= day and approval not in self.funded:
                self.funded[approval] = on
                name = pool[0] if pool else "p"
                if name == "p":
                    self.available += amount
                else:
                    self.impressions += amount
                self.post(
                    "fund", "world:funding", f"pool:{name}:available", amount, f"funding|{name}|{approval}"
                )
        self.resolve(delivered or {})
        asked = self.entitlements(net_sales, scores)
        self.falls(asked)
        self.activate_and_pay()
        self.expire()
        self.serve(asks)
        self.earn(asked)

    def post(self, code, debit, credit, amount, key, leg=1, revision=1, lot=None):
        assert amount > 0
        self.transfers.append((self.day, code, debit, credit, amount, key, leg, revision, lot))

    def entitlements(self, net_sales, scores):
        asked = {}
        for (merchant, effective), net in net_sales.items():
            if not self.start <= effective <= self.day:
                continue
            key = f"f|trade_net|{merchant}|{effective}"
            booked = self.positions.get(key)
            multiplier = booked.multiplier if booked else 500 + scores.get(merchant, 0)
            asked[key] = (merchant, effective, multiplier, max(net, 0) * multiplier // 1_000_000)
        return asked

    # ------------------------------------------------------------------ falls
    def falls(self, asked):
        falling = []
        for key, (_, effective, _, new) in asked.items():
            p = self.positions.get(key)
            if p and new < p.asked:
                falling.append((effective, key, new))
        falling.sort()
        shortfalls = []
        legs = {}
        for _, key, new in falling:
            p = self.positions[key]
            keep = p.net * new // p.asked
            take, p.net = p.net - keep, keep
            p.asked = new
            p.revision += 1
            self.asked_at[key, p.revision] = new
            own = sorted((lot for lot in self.lots if lot.key == key), key=lambda lot: lot.order)
            lapse = min(take, sum(lot.expired for lot in own) - p.lapsed)
            p.lapsed += lapse
            take -= lapse
            legs[key] = 0
            for part in ("pending",) if self.terms.only_pending else ("pending", "active"):
                for lot in own:
                    take -= self.take(lot, part, take, key, p.revision, legs)
            if self.terms.only_pending:
                p.forgiven += take
            elif take:
                shortfalls.append((key, take))
        for key, take in shortfalls:
            p = self.positions[key]
            others = [lot for lot in self.lots if lot.merchant == p.merchant and lot.active]
            others = [] if self.terms.skips_others else others
            for lot in sorted(others, key=lambda lot: lot.order):
                take -= self.take(lot, "active", take, key, p.revision, legs)
            if take:
                p.debt += take
                debt = f"merchant:{p.merchant}:debt"
                self.post("debt", debt, "pool:p:receivable", take, key, legs[key] + 1, p.revision)

    def take(self, lot, part, wanted, key, revision, legs):
        taken = min(getattr(lot, part), wanted)
        if taken:
            setattr(lot, part, getattr(lot, part) - taken)
            lot.taken += taken
            self.available += taken
            legs[key] += 1
            debit = f"merchant:{lot.merchant}:{part}"
            self.post("fall", debit, "pool:p:available", taken, key, legs[key], revision, self.name(lot))
        return taken

    # ------------------------------------------------------------------ redemption
    def serve(self, asks):
        """First come, first served; the first rule that a request breaks is its answer."""
        room = dict.fromkeys(self.shop.slots, self.shop.slot_day)
        own = defaultdict(lambda: self.shop.one_merchant)
        for ask in sorted(asks, key=lambda a: (a.on, a.at, a.number, a.says)):
            if (ask.number, ask.says) in self.answers:
                continue
            mine = sorted(
                (lot for lot in self.lots if lot.merchant == ask.merchant and lot.active),
                key=lambda lot: lot.order,
            )
            g = ask.points * 1_000 // self.shop.price
            if any(number == ask.number for number, _ in self.answers):
                answer = "duplicate_request"
            elif ask.slot not in self.shop.slots:
                answer = "unknown_slot"
            elif ask.merchant in self.shop.blocked:
                answer = "merchant_blocked"
            elif ask.points < self.shop.minimum:
                answer = "below_minimum"
            elif ask.provider or ask.points > sum(lot.active for lot in mine):
                answer = "insufficient"
            elif g > min(room[ask.slot], own[ask.slot, ask.merchant], self.impressions):
                answer = "slot_full"
            else:
                answer = "reserved"
                room[ask.slot] -= g
                own[ask.slot, ask.merchant] -= g
                self.reserve(ask, g, mine)
            self.answers[ask.number, ask.says] = (answer, ask, self.day)

    def reserve(self, ask, g, lots):
        key, m, left, parts = f"redemption|{ask.number}", f"merchant:{ask.merchant}", ask.points, []
        for lot in lots:
            units = min(lot.active, left)
            if units:
                lot.active, lot.reserved, left = lot.active - units, lot.reserved + units, left - units
                parts.append((lot, units))
                self.post(
                    "reserve", f"{m}:active", f"{m}:reserved", units, key, len(parts), 1, self.name(lot)
                )
        self.impressions -= g
        self.post("reserve", "pool:traffic:available", f"{m}:reserved", g, key, len(parts) + 1)
        self.grants.append(Grant(ask, self.day, g, parts))

    def resolve(self, delivered):
        """Settle what is full or over; what was not delivered goes back to its lots, and pays debt first."""
        given_back = defaultdict(list)
        for grant in self.grants:
            served = min(grant.impressions, delivered.get(grant.ask.number, 0))
            over = self.day >= grant.day + timedelta(days=self.shop.settles)
            if grant.resolved or not (over or served == grant.impressions):
                continue
            grant.resolved, grant.served = self.day, served
            grant.spent = left = (served * grant.ask.points + grant.impressions - 1) // grant.impressions
            key, m = f"redemption|{grant.ask.number}", f"merchant:{grant.ask.merchant}"
            sink = f"sink:redeemed:{grant.ask.slot}"
            for leg, (lot, units) in enumerate(grant.parts, start=1):
                spent = min(units, left)
                back, left = units - spent, left - spent
                lot.reserved, lot.redeemed, lot.active = (
                    lot.reserved - units,
                    lot.redeemed + spent,
                    lot.active + back,
                )
                grant.back.append(back)
                if spent:
                    self.post("settle", f"{m}:reserved", sink, spent, key, leg, 1, self.name(lot))
                if back:
                    self.post("void", f"{m}:reserved", f"{m}:active", back, key, leg, 1, self.name(lot))
                    given_back[grant.ask.merchant].append([lot, back, key])
            last, rest = len(grant.parts) + 1, grant.impressions - served
            if served:
                self.post("settle", f"{m}:reserved", f"sink:delivered:{grant.ask.slot}", served, key, last)
            if rest:
                self.impressions += rest
                self.post("void", f"{m}:reserved", "pool:traffic:available", rest, key, last)
        for merchant, rooms in given_back.items():
            self.pay(merchant, sorted(rooms, key=lambda r: (*r[0].order, r[2])))

    def pay(self, merchant, rooms):
        """rooms: [lot, points that became active, …] in debit order. Oldest debt first."""
        owing = sorted(
            (p.effective, key) for key, p in self.positions.items() if p.merchant == merchant and p.debt
        )
        for _, key in owing:
            p = self.positions[key]
            for room in rooms:
                lot, paid = room[0], min(room[1], p.debt)
                if not paid:
                    continue
                room[1] -= paid
                lot.active -= paid
                lot.taken += paid
                p.debt -= paid
                self.available += paid
                m, leg = f"merchant:{merchant}", p.repayments
                self.post(
                    "repay", f"{m}:active", "pool:p:available", paid, key, leg + 1, p.revision, self.name(lot)
                )
                self.post("repay", "pool:p:receivable", f"{m}:debt", paid, key, leg + 2, p.revision)
                p.repayments += 2

    # ------------------------------------------------------------------ time
    def activate_and_pay(self):
        fresh = defaultdict(list)
        for lot in sorted(self.lots, key=lambda lot: lot.order):
            if lot.pending and lot.matures <= self.day:
                m = f"merchant:{lot.merchant}"
                self.post(
                    "activate",
                    f"{m}:pending",
                    f"{m}:active",
                    lot.pending,
                    lot.key,
                    1,
                    lot.revision,
                    self.name(lot),
                )
                lot.active, lot.pending = lot.active + lot.pending, 0
                fresh[lot.merchant].append(lot)
        if self.terms.skips_others:
            for merchant in {p.merchant for p in self.positions.values() if p.debt}:
                usable = [lot for lot in self.lots if lot.merchant == merchant and lot.active]
                fresh[merchant] = sorted(usable, key=lambda lot: lot.order)
        for merchant, lots in fresh.items():
            self.pay(merchant, [[lot, lot.active] for lot in lots])

    def expire(self):
        for lot in self.lots:
            if lot.active and self.day > lot.expires:
                debit = f"merchant:{lot.merchant}:active"
                leg = (self.day - lot.expires).days
                self.post(
                    "expire", debit, "sink:expired", lot.active, lot.key, leg, lot.revision, self.name(lot)
                )
                lot.expired, lot.active = lot.expired + lot.active, 0

    # ------------------------------------------------------------------ earning
    def earn(self, asked):
        demand = []
        for key, (merchant, effective, multiplier, new) in asked.items():
            matures = effective + timedelta(days=self.terms.maturity)
            expires = matures + timedelta(days=self.terms.expiry)
            old = self.positions[key].asked if key in self.positions else 0
            if new > old and self.day <= expires:
                if key not in self.positions:
                    self.positions[key] = Position(merchant, effective, multiplier, matures, expires)
                self.positions[key].asked = new
                self.positions[key].revision += 1
                self.asked_at[key, self.positions[key].revision] = new
                demand.append((merchant, key, new - old))
        grants = largest_remainder(demand, self.available)
        for merchant, key, extra in demand:
            p, granted = self.positions[key], grants[key]
            p.granted += granted
            p.net += granted
            p.cut += extra - granted
            if granted:
                self.available -= granted
                lot = Lot(
                    key, merchant, p.revision, p.effective, self.day, p.matures, p.expires, granted, granted
                )
                self.lots.append(lot)
                self.post(
                    "earn", "pool:p:available", f"merchant:{merchant}:pending", granted, key, 1, p.revision,
                    self.name(lot),
                )  # fmt: skip

    @staticmethod
    def name(lot):
        return (lot.key, lot.revision)


def largest_remainder(demand, available):
    """{key: granted} for [(merchant, key, extra)]: whole where there is enough, else in proportion."""
    total = sum(extra for _, _, extra in demand)
    if total <= available:
        return {key: extra for _, key, extra in demand}
    granted = {key: extra * available // total for _, key, extra in demand}
    order = sorted(demand, key=lambda d: (-(d[2] * available % total), d[0], d[1]))
    for _, key, _ in order[: available - sum(granted.values())]:
        granted[key] += 1
    return granted
