"""A simulated market with planted cheats: 90 days of merchants, from a seed, as the frames that abuse rules read.

Nothing in it is real. Each kind of cheat does what it does beside some honest trade, and each is visible to two
families of evidence; hard honest merchants are each visible to one. Merchants' names begin with their kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from bench.abuse_frames import Rows, frames

START, DAYS, GO_LIVE_DAY = date(2026, 1, 5), 90, 30
LAST_START = 50
"""Cheats begin before this day, some of them after points went live."""
DAY_SECONDS = 86_400
EPOCH = int((START - date(1970, 1, 1)).days) * DAY_SECONDS
CHEATS = (
    "brushing",
    "self_dealing",
    "refund_after",
    "staff_ring",
    "scan_farm",
    "follow_farm",
    "split_orders",
)
HARD = ("one_regular", "canteen", "owners_elsewhere", "event_day", "food_court", "fashion")


@dataclass
class Book:
    """Events so far, each kind as a list of blocks: merchant, user, second, …"""

    rng: np.random.Generator
    trades: list[Rows] = field(default_factory=list)
    scans: list[Rows] = field(default_factory=list)
    visits: list[Rows] = field(default_factory=list)
    follows: list[Rows] = field(default_factory=list)
    staff: list[tuple[str, str]] = field(default_factory=list)

    def pay(self, merchant: str, users, seconds, fen, terminal="", back_after=None) -> None:
        """Trades; ``back_after``: days until all of it is refunded, -1 where it is not."""
        n = len(users)
        back = np.full(n, -1) if back_after is None else back_after
        named = _texts(terminal or f"{merchant}-t1", n)
        self.trades.append([_texts(merchant, n), _users(users), np.asarray(seconds), named, fen, back])

    def scan(self, merchant: str, users, seconds, terminal="t1") -> None:
        n = len(users)
        at = np.asarray(seconds)
        self.scans.append([_texts(merchant, n), _users(users), at, _texts(f"{merchant}-{terminal}", n)])

    def visit(self, merchant: str, users, days) -> None:
        self.visits.append([_texts(merchant, len(users)), _users(users), np.asarray(days)])

    def follow(self, merchant: str, users, seconds, on: bool = True) -> None:
        n = len(users)
        self.follows.append([_texts(merchant, n), _users(users), np.asarray(seconds), np.full(n, on)])


@dataclass(frozen=True)
class Market:
    """Frames by table, ``stakes`` (merchant_id, effective_date, points: what each day would earn), and the first
    day on which each cheat cheats."""

    tables: Mapping[str, pa.Table]
    stakes: pa.Table
    since: Mapping[str, date]


def market(seed: int, *, honest: int = 150, hard: int = 3, cheats: int = 6) -> Market:
    """The market of a seed: ``honest`` plain shops, ``hard`` of each hard kind, ``cheats`` of each pattern."""
    book = Book(np.random.default_rng(seed))
    since: dict[str, date] = {}
    for n in range(honest):
        _shop(book, f"shop-{n:03d}", book.rng.uniform(2, 25))
    for kind in HARD:
        for n in range(hard):
            _HARD[kind](book, f"{kind}-{n:02d}")
    for kind in CHEATS:
        for n in range(cheats):
            first = int(book.rng.integers(0, LAST_START))
            _CHEATS[kind](book, f"{kind}-{n:02d}", first)
            since[f"{kind}-{n:02d}"] = START + timedelta(days=first)
    return Market(*frames(book, START, DAYS), since)


def _texts(text: str, n: int) -> np.ndarray:
    return np.full(n, text, dtype=object)


def _users(users) -> np.ndarray:
    return np.asarray(users, dtype=object)


def _named(merchant: str, numbers, kind: str = "u") -> np.ndarray:
    return np.array([f"{merchant}-{kind}{n}" for n in numbers], dtype=object)


def _seconds(rng: np.random.Generator, days, first_hour: float = 9, last_hour: float = 21) -> np.ndarray:
    """A moment of each day, between two hours."""
    days = np.asarray(days)
    return (
        EPOCH + days * DAY_SECONDS + (rng.uniform(first_hour, last_hour, len(days)) * 3600).astype(np.int64)
    )


def _amounts(rng: np.random.Generator, n: int, middle: float = 3500) -> np.ndarray:
    return np.maximum((rng.lognormal(np.log(middle), 0.6, n)).astype(np.int64), 100)


def _days(rng: np.random.Generator, a_day: float, first: int = 0) -> np.ndarray:
    """Day numbers, each as often as something happens on it."""
    return np.repeat(np.arange(first, DAYS), rng.poisson(a_day, DAYS - first))


def _refunds(rng: np.random.Generator, n: int, share: float, late: float) -> np.ndarray:
    """Days until a trade is given back: ``share`` within ten days, ``late`` after 16 to 30, else -1."""
    drawn = rng.random(n)
    soon, later = rng.integers(0, 11, n), rng.integers(16, 31, n)
    return np.where(drawn < share, soon, np.where(drawn < share + late, later, -1))


def _shop(book: Book, name: str, a_day: float, late: float = 0.004) -> None:
    """A plain shop: regulars and passers-by, some scans with some returns, some followers of whom some leave."""
    rng = book.rng
    days = _days(rng, a_day)
    pool = max(int(a_day * rng.uniform(8, 25)), 20)
    payers = _named(name, (pool * rng.beta(0.8, 1.6, len(days))).astype(int))
    back = _refunds(rng, len(days), 0.02, late)
    book.pay(name, payers, _seconds(rng, days), _amounts(rng, len(days)), back_after=back)
    scans = _days(rng, a_day * rng.uniform(0.1, 0.5))
    scanned = _named(name, rng.integers(0, pool * 2, len(scans)), "q")
    book.scan(name, scanned, _seconds(rng, scans))
    returns = rng.random(len(scans)) < rng.uniform(0.1, 0.4)
    book.visit(name, scanned[returns], scans[returns] + rng.integers(1, 12, returns.sum()))
    _followers(book, name, _days(rng, a_day * 0.1), rng.uniform(0.05, 0.25))


def _followers(book: Book, name: str, days: np.ndarray, leave: float, hours=(9, 21)) -> None:
    rng = book.rng
    users = _named(f"{name}-{int(rng.integers(1 << 30))}", range(len(days)), "f")
    book.follow(name, users, _seconds(rng, days, *hours))
    gone = rng.random(len(days)) < leave
    book.follow(name, users[gone], _seconds(rng, days[gone] + rng.integers(1, 25, gone.sum())), on=False)


def _one_regular(book: Book, name: str) -> None:
    """One customer buys nearly everything, once or twice a day; a few others come by."""
    _shop(book, name, 0.3)
    days = _days(book.rng, 1.6)
    regular = _named(name, np.zeros(len(days), dtype=int), "r")
    book.pay(name, regular, _seconds(book.rng, days), _amounts(book.rng, len(days), 9000))


def _canteen(book: Book, name: str) -> None:
    """The same sixty people at noon on workdays, one price."""
    rng = book.rng
    for day in range(DAYS):
        if (START + timedelta(days=day)).weekday() < 5:
            who = np.flatnonzero(rng.random(60) < 0.8)
            at = _seconds(rng, np.full(len(who), day), 12, 13)
            book.pay(name, _named(name, who), at, np.full(len(who), 1500))


def _owners_elsewhere(book: Book, name: str) -> None:
    """A snack bar in a market hall: mostly the stalls' owners eat there, who are staff of their own stalls."""
    rng = book.rng
    _shop(book, name, rng.uniform(2, 5))
    owners = _named(name, range(int(rng.integers(8, 20))), "o")
    book.staff += [(f"{name}-stall{n}", owner) for n, owner in enumerate(owners)]
    days = _days(rng, len(owners) * 0.7)
    book.pay(name, rng.choice(owners, len(days)), _seconds(rng, days), _amounts(rng, len(days), 2500))


def _event_day(book: Book, name: str) -> None:
    """An honest shop whose followers come in bursts at events, and mostly stay."""
    _shop(book, name, book.rng.uniform(4, 15))
    for day in book.rng.choice(DAYS, 8, replace=False):
        _followers(book, name, np.full(int(book.rng.integers(25, 60)), day), 0.25, (18, 18.9))


def _food_court(book: Book, name: str) -> None:
    """Stalls with one till between them."""
    for stall in ("a", "b"):
        rng, merchant = book.rng, f"{name}-{stall}"
        days = _days(rng, rng.uniform(8, 20))
        payers = _named(name, rng.integers(0, 300, len(days)))
        book.pay(
            merchant, payers, _seconds(rng, days, 11, 14), _amounts(rng, len(days), 2000), f"{name}-till"
        )


def _fashion(book: Book, name: str) -> None:
    """Much is sent back, some of it late, seldom all that a customer bought."""
    _shop(book, name, book.rng.uniform(8, 20), late=0.08)


def _brushing(book: Book, name: str, first: int) -> None:
    """Two to four hired accounts order again and again within two hours; amounts are much the same."""
    rng = book.rng
    _shop(book, name, rng.uniform(0.5, 2))
    hired = _named(name, range(int(rng.integers(2, 5))), "h")
    days = _days(rng, rng.uniform(18, 40), first)
    hours = rng.uniform(9, 20, DAYS)[days] + rng.uniform(0, 2, len(days))
    at = EPOCH + days * DAY_SECONDS + (hours * 3600).astype(np.int64)
    book.pay(name, rng.choice(hired, len(days)), at, _amounts(rng, len(days), 6000))


def _self_dealing(book: Book, name: str, first: int) -> None:
    """The owner's family, who are staff of a sister shop, pay a few times a day, spread over it."""
    rng = book.rng
    _shop(book, name, rng.uniform(0.5, 1.5))
    family = _named(name, range(int(rng.integers(2, 5))), "k")
    book.staff += [(f"{name}-sister", each) for each in family]
    days = _days(rng, rng.uniform(4, 9), first)
    book.pay(name, rng.choice(family, len(days)), _seconds(rng, days), _amounts(rng, len(days), 12000))


def _refund_after(book: Book, name: str, first: int) -> None:
    """Accomplices pay, each once a few weeks, and get all of it back once the points have matured."""
    rng = book.rng
    _shop(book, name, rng.uniform(1, 4))
    days = _days(rng, rng.uniform(3, 7), first)
    friends = _named(name, rng.integers(0, 90, len(days)), "a")
    back = np.where(rng.random(len(days)) < 0.95, rng.integers(16, 20, len(days)), -1)
    book.pay(name, friends, _seconds(rng, days), _amounts(rng, len(days), 9000), back_after=back)


def _staff_ring(book: Book, name: str, first: int) -> None:
    """Undeclared staff of two neighbours pay after closing time, again and again, at a till that both use."""
    rng = book.rng
    for side in ("a", "b"):
        merchant = f"{name}-{side}" if side == "b" else name
        _shop(book, merchant, rng.uniform(0.5, 2.5))
        ring = _named(name, range(int(rng.integers(3, 7))), f"s{side}")
        days = _days(rng, rng.uniform(18, 35), first)
        at = _seconds(rng, days, 21.05, 21.95)
        book.pay(merchant, rng.choice(ring, len(days)), at, _amounts(rng, len(days), 5000), f"{name}-till")


def _scan_farm(book: Book, name: str, first: int) -> None:
    """New accounts scan one code in bursts; hardly one of them comes again."""
    rng = book.rng
    _shop(book, name, rng.uniform(0.5, 1.5))
    days = _days(rng, rng.uniform(80, 160), first)
    users = _named(name, range(len(days)), "n")
    book.scan(name, users, _seconds(rng, days, 10, 12), "t9")
    again = rng.random(len(days)) < rng.uniform(0.0, 0.02)
    book.visit(name, users[again], days[again] + 1)


def _follow_farm(book: Book, name: str, first: int) -> None:
    """Bursts of followers, most of whom leave: within days, or just after the points for them are due."""
    rng = book.rng
    _shop(book, name, rng.uniform(1, 5))
    days = _days(rng, rng.uniform(25, 60), first)
    users = _named(name, range(len(days)), "z")
    book.follow(name, users, _seconds(rng, days, 15, 15.9))
    gone = rng.random(len(days)) < rng.uniform(0.75, 0.95)
    later = np.where(
        rng.random(gone.sum()) < 0.7, rng.integers(1, 6, gone.sum()), rng.integers(8, 11, gone.sum())
    )
    book.follow(name, users[gone], _seconds(rng, days[gone] + later), on=False)


def _split_orders(book: Book, name: str, first: int) -> None:
    """Each larger order is paid in three or four parts within minutes."""
    rng = book.rng
    days = _days(rng, rng.uniform(4, 10), first)
    payers = _named(name, rng.integers(0, 150, len(days)))
    parts = rng.integers(3, 5, len(days))
    at = np.repeat(_seconds(rng, days), parts) + np.concatenate([np.arange(p) * 60 for p in parts])
    book.pay(name, np.repeat(payers, parts), at, _amounts(rng, int(parts.sum()), 1500))


_HARD = {
    "one_regular": _one_regular,
    "canteen": _canteen,
    "owners_elsewhere": _owners_elsewhere,
    "event_day": _event_day,
    "food_court": _food_court,
    "fashion": _fashion,
}
_CHEATS = {
    "brushing": _brushing,
    "self_dealing": _self_dealing,
    "refund_after": _refund_after,
    "staff_ring": _staff_ring,
    "scan_farm": _scan_farm,
    "follow_farm": _follow_farm,
    "split_orders": _split_orders,
}
