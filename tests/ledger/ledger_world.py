"""A little world of sales and refunds, and the two ledgers that close its days: Spark's and the reference's."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import pyarrow as pa
from ledger_reference import Ledger, Terms

from ccare.ledger.policy import LedgerPolicies
from ccare.ledger.programmes import FundingFile, ProgrammesFile
from ccare.runtime.close import Close
from ccare.tables import table

ARROW = {"string": pa.string(), "bigint": pa.int64(), "int": pa.int32(), "double": pa.float64()}
ARROW |= {"boolean": pa.bool_(), "date": pa.date32(), "timestamp": pa.timestamp("us", "UTC")}
STATE = ("ledger_lots", "ledger_positions", "ledger_balances")
NAMES = ("ledger_transfers", *STATE)


def arrow(name, rows=()):
    """Dict rows as an Arrow table of the declared columns; what is missing is null."""
    columns = [c for c in table(name).columns if c.type in ARROW]
    schema = pa.schema([(c.name, ARROW[c.type]) for c in columns])
    return pa.Table.from_pylist([{c.name: row.get(c.name) for c in columns} for row in rows], schema=schema)


@dataclass(frozen=True)
class Sale:
    merchant: str
    user: str | None
    paid: date
    amount: int
    taken: date
    trade: str


@dataclass(frozen=True)
class Refund:
    sale: Sale
    on: date
    amount: int
    taken: date


@dataclass
class World:
    """Everything delivered so far; ``taken`` is the close that first counts it."""

    sales: list[Sale] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    staff: dict[tuple[str, str], date] = field(default_factory=dict)
    scores: dict[str, float | None] = field(default_factory=dict)
    mini_programs: list[dict] = field(default_factory=list)

    def sell(self, merchant, amount, paid, taken=None, user="u1"):
        """One paid trade, taken by the close of its own day unless said otherwise."""
        sale = Sale(merchant, user, paid, amount, taken or paid, f"t{len(self.sales)}")
        self.sales.append(sale)
        return sale

    def refund(self, sale, amount, on, taken=None):
        """A part of a trade returned."""
        self.refunds.append(Refund(sale, on, amount, max(taken or on, sale.taken)))

    def inputs(self, day):
        """Arrow tables as the close of ``day`` would read them."""
        days, changes = defaultdict(lambda: [0, 0]), defaultdict(lambda: [0, 0, 0, 0])
        refund_days = defaultdict(lambda: [0, 0])
        payments = []
        for s in (s for s in self.sales if s.taken <= day):
            days[s.merchant, s.user, s.paid][0] += 1
            days[s.merchant, s.user, s.paid][1] += s.amount
            payments.append(_payment(s, "paid", s.paid, s.amount, s.taken))
            if s.taken == day:
                changes[s.merchant, s.user, s.paid][0] += 1
                changes[s.merchant, s.user, s.paid][1] += s.amount
        for r in (r for r in self.refunds if r.taken <= day):
            key = (r.sale.merchant, r.sale.user, r.sale.paid, r.on)
            refund_days[key][0] += r.amount
            refund_days[key][1] += 1
            payments.append(_payment(r.sale, "refunded", r.on, r.amount, r.taken))
            if r.taken == day:
                changes[r.sale.merchant, r.sale.user, r.on][2] += 1
                changes[r.sale.merchant, r.sale.user, r.on][3] += r.amount
        return {
            "state_changes": arrow("state_changes", [_pair(k) | _sums(v) for k, v in changes.items()]),
            "state_user_days": arrow("state_user_days", [_pair(k) | _sums(v) for k, v in days.items()]),
            "state_refund_days": arrow(
                "state_refund_days",
                [
                    {"merchant_id": m, "user_key": u, "paid_date": p, "refund_date": d}
                    | {"refund_fen": fen, "refunds": n}
                    for (m, u, p, d), (fen, n) in refund_days.items()
                ],
            ),
            "core_payments": arrow("core_payments", payments),
            "core_staff": arrow(
                "core_staff",
                [
                    {"merchant_id": m, "user_key": u, "taken_on": t}
                    for (m, u), t in self.staff.items()
                    if t <= day
                ],
            ),
            "core_merchants": arrow(
                "core_merchants", [m for m in self.mini_programs if m["taken_on"] <= day]
            ),
            "score_merchants": arrow(
                "score_merchants",
                [{"merchant_id": m, "as_of_date": day, "total_score": s} for m, s in self.scores.items()],
            ),
        }

    def nets(self, day, late_days):
        """{(merchant, paid date): fen} for the keys that this close has to look at, the plain way."""
        staff = {pair for pair, taken in self.staff.items() if taken <= day}
        newly = {pair for pair, taken in self.staff.items() if taken == day}
        nets, touched = defaultdict(int), set()
        for s in (s for s in self.sales if s.taken <= day):
            if s.taken == day or (s.merchant, s.user) in newly:
                touched.add((s.merchant, s.paid))
            if (s.merchant, s.user) not in staff and _in_time(s, late_days):
                nets[s.merchant, s.paid] += s.amount
        for r in (r for r in self.refunds if r.taken <= day):
            if r.taken == day:
                touched.add((r.sale.merchant, r.sale.paid))
            if (r.sale.merchant, r.sale.user) not in staff and _in_time(r.sale, late_days):
                nets[r.sale.merchant, r.sale.paid] -= r.amount
        return {key: nets[key] for key in touched}


def _in_time(sale, late_days):
    return (_delivered(sale.taken) - sale.paid).days <= late_days


def _delivered(taken):
    return taken + timedelta(days=1)


def _pair(key):
    return dict(zip(("merchant_id", "user_key", "business_date"), key))


def _sums(values):
    return dict(zip(("orders", "gmv_fen", "refunds", "refund_fen"), values))


def _payment(sale, kind, on, amount, taken):
    return {
        "event_id": f"{kind}-{sale.trade}-{on}-{amount}",
        "event_type": kind,
        "merchant_id": sale.merchant,
        "user_key": sale.user if kind == "paid" else None,
        "business_date": on,
        "delivery_date": _delivered(taken),
        "taken_on": taken,
        "trade_no": sale.trade,
        "amount_fen": amount,
    }


def policies(start, terms=None, fundings=(), late_days=30, **programme):
    """A policy of one programme ``f`` and one pool ``p``; ``fundings`` are (approval, date, amount)."""
    terms = terms or Terms()
    one = {
        **{"name": "f", "title": "F", "from": start, "pool": "p", "eligibility": "everyone"},
        **{"maturity_days": terms.maturity, "expiry_days": terms.expiry, "rules": [{"name": "trade_net"}]},
        "on_fall": "only_pending" if terms.only_pending else "within_balance",
    } | programme
    return LedgerPolicies(
        ProgrammesFile.model_validate(
            {
                **{"version": "test", "go_live": start, "late_window_days": late_days},
                **{"pools": [{"name": "p", "programme": "f"}], "programmes": [one]},
            }
        ),
        FundingFile.model_validate(
            {"fundings": [{"pool": "p", "amount": a, "date": on, "approval": ref} for ref, on, a in fundings]}
        ),
    )


def run_both(books, reference, world, days, fundings, late_days=30, spending=()):
    """Close ``days`` in both ledgers; ``spending`` holds (day, merchant, points) spent after that day's close."""
    scores = {m: tenths(s) for m, s in world.scores.items()}
    for day in days:
        books.close(world, day)
        reference.close(day, world.nets(day, late_days), scores, fundings)
        for _, merchant, points in (s for s in spending if s[0] == day):
            books.redeem(merchant, reference.redeem(merchant, points))


class SparkBooks:
    """The product's ledger, closed day by day; between closes every frame is an Arrow table in memory."""

    def __init__(self, spark, ledger_policies, first_day):
        self.spark, self.policies, self.first_day = spark, ledger_policies, first_day
        self.tables = {name: arrow(name) for name in NAMES}

    def close(self, world, day, **overrides):
        """Close ``day``; returns the new transfers as dict rows."""
        from jobs.ledger_transfers import build

        tables = world.inputs(day) | {name: self.tables[name] for name in STATE}
        inputs = {name: self.spark.createDataFrame(rows) for name, rows in tables.items()}
        out = build(inputs, self.told(day, **overrides))
        new = {name: out[name].select(*self.tables[name].column_names).toArrow() for name in NAMES}
        self.spark.catalog.clearCache()
        new = {name: rows.cast(self.tables[name].schema) for name, rows in new.items()}
        self.tables = new | {
            "ledger_transfers": pa.concat_tables([self.tables["ledger_transfers"], new["ledger_transfers"]])
        }
        return new["ledger_transfers"].to_pylist()

    def redeem(self, merchant, spent):
        """Spends what ``Ledger.redeem`` spent, as a redemption will: active -> redeemed in lots and balances."""
        by_lot = dict(spent)
        lots = self.rows("ledger_lots")
        for lot in lots:
            units = by_lot.get((lot["business_key"], lot["revision"]), 0)
            lot["active"], lot["redeemed"] = lot["active"] - units, lot["redeemed"] + units
        balances = self.rows("ledger_balances")
        total = sum(by_lot.values())
        for row in balances:
            if row["account"] == f"merchant:{merchant}:active":
                row["balance"], row["debits"] = row["balance"] - total, row["debits"] + total
        self.tables |= {"ledger_lots": arrow("ledger_lots", lots)}
        self.tables |= {"ledger_balances": arrow("ledger_balances", balances)}

    def told(self, day, **overrides):
        """What the job is told about the close."""
        values = {
            **{"day": day, "first_day": self.first_day, "run_id": f"run-{day}", "timezone": "Asia/Shanghai"},
            **{"posted_at": datetime(2030, 1, 1, tzinfo=UTC), "scoring": None, "slots": None},
            "ledger": self.policies.for_day(day),
        }
        return Close(**(values | overrides))

    def rows(self, name):
        """The table as dict rows."""
        return self.tables[name].to_pylist()

    def balances(self):
        """{account: balance}, accounts at 0 left out."""
        return {r["account"]: r["balance"] for r in self.rows("ledger_balances") if r["balance"]}


def tenths(score):
    """Tenths of a score; 0 without one."""
    return 0 if score is None else round(score * 10)


def comparable(transfers):
    """Spark's transfers in the reference's form."""
    lots = {t["transfer_id"]: (t["business_key"], t["revision"]) for t in transfers if t["code"] == "earn"}
    return sorted(
        (
            *(
                t[n]
                for n in ("booked_date", "code", "debit_account", "credit_account", "amount", "business_key")
            ),
            *(t["leg"], t["revision"], lots[t["lot_id"]] if t["lot_id"] else ()),
        )
        for t in transfers
    )


def as_seen(ledger: Ledger):
    """The reference's transfers, sorted alike."""
    return sorted((*t[:8], t[8] or ()) for t in ledger.transfers)


def as_tables(ledger: Ledger):
    """The reference's books as dict rows of the four declared tables, ids and hashes by hashlib."""
    transfers = [_transfer(ledger, t) for t in ledger.transfers]
    ids = {(t["business_key"], t["revision"]): t["transfer_id"] for t in transfers if t["code"] == "earn"}
    about = {"programme": "f", "asset": "POINT", "pool": "p"}
    lots = [
        about
        | {"lot_id": ids[lot.key, lot.revision], "business_key": lot.key, "merchant_id": lot.merchant}
        | {"effective_date": lot.effective, "revision": lot.revision, "booked_date": lot.booked}
        | {"matures_on": lot.matures, "expires_on": lot.expires, "amount": lot.amount, "reserved": 0}
        | {n: getattr(lot, n) for n in ("pending", "active", "expired", "taken", "redeemed")}
        for lot in ledger.lots
    ]
    funding = {"rule": "funding", "revision": 1, "multiplier_milli": 0, "repayments": 0}
    funding |= dict.fromkeys(("lapsed", "forgiven", "cut_by_pool", "debt"), 0)
    positions = [
        about | funding | {"business_key": f"funding|p|{ref}", "asked": n, "granted": n, "net": n}
        for ref, n in ledger.funded.items()
    ]
    positions += [
        about
        | {"business_key": key, "rule": "trade_net", "merchant_id": p.merchant, "effective_date": p.effective}
        | {n: getattr(p, n) for n in ("revision", "asked", "granted", "net", "lapsed", "forgiven", "debt")}
        | {"cut_by_pool": p.cut, "repayments": p.repayments, "multiplier_milli": p.multiplier}
        | {"matures_on": p.matures, "expires_on": p.expires}
        for key, p in ledger.positions.items()
    ]
    return {
        "ledger_transfers": transfers,
        "ledger_lots": lots,
        "ledger_positions": positions,
        "ledger_balances": _balances(transfers),
    }


def _transfer(ledger, transfer):
    day, code, debit, credit, amount, key, leg, revision, lot = transfer
    parts = key.split("|")
    party = "" if code == "fund" else parts[2]
    effective = day if code == "fund" else date.fromisoformat(parts[3])
    terms = next((x for x in ledger.lots if lot and ledger.name(x) == lot), None)
    expires = terms.expires if terms else ""
    lot_id = _sha("f", "earn", lot[0], 1, lot[1]) if lot else ""
    content = (
        debit,
        credit,
        amount,
        "POINT",
        code,
        "f",
        party,
        lot_id,
        effective,
        expires,
        day,
        key,
        leg,
        revision,
    )
    return {
        "transfer_id": _sha("f", code, key, leg, revision),
        "content_hash": _sha(*content),
        **{
            "debit_account": debit,
            "credit_account": credit,
            "amount": amount,
            "asset": "POINT",
            "code": code,
        },
        **{"programme": "f", "merchant_id": party or None, "lot_id": lot_id or None, "business_key": key},
        **{"effective_date": effective, "expires_on": expires or None, "booked_date": day},
        **{"matures_on": terms.matures if terms else None, "leg": leg, "revision": revision},
        "asked": ledger.asked_at[key, revision] if code in ("earn", "fall", "debt") else None,
    }


def _balances(transfers):
    found = {}
    for t in transfers:
        for account, credit in ((t["credit_account"], t["amount"]), (t["debit_account"], 0)):
            row = found.setdefault(account, {"account": account, "asset": "POINT", "credits": 0, "debits": 0})
            row["credits"] += credit
            row["debits"] += t["amount"] - credit
            row["transfers"] = row.get("transfers", 0) + 1
            row["folded_to"] = max(row.get("folded_to", t["booked_date"]), t["booked_date"])
    return [row | {"balance": row["credits"] - row["debits"]} for row in found.values()]


def _sha(*fields):
    return sha256("\n".join(map(str, fields)).encode()).hexdigest()
