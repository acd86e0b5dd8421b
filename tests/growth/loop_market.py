"""Simulated hours of public traffic with a known effect, as the tables that the loop's views read."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa

from ccare.growth.derived import macros, views
from ccare.ledger.arms import TREATED, arm
from ccare.ledger.redemption_terms import RedemptionTerms

START = datetime(2026, 3, 2, tzinfo=UTC)
SALE_FEN, SHARE_NEW = 1_000, 0.4
"""What a simulated trade comes to on average, and the part of trades whose payer is new."""
_USED = {"loop_days", "loop_estimates"}
_TABLES = {
    "core_traffic_hours": "merchant_id varchar, business_date date, slot varchar, source varchar, arm varchar, "
    "grant_id varchar, event_type varchar, occurred_at timestamptz, impressions bigint, clicks bigint",
    "core_payments": "merchant_id varchar, user_key varchar, business_date date, occurred_at timestamptz, "
    "event_type varchar, trade_no varchar, amount_fen bigint",
    "core_mini_program_events": "merchant_id varchar, user_key varchar, business_date date, occurred_at timestamptz, "
    "event_type varchar, stay_ms bigint",
    "core_life_account_events": "merchant_id varchar, user_key varchar, business_date date, occurred_at timestamptz, "
    "event_type varchar",
    "core_voucher_events": "merchant_id varchar, user_key varchar, business_date date, occurred_at timestamptz, "
    "event_type varchar",
    "core_staff": "merchant_id varchar, user_key varchar",
    "state_users": "merchant_id varchar, user_key varchar, first_seen_date date, first_paid_date date",
    "ledger_requests": "request_id varchar, points bigint, impressions bigint, status varchar",
    "ledger_lots": "lot_id varchar, programme varchar, asset varchar",
    "ledger_allocations": "business_key varchar, programme varchar, amount bigint",
}


@dataclass(frozen=True)
class Plan:
    """``lift``: what a treated hour of a slot adds to the rate of trades, as a part of it."""

    merchants: int
    days: int
    lift: dict[str, float]
    rate: float = 0.6
    hours: int = 12


def empty() -> duckdb.DuckDBPyConnection:
    """A connection with every table that the loop reads, and the loop's view and macro."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.execute("set threads = 1")
    for name, columns in _TABLES.items():
        con.execute(f"create table {name} ({columns})")
    for view in views():
        if view.name in _USED:
            con.execute(f"create view {view.name} as {view.sql}")
    for macro in macros():
        if macro.name in _USED:
            con.execute(f"create macro {macro.name}({', '.join(macro.arguments)}) as table {macro.sql}")
    return con


def simulate(con: duckdb.DuckDBPyConnection, plan: Plan, seed: int) -> dict[str, float]:
    """Fill the tables anew; slot -> trades that its treated hours are expected to have added.

    Rates differ by merchant, by hour of day and from day to day; arms are those that grants would have.
    """
    rng = np.random.default_rng(seed)
    terms = RedemptionTerms(seed=f"loop {seed}")
    shape = (plan.merchants, plan.days, plan.hours)
    rate = (
        plan.rate
        * rng.lognormal(0, 0.7, shape[:1])[:, None, None]
        * rng.lognormal(0, 0.4, shape[:2])[..., None]
    )
    rate = rate * (1 + 0.6 * np.sin(np.linspace(0, np.pi, plan.hours)))
    at = [START + timedelta(days=d, hours=9 + h) for d in range(plan.days) for h in range(plan.hours)]
    factor, added, traffic = np.ones(shape), {}, []
    for slot, lift in plan.lift.items():
        arms = [arm(terms, f"m{m}", slot, hour) for m in range(plan.merchants) for hour in at]
        treated = np.array([a == TREATED for a in arms]).reshape(shape)
        factor = factor * (1 + lift * treated)
        added[slot] = float((rate * lift * treated).sum())
        traffic.append((slot, arms))
    trades = rng.poisson(rate * factor).ravel()
    merchants = np.repeat([f"m{m}" for m in range(plan.merchants)], len(at))
    hours = np.tile(np.array([t.timestamp() for t in at]), plan.merchants)
    _fill(con, merchants, hours, trades, traffic, rng)
    return added


def _fill(con, merchants, hours, trades, traffic, rng) -> None:
    """Each trade its own amount, SALE_FEN on average, and SHARE_NEW of them by users who never came before."""
    for name in ("core_traffic_hours", "core_payments", "state_users"):
        con.execute(f"truncate {name}")
    for slot, arms in traffic:
        told = pa.table({"merchant_id": merchants, "epoch": hours, "arm": arms})
        con.register("told", told)
        con.execute(
            "insert into core_traffic_hours select merchant_id, to_timestamp(epoch)::date, $1, 'points', arm, null, "
            "'delivered', to_timestamp(epoch), 100, 3 from told",
            [slot],
        )
    sold = int(trades.sum())
    paid = {"merchant_id": np.repeat(merchants, trades), "epoch": np.repeat(hours, trades)}
    paid |= {
        "new": rng.random(sold) < SHARE_NEW,
        "fen": rng.integers(SALE_FEN // 2, SALE_FEN * 3 // 2 + 1, sold),
    }
    con.register("paid", pa.table(paid))
    con.execute(
        "insert into core_payments select merchant_id, if(new, 'u' || n, null), to_timestamp(epoch)::date, "
        "to_timestamp(epoch), 'paid', 't' || n, fen from (select *, row_number() over () as n from paid)"
    )
    con.execute(
        "insert into state_users select merchant_id, user_key, business_date, business_date from core_payments "
        "where user_key is not null"
    )


def estimates(con: duckdb.DuckDBPyConnection, outcome: str = "orders") -> dict[str, dict[str, float]]:
    """slot -> row of loop_estimates for all programmes."""
    return all_estimates(con)[outcome]


def all_estimates(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, dict[str, float]]]:
    """outcome -> slot -> row of loop_estimates for all programmes."""
    rows = con.execute(
        "from loop_estimates(date '2026-01-01', date '2026-12-31', 'points', null) where programme = 'all'"
    ).to_arrow_table()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows.to_pylist():
        found.setdefault(row["outcome"], {})[row["slot"]] = row
    return found
