"""A merchant's statement: opening balance, transfers, closing balance, lots, what expires, requests, traffic."""

from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np
import pyarrow as pa

from ccare.errors import IntegrityBroken
from ccare.exports.query import rows_of
from ccare.exports.suppression import FEW, MIN_USERS, SHOWN, Relation, protect
from ccare.tables import REGISTRY
from ccare.tables.model import Column
from ccare.tables.state import FUNNEL_SLOTS

SCHEMA = "ccare.statement/1"
EXPIRING_DAYS = 30
TRAFFIC_DAYS = 28
SECTIONS = {
    "opening": "balance at the end of the day before the statement's first",
    "transfer": "one movement of the merchant's accounts, with the balance after it",
    "closing": "balance at the end of the statement's last day: opening plus the transfers",
    "lot": "a lot with something left, and what is left of it",
    "expiring": f"units whose last usable day is within {EXPIRING_DAYS} days, by that day",
    "request": "a request to spend points, and why it was refused where it was",
    "traffic": f"impressions and clicks of the last {TRAFFIC_DAYS} days by slot and by what paid for them",
    "orders": f"paid trades of the last {TRAFFIC_DAYS} days that came through a slot",
}
_SIGNED = "Change of {0}, signed; in opening, closing and lot rows the balance of it."
COLUMNS: tuple[Column, ...] = (
    Column("merchant_id", "string", "Merchant."),
    Column("section", "string", "; ".join(f"{k}: {v}" for k, v in SECTIONS.items()) + "."),
    Column(
        "day", "date", "Day booked; of an expiring row the last usable day; of a request the day decided."
    ),
    Column("asset", "string", "POINT, IMPRESSION or FEN."),
    Column("programme", "string", "Programme."),
    Column("what", "string", "Kind of movement, or what became of a request."),
    Column("reason", "string", "Why, in a few words; of a refused request the refusal."),
    Column("slot", "string", "Traffic slot."),
    Column("source", "string", "What paid for the traffic: free (daily promotion), points or paid."),
    Column("effective_date", "date", "Day that the movement is about."),
    Column("matures_on", "date", "Day that the lot becomes usable."),
    Column("expires_on", "date", "Last day that the lot can be used."),
    Column("amount", "bigint", "Units moved, granted, expiring or asked for."),
    Column("pending", "bigint", _SIGNED.format("units not usable yet"), unit="units"),
    Column("active", "bigint", _SIGNED.format("usable units"), unit="units"),
    Column("reserved", "bigint", _SIGNED.format("units reserved for traffic"), unit="units"),
    Column("debt", "bigint", _SIGNED.format("units owed"), unit="units"),
    Column("balance", "bigint", "pending + active of the asset after the row.", unit="units"),
    Column("impressions", "bigint", "Impressions served, or granted to a request."),
    Column("clicks", "bigint", "Clicks on them."),
    Column("orders", "string", f"Paid trades; <{MIN_USERS}, bounds or withheld where few users paid."),
    Column("reference", "string", "Transfer, lot or request number."),
)
PARTS = ("pending", "active", "reserved", "debt")
_EFFECTS = ",\n".join(
    f"case {account} when credit_account then {gain} when debit_account then -({gain}) else 0 end as {part}"
    for part in PARTS
    for account, gain in (
        (f"('merchant:' || merchant_id || ':{part}')", "-amount" if part == "debt" else "amount"),
    )
)
_MOVES = f"""
create or replace temp table moves as
select merchant_id, asset, booked_date, programme, code, reason, effective_date, matures_on, expires_on, amount,
    transfer_id, business_key, leg,
    coalesce(array_position(['fund', 'adjust', 'settle', 'void', 'fall', 'debt', 'activate', 'repay', 'expire',
                             'reserve', 'earn'], code), 0) as step, {_EFFECTS}
from ledger_transfers
where merchant_id between $first and $last and booked_date <= $day
    and (starts_with(debit_account, 'merchant:' || merchant_id || ':')
         or starts_with(credit_account, 'merchant:' || merchant_id || ':'))
"""
_SUMS = ", ".join(f"sum({part})::bigint as {part}" for part in PARTS)
_STATEMENT = f"""
create or replace temp table statement as
with sums as (
    select merchant_id, asset, 'opening' as section, $start::date - 1 as day, {_SUMS}
    from moves where booked_date < $start group by all
    union all select merchant_id, asset, 'closing', $day::date, {_SUMS} from moves group by all
), opened as (
    select * from sums union all
    select merchant_id, asset, 'opening', $start::date - 1, 0, 0, 0, 0 from sums where section = 'closing'
        and (merchant_id, asset) not in (select (merchant_id, asset) from sums where section = 'opening')
), ordered as (
    select merchant_id, asset, if(section = 'opening', 1, 3) as part, section, day, null as programme,
        null as what, null as reason, null::date as effective_date, null::date as matures_on,
        null::date as expires_on, null::bigint as amount, pending, active, reserved, debt, pending + active as balance,
        null as reference, 0 as step, '' as business_key, 0 as leg
    from opened
    union all
    select merchant_id, asset, 2, 'transfer', booked_date, programme, code, reason, effective_date, matures_on,
        expires_on, amount, pending, active, reserved, debt,
        coalesce((select pending + active from opened o where o.section = 'opening'
                  and o.merchant_id = m.merchant_id and o.asset = m.asset), 0)
            + sum(pending + active) over (partition by merchant_id, asset
                order by booked_date, step, business_key, leg, transfer_id rows unbounded preceding),
        transfer_id, step, business_key, leg
    from moves m where booked_date >= $start
    union all
    select merchant_id, asset, 4, 'lot', booked_date, programme, null, null, effective_date, matures_on,
        expires_on, amount, pending, active, reserved, null, null, lot_id, 0, business_key, revision
    from ledger_lots where merchant_id between $first and $last and pending + active + reserved > 0
    union all
    select merchant_id, asset, 5, 'expiring', expires_on, null, null, null, null, null, expires_on,
        sum(pending + active)::bigint, sum(pending)::bigint, sum(active)::bigint, null, null, null, null, 0, '', 0
    from ledger_lots where merchant_id between $first and $last and pending + active > 0
        and expires_on between $day::date and $day::date + {EXPIRING_DAYS}
    group by all
)
select *, null::varchar as slot, null::varchar as source, null::bigint as impressions, null::bigint as clicks,
    null::varchar as orders
from ordered
"""
_REQUESTS = """
insert into statement by name
select merchant_id, 'POINT' as asset, 6 as part, 'request' as section, decided_on as day, programme,
    status as what, refusal as reason, slot, points as amount, impressions, request_id as reference, 0 as step,
    request_id as business_key, 0 as leg
from ledger_requests
where merchant_id between $first and $last and (decided_on between $start and $day or status = 'reserved')
"""
_TRAFFIC = f"""
insert into statement by name
select merchant_id, 7 as part, 'traffic' as section, slot, source, sum(impressions)::bigint as impressions,
    sum(clicks)::bigint as clicks, 0 as step, slot as business_key, 0 as leg
from core_traffic_hours
where merchant_id between $first and $last and arm = 'treated'
    and business_date between $day::date - {TRAFFIC_DAYS - 1} and $day::date
group by all
"""
_ORDERS = f"""
select merchant_id, p.slot, count(*) as orders, count(distinct user_key) filter (
    not exists (from core_staff s where s.merchant_id = p.merchant_id and s.user_key = p.user_key)) as payers
from core_payments p
where merchant_id between $first and $last and event_type = 'paid' and slot in (select unnest($slots))
    and business_date between $day::date - {TRAFFIC_DAYS - 1} and $day::date
group by all
"""
_BROKEN = """
with said as (
    select merchant_id, asset, unnest([{accounts: 'pending', units: pending}, {accounts: 'active', units: active},
        {accounts: 'reserved', units: reserved}, {accounts: 'debt', units: -debt}], recursive := true)
    from statement where section = 'closing'
)
select merchant_id, said.asset, accounts, units, coalesce(balance, 0) as balance
from said left join ledger_balances b
    on b.account = 'merchant:' || merchant_id || ':' || accounts and b.asset = said.asset
where units <> coalesce(balance, 0) order by all limit 1
"""
_ROWS = "select {} from statement order by merchant_id, part, asset, day, step, business_key, leg, reference, source"


@dataclass(frozen=True)
class Span:
    """Merchants ``first`` to ``last`` (by id) as of ``day``; transfers are listed from ``start``."""

    first: str
    last: str
    day: date

    @property
    def start(self) -> date:
        """First day of the month that 30 days ago lies in: at least a month is listed, at most two."""
        return (self.day - timedelta(days=30)).replace(day=1)

    @property
    def bounds(self) -> dict[str, object]:
        """Parameters of queries over the span."""
        return {"first": self.first, "last": self.last, "day": self.day}


def statement_rows(con: duckdb.DuckDBPyConnection, span: Span) -> pa.Table:
    """Statement rows of every merchant of the span, in the order of COLUMNS, sorted by merchant.

    Raises IntegrityBroken where a closing balance is not the one that ledger_balances holds.
    """
    con.execute(_MOVES, span.bounds)
    con.execute(_STATEMENT, span.bounds | {"start": span.start})
    if "ledger_requests" in REGISTRY:
        con.execute(_REQUESTS, span.bounds | {"start": span.start})
    con.execute(_TRAFFIC, span.bounds)
    _add_orders(con, span)
    broken = rows_of(con, _BROKEN)
    if broken:
        b = broken[0]
        raise IntegrityBroken(
            f"{b['accounts'].capitalize()} {b['asset']} units of merchant {b['merchant_id']} do not add up: the "
            f"transfers make {b['units']} and ledger_balances holds {b['balance']}.",
            remedy="Run ccare verify; no statement is written until the ledger agrees.",
        )
    names = ", ".join(f"{c.name}::{c.type.replace('string', 'varchar')} as {c.name}" for c in COLUMNS)
    found = con.execute(_ROWS.format(names)).to_arrow_table()
    con.execute("drop table statement")
    con.execute("drop table moves")
    return found


def _add_orders(con: duckdb.DuckDBPyConnection, span: Span) -> None:
    """Paid trades by slot, small ones hidden together with one that would give them away."""
    slots = [slot for slot in FUNNEL_SLOTS if slot not in ("private", "offline_scan", "unknown")]
    found = con.execute(_ORDERS, span.bounds | {"slots": slots}).fetchnumpy()
    ids, at = np.unique(np.asarray(found["merchant_id"], dtype=str), return_inverse=True)
    if not len(ids):
        return
    cells = {slot: np.zeros(len(ids), dtype=np.int64) for slot in slots}
    hidden = {slot: np.zeros(len(ids), dtype=bool) for slot in slots}
    for place, slot, orders, payers in zip(at, found["slot"], found["orders"], found["payers"], strict=True):
        cells[slot][place] = orders
        hidden[slot][place] = payers < MIN_USERS
    cells["all"] = np.sum(list(cells.values()), axis=0)
    safe = protect(cells, [Relation("all", tuple(slots), (*slots, "all"))], before=hidden)
    rows = [
        (str(merchant), slot, _orders(safe.state[slot][i], safe.low[slot][i], safe.high[slot][i]))
        for i, merchant in enumerate(ids)
        for slot in slots
        if cells[slot][i]
    ]
    told = pa.table({n: [r[k] for r in rows] for k, n in enumerate(("merchant_id", "slot", "orders"))})
    con.register("told_orders", told)
    con.execute(
        "insert into statement by name select *, 8 as part, 'orders' as section, 0 as step, slot as business_key, "
        "0 as leg from told_orders"
    )
    con.unregister("told_orders")


def _orders(state: int, low: int, high: int) -> str:
    if state == SHOWN:
        return str(low)
    return f"<{MIN_USERS}" if state == FEW else "withheld"
