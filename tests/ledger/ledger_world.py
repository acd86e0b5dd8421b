"""A little world of sales and refunds, and the two ledgers that close its days: Spark's and the reference's."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from importlib import import_module

import duckdb
import pyarrow as pa
from ledger_reference import Ask, Ledger, Shop, Terms

from ccare.events.slots import SlotMap
from ccare.ledger.policy import LedgerPolicies
from ccare.ledger.programmes import FundingFile, ProgrammesFile
from ccare.ledger.redemption_terms import RedemptionTerms
from ccare.runtime.close import Close
from ccare.tables import table

ARROW = {"string": pa.string(), "bigint": pa.int64(), "int": pa.int32(), "double": pa.float64()}
ARROW |= {"boolean": pa.bool_(), "date": pa.date32(), "timestamp": pa.timestamp("us", "UTC")}
STATE = ("ledger_lots", "ledger_positions", "ledger_balances")
DAYS = ("ledger_requests", "ledger_allocations")
ADJUSTED, REFUSED = "ledger_adjustments", "ledger_refusals"
NAMES = ("ledger_transfers", *STATE, *DAYS)
ASKED = ("core_fundings", "core_adjustments", "core_approvals")
TRAFFIC = ("T-1", date(2000, 1, 1), 10**9, "traffic")
"""A funding of the impressions that points buy."""


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
    fee: int = 0


@dataclass(frozen=True)
class Refund:
    sale: Sale
    on: date
    amount: int
    taken: date


@dataclass(frozen=True)
class Delivered:
    """One traffic row of a grant."""

    grant: str
    merchant: str
    slot: str
    on: date
    impressions: int
    taken: date
    arm: str = "treated"
    source: str = "points"


@dataclass
class World:
    """Everything delivered so far; ``taken`` is the close that first counts it."""

    sales: list[Sale] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    staff: dict[tuple[str, str], date] = field(default_factory=dict)
    scores: dict[str, float | None] = field(default_factory=dict)
    mini_programs: list[dict] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    traffic: list[Delivered] = field(default_factory=list)
    asked: dict[str, list[dict]] = field(default_factory=lambda: {name: [] for name in ASKED})

    def sell(self, merchant, amount, paid, taken=None, user="u1", fee=0):
        """One paid trade, taken by the close of its own day unless said otherwise."""
        sale = Sale(merchant, user, paid, amount, taken or paid, f"t{len(self.sales)}", fee)
        self.sales.append(sale)
        return sale

    def refund(self, sale, amount, on, taken=None):
        """A part of a trade returned."""
        self.refunds.append(Refund(sale, on, amount, max(taken or on, sale.taken)))

    def ask(self, number, merchant, points, on, slot="s1", **more):
        """A request to redeem points."""
        self.asks.append(Ask(number, merchant, slot, points, on, **more))

    def deliver(self, grant, merchant, impressions, on, slot="s1", taken=None, **more):
        """Impressions of a grant, told by the close of the next day unless said otherwise."""
        taken = taken or on + timedelta(days=1)
        self.traffic.append(Delivered(grant, merchant, slot, on, impressions, taken, **more))

    def servable(self, day, first):
        """Requests that the close of ``day`` is the first to be able to serve."""
        ready = [(max(a.on, a.taken or a.on), a) for a in self.asks]
        return [a for when, a in ready if when == day or (day == first and when < day)]

    def served(self, ledger, day):
        """{request: treated impressions that count by ``day``} for the reference's grants."""
        of_grant = defaultdict(list)
        for t in self.traffic:
            of_grant[t.grant, t.merchant, t.slot].append(t)
        return {
            g.ask.number: sum(
                t.impressions
                for t in of_grant[g.ask.number, g.ask.merchant, g.ask.slot]
                if (t.arm, t.source) == ("treated", "points")
                and t.taken <= day
                and g.day < t.on <= g.day + timedelta(days=ledger.shop.runs)
            )
            for g in ledger.grants
        }

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
            "core_redemption_requests": arrow(
                "core_redemption_requests", [_request(a) for a in self.asks if (a.taken or a.on) <= day]
            ),
            **{n: arrow(n, [r for r in self.asked[n] if r["taken_on"] <= day]) for n in self.asked},
            "core_traffic_hours": arrow(
                "core_traffic_hours", [_hour(t) for t in self.traffic if t.taken <= day]
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


def _request(ask):
    noon = datetime(ask.on.year, ask.on.month, ask.on.day, 4, tzinfo=UTC)  # in Shanghai
    names = {"request_id": ask.number, "merchant_id": ask.merchant, "slot": ask.slot, "points": ask.points}
    names |= {"service_provider_id": ask.provider, "taken_on": ask.taken or ask.on}
    return names | {"requested_at": noon + timedelta(minutes=ask.at), "content_hash": ask.says}


def _hour(row):
    names = {"grant_id": row.grant, "merchant_id": row.merchant, "slot": row.slot, "business_date": row.on}
    names |= {"taken_on": row.taken, "impressions": row.impressions, "arm": row.arm, "source": row.source}
    return names | {"event_id": f"{row}"}


def slot_map(shop):
    """The slot policy that the reference's shop goes by."""
    terms = RedemptionTerms(
        capacity=shop.slot_day,
        merchant_share_percent=shop.one_merchant * 100 // shop.slot_day,
        minimum_points=shop.minimum,
        run_days=shop.runs,
        settle_days=shop.settles,
        blocked_merchants=shop.blocked,
    )
    return SlotMap("test", {}, {}, shop.slots, {}, shop.price, 1, terms)


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
        "fee_fen": sale.fee if kind == "paid" else None,
    }


def policies(start, terms=None, fundings=(), late_days=30, **programme):
    """A policy of one programme ``f`` with pools ``p`` and ``traffic``; ``fundings``: approval, date, amount, pool."""
    impressions = {"name": "traffic", "programme": "f", "asset": "IMPRESSION"}
    terms = terms or Terms()
    one = {
        **{"name": "f", "title": "F", "from": start, "pool": "p", "eligibility": "everyone"},
        **{"maturity_days": terms.maturity, "expiry_days": terms.expiry, "rules": [{"name": "trade_net"}]},
        "on_fall": on_fall(terms),
    } | programme
    return LedgerPolicies(
        ProgrammesFile.model_validate(
            {
                **{"version": "test", "go_live": start, "late_window_days": late_days},
                **{"pools": [{"name": "p", "programme": "f"}, impressions], "programmes": [one]},
            }
        ),
        FundingFile.model_validate(
            {
                "fundings": [
                    {"pool": pool[0] if pool else "p", "amount": a, "date": on, "approval": ref}
                    for ref, on, a, *pool in fundings
                ]
            }
        ),
    )


def on_fall(terms):
    """The policy of falls as conf/programmes.toml names it."""
    return "only_pending" if terms.only_pending else "debt" if terms.skips_others else "within_balance"


def run_both(books, reference, world, days, fundings, late_days=30):
    """Close ``days`` in both ledgers."""
    scores = {m: tenths(s) for m, s in world.scores.items()}
    for day in days:
        books.close(world, day)
        asks, served = world.servable(day, reference.start), world.served(reference, day)
        reference.close(day, world.nets(day, late_days), scores, fundings, asks, served)


class SparkBooks:
    """The product's ledger, closed day by day; between closes every frame is an Arrow table in memory."""

    def __init__(self, spark, ledger_policies, first_day, shop=None):
        self.spark, self.policies, self.first_day = spark, ledger_policies, first_day
        self.slots = slot_map(shop or Shop())
        self.tables = {name: arrow(name) for name in (*NAMES, ADJUSTED, REFUSED)}

    def close(self, world, day, **overrides):
        """Close ``day``; returns the new transfers as dict rows."""
        from jobs.ledger_transfers import build

        tables = world.inputs(day) | {name: self.tables[name] for name in (*STATE, *DAYS, "ledger_transfers")}
        close = self.told(day, **overrides)
        tables |= counted(tables, close)
        inputs = {name: self.spark.createDataFrame(rows) for name, rows in tables.items()}
        out = build(inputs, close)
        if not world.asked["core_fundings"]:
            out.pop("ledger_refusals", None)  # beside the books; cases look at it
        new = {name: df.select(*self.tables[name].column_names).toArrow() for name, df in out.items()}
        self.spark.catalog.clearCache()
        new = {name: rows.cast(self.tables[name].schema) for name, rows in new.items()}
        for name in (*DAYS, ADJUSTED, REFUSED):
            if name in new:
                new[name] = self._days_replaced(name, new[name])
        if close.large_books:
            new |= {name: self._rows_replaced(name, new[name]) for name in STATE}
        posted = pa.concat_tables([self.tables["ledger_transfers"], new["ledger_transfers"]])
        self.tables |= new | {"ledger_transfers": posted}
        return new["ledger_transfers"].to_pylist()

    def _days_replaced(self, name, rows):
        """Whole partitions take the place of what was there, as the harness writes them."""
        (day,) = table(name).partition_by
        replaced = set(rows[day].to_pylist())
        kept = [row for row in self.tables[name].to_pylist() if row[day] not in replaced]
        return pa.concat_tables([arrow(name, kept), rows])

    def _rows_replaced(self, name, rows):
        """Rows of large books take the place of those of their keys."""
        keys = table(name).key
        changed = {tuple(row[key] for key in keys) for row in rows.to_pylist()}
        assert len(changed) == rows.num_rows
        kept = [row for row in self.tables[name].to_pylist() if tuple(row[k] for k in keys) not in changed]
        return pa.concat_tables([arrow(name, kept), rows])

    def told(self, day, **overrides):
        """What the job is told about the close. Every other day's gives its books whole, or what changes of them."""
        values = {
            "at_rest": self.at_rest if day.toordinal() % 2 == 0 else None,
            **{"day": day, "first_day": self.first_day, "run_id": f"run-{day}", "timezone": "Asia/Shanghai"},
            **{"posted_at": datetime(2030, 1, 1, tzinfo=UTC), "scoring": None, "slots": self.slots},
            "ledger": self.policies.for_day(day),
        }
        return Close(**(values | overrides))

    def at_rest(self, name, query, given):
        """Rows of a table that a query gives, as a frame."""
        with duckdb.connect() as con:
            for each, rows in {name: self.tables[name], **given}.items():
                con.register(each, rows)
            found = con.sql(query).to_arrow_table()
        return self.spark.createDataFrame(found.select(self.tables[name].column_names))

    def rows(self, name):
        """The table as dict rows."""
        return self.tables[name].to_pylist()

    def balances(self):
        """{account: balance in points}, accounts at 0 left out."""
        rows = self.rows("ledger_balances")
        return {r["account"]: r["balance"] for r in rows if r["balance"] and r["asset"] == "POINT"}


def counted(tables, close):
    """What lives in the run only and DuckDB tells of ``tables``."""
    names = ("ledger_touched_keys", "ledger_user_counts", "ledger_trade_counts")
    given = {n: arrow(n) for name in names for n in (*table(name).inputs, *table(name).previous)} | tables
    with duckdb.connect() as con:
        for name, rows in given.items():
            con.register(name, rows)
        for name in names:
            con.unregister(name)
            con.register(name, import_module(f"jobs.{name}").build(con, close))
        return {name: con.table(name).to_arrow_table() for name in names}


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
    lots_of = {ledger.name(lot): lot for lot in ledger.lots}
    askers = {g.ask.number: g.ask.merchant for g in ledger.grants}
    transfers = [_transfer(ledger, t, lots_of, askers) for t in ledger.transfers]
    ids = {(t["business_key"], t["revision"]): t["transfer_id"] for t in transfers if t["code"] == "earn"}
    about = {"programme": "f", "asset": "POINT", "pool": "p"}
    lots = [
        about
        | {"lot_id": ids[lot.key, lot.revision], "business_key": lot.key, "merchant_id": lot.merchant}
        | {"effective_date": lot.effective, "revision": lot.revision, "booked_date": lot.booked}
        | {"matures_on": lot.matures, "expires_on": lot.expires, "amount": lot.amount}
        | {n: getattr(lot, n) for n in ("pending", "active", "reserved", "expired", "taken", "redeemed")}
        for lot in ledger.lots
    ]
    funding = {"rule": "funding", "revision": 1, "multiplier_milli": 0, "repayments": 0}
    funding |= dict.fromkeys(("lapsed", "forgiven", "cut_by_pool", "debt"), 0)
    funds = [t for t in ledger.transfers if t[1] == "fund"]
    positions = [
        about
        | funding
        | _pool(t[5].split("|")[1])
        | {"business_key": t[5], **dict.fromkeys(("asked", "granted", "net"), t[4])}
        for t in funds
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
        "ledger_requests": [_answer(ledger, *each) for each in ledger.answers.items()],
        "ledger_allocations": [row for grant in ledger.grants for row in _allocations(grant, ids)],
    }


def _pool(name):
    return {"pool": name, "asset": "IMPRESSION" if name == "traffic" else "POINT"}


def _answer(ledger, asked, answered):
    answer, ask, day = answered
    row = {"request_id": ask.number, "content_hash": ask.says, "refusal": answer, "status": "refused"}
    row |= {"merchant_id": ask.merchant, "points": ask.points, "slot": ask.slot, "decided_on": day}
    grant = next((g for g in ledger.grants if (g.ask.number, g.ask.says) == asked), None)
    if grant is None:
        return row
    status = "reserved" if not grant.resolved else "settled" if grant.spent else "voided"
    runs = {"starts_on": 1, "ends_on": ledger.shop.runs, "settles_on": ledger.shop.settles}
    row |= {name: day + timedelta(days=n) for name, n in runs.items()}
    row |= {
        "status": status,
        "refusal": None,
        "impressions": grant.impressions,
        "resolved_on": grant.resolved,
    }
    row |= {"pool": "traffic", "programme": "f"}
    if grant.resolved:
        row |= {"settled": grant.spent, "voided": sum(grant.back), "delivered": grant.served}
    return row


def _allocations(grant, ids):
    for leg, (lot, units) in enumerate(grant.parts, start=1):
        row = {
            "business_key": f"redemption|{grant.ask.number}",
            "leg": leg,
            "amount": units,
            "programme": "f",
        }
        row |= {"lot_id": ids[lot.key, lot.revision], "merchant_id": lot.merchant, "booked_date": grant.day}
        row |= {"effective_date": lot.effective, "lot_booked_on": lot.booked, "resolved_on": grant.resolved}
        if grant.resolved:
            row |= {"voided": grant.back[leg - 1], "settled": units - grant.back[leg - 1]}
        yield row | {"matures_on": lot.matures, "expires_on": lot.expires}


def _transfer(ledger, transfer, lots_of, askers):
    day, code, debit, credit, amount, key, leg, revision, lot = transfer
    parts = key.split("|")
    asset = "IMPRESSION" if "traffic" in debit + credit or "delivered" in credit else "POINT"
    if parts[0] == "redemption":
        party, effective = askers[parts[1]], day
    else:
        party = "" if code == "fund" else parts[2]
        effective = ledger.funded[parts[2]] if code == "fund" else date.fromisoformat(parts[3])
    terms = lots_of.get(lot)
    expires = terms.expires if terms else ""
    lot_id = _sha("f", "earn", lot[0], 1, lot[1]) if lot else ""
    content = (
        debit,
        credit,
        amount,
        asset,
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
            "asset": asset,
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
            row = {"account": account, "asset": t["asset"], "credits": 0, "debits": 0}
            row = found.setdefault((account, t["asset"]), row)
            row["credits"] += credit
            row["debits"] += t["amount"] - credit
            row["transfers"] = row.get("transfers", 0) + 1
            row["folded_to"] = max(row.get("folded_to", t["booked_date"]), t["booked_date"])
    return [row | {"balance": row["credits"] - row["debits"]} for row in found.values()]


def _sha(*fields):
    return sha256("\n".join(map(str, fields)).encode()).hexdigest()
