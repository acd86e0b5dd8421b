"""A merchant's statement: opening balance, transfers, closing balance, lots, what expires, requests, traffic."""

from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ccare.errors import IntegrityBroken
from ccare.exports import statement_sql as sql
from ccare.exports.orders import Orders, cell_of, read_orders
from ccare.exports.query import rows_of
from ccare.exports.statement_sql import EXPIRING_DAYS, TRAFFIC_DAYS
from ccare.exports.suppression import FEW, MIN_USERS, SHOWN
from ccare.tables import REGISTRY
from ccare.tables.model import Column

SCHEMA = "ccare.statement/1"
SECTIONS = {
    "opening": "balance at the end of the day before the statement's first",
    "transfer": "one movement of the merchant's accounts, with the balance after it",
    "closing": "balance at the end of the statement's last day: opening plus the transfers",
    "lot": "a lot with something left, and what is left of it",
    "expiring": f"units whose last usable day is within {EXPIRING_DAYS} days, by that day",
    "request": "a request to spend points, and why it was refused where it was",
    "traffic": f"impressions and clicks of the last {TRAFFIC_DAYS} days by slot and by what paid for them",
    "orders": f"paid trades of the last {TRAFFIC_DAYS} days that came through a slot",
    "withheld": "what a rule would have granted for an effective date, withheld on evidence of abuse",
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
    Column(
        "what", "string", "Kind of movement, or what became of a request; of a withheld row the earning rule."
    ),
    Column(
        "reason",
        "string",
        "Why, in a few words; of a refused request the refusal, of a withheld row the rules.",
    ),
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
    Column(
        "orders",
        "string",
        f"Paid trades; <{MIN_USERS} where they are few, withheld where few users paid or others would follow.",
    ),
    Column("reference", "string", "Transfer, lot or request number."),
)


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


def statement_rows(con: duckdb.DuckDBPyConnection, span: Span, orders: Orders | None = None) -> pa.Table:
    """Statement rows of every merchant of the span, in the order of COLUMNS, sorted by merchant.

    ``orders``: the merchants' orders by slot where they are read already.
    Raises IntegrityBroken where a closing balance is not the one that ledger_balances holds.
    """
    con.execute(sql.MOVES, span.bounds)
    con.execute(sql.STATEMENT, span.bounds | {"start": span.start})
    if "ledger_requests" in REGISTRY:
        con.execute(sql.REQUESTS, span.bounds | {"start": span.start})
    con.execute(sql.WITHHELD, span.bounds | {"start": span.start})
    con.execute(sql.TRAFFIC, span.bounds)
    _add_orders(con, orders or read_orders(con, span.bounds))
    broken = rows_of(con, sql.BROKEN)
    if broken:
        b = broken[0]
        raise IntegrityBroken(
            f"{b['accounts'].capitalize()} {b['asset']} units of merchant {b['merchant_id']} do not add up: the "
            f"transfers make {b['units']} and ledger_balances holds {b['balance']}.",
            remedy="Run ccare verify; no statement is written until the ledger agrees.",
        )
    names = ", ".join(f"{c.name}::{c.type.replace('string', 'varchar')} as {c.name}" for c in COLUMNS)
    found = con.execute(sql.ROWS.format(names)).to_arrow_table()
    con.execute("drop table statement")
    con.execute("drop table moves")
    return _with_running_balance(found)


def _with_running_balance(rows: pa.Table) -> pa.Table:
    """Add to each transfer's balance, the opening one, what moved of its asset up to and with the row."""
    transfers = pc.equal(rows["section"], "transfer")
    moved = rows.filter(transfers)
    if not moved.num_rows:
        return rows
    keys = [
        moved[n].combine_chunks().dictionary_encode().indices.to_numpy() for n in ("merchant_id", "asset")
    ]
    first = np.append(True, (keys[0][1:] != keys[0][:-1]) | (keys[1][1:] != keys[1][:-1]))
    pending, active, opening = (moved[n].to_numpy() for n in ("pending", "active", "balance"))
    change = pending + active
    sums = np.cumsum(change)
    before = (sums - change)[first][np.cumsum(first) - 1]
    balance = pc.replace_with_mask(
        rows["balance"].combine_chunks(), transfers.combine_chunks(), pa.array(opening + sums - before)
    )
    return rows.set_column(rows.column_names.index("balance"), "balance", balance)


def _add_orders(con: duckdb.DuckDBPyConnection, orders: Orders) -> None:
    """Paid trades by slot. A slot without any has no row, unless it was hidden in an earlier export."""
    found: dict[str, list[object]] = {"merchant_id": [], "slot": [], "orders": []}
    for slot, counts in orders.counts.items():
        state = orders.safe.state[cell_of(slot)]
        for i in np.flatnonzero((counts > 0) | (state != SHOWN)).tolist():
            row = (str(orders.merchants[i]), slot, _orders(int(state[i]), int(counts[i])))
            for values, value in zip(found.values(), row, strict=True):
                values.append(value)
    con.register("told_orders", pa.table({n: pa.array(v, pa.string()) for n, v in found.items()}))
    con.execute(
        "insert into statement by name select *, 8 as part, 'orders' as section, 0 as step, slot as business_key, "
        "0 as leg from told_orders"
    )
    con.unregister("told_orders")


def _orders(state: int, count: int) -> str:
    if state == SHOWN:
        return str(count)
    return f"<{MIN_USERS}" if state == FEW else "withheld"
