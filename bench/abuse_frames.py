"""Events of a simulated market as the tables that abuse rules read, and what each day has at stake. By DuckDB."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

import duckdb
import numpy as np
import pyarrow as pa

Rows = list[np.ndarray]


class Events(Protocol):
    """Blocks of events, column by column in the order of _COLUMNS."""

    trades: list[Rows]
    scans: list[Rows]
    visits: list[Rows]
    follows: list[Rows]
    staff: list[tuple[str, str]]


_COLUMNS = {
    "trades": ("merchant_id", "user_key", "epoch", "terminal_id", "amount_fen", "back_after"),
    "scans": ("merchant_id", "user_key", "epoch", "terminal_id"),
    "visits": ("merchant_id", "user_key", "day"),
    "follows": ("merchant_id", "user_key", "epoch", "is_on"),
}
_DATED = """make_timestamptz(epoch::bigint * 1000000) as occurred_at,
    date '1970-01-01' + (epoch // 86400)::int as business_date"""
_FOLLOWED, _GUIDED = 1, 8
"""Bits of state_user_days.tasks."""
_QUERIES = {
    "core_payments": """
        select merchant_id, user_key, 'paid' as event_type, terminal_id, amount_fen, occurred_at, business_date,
            business_date as taken_on from trades""",
    "core_mini_program_events": """
        select merchant_id, user_key, 'launch' as event_type, 'offline_scan' as slot, null::varchar as promo_position,
            terminal_id, occurred_at,
            business_date, business_date as taken_on from scans""",
    "core_life_account_events": """
        select merchant_id, user_key, if(is_on, 'follow', 'unfollow') as event_type, occurred_at, business_date,
            business_date as taken_on from follows""",
    "state_refund_days": """
        select merchant_id, user_key, business_date as paid_date, business_date + back_after::int as refund_date,
            sum(amount_fen)::bigint as refund_fen, count(*) as refunds
        from trades where back_after >= 0 and business_date + back_after::int < $last group by all""",
    "state_user_days": f"""
        select merchant_id, user_key, business_date, sum(orders)::bigint as orders, sum(fen)::bigint as gmv_fen,
            sum(active)::bigint as active_events, bit_or(tasks)::bigint as tasks, max(follow_at) as follow_at,
            max(follow_at)::varchar as follow_event_id, arg_max(is_on, follow_at) as follow_on
        from (
            select merchant_id, user_key, business_date, 1 as orders, amount_fen as fen, 1 as active, 0 as tasks,
                null::timestamptz as follow_at, null::boolean as is_on from trades
            union all
            select merchant_id, user_key, business_date, 0, 0, 1, {_GUIDED}, null, null from scans
            union all
            select merchant_id, user_key, $first + day::int, 0, 0, 1, 0, null, null from visits
            union all
            select merchant_id, user_key, business_date, 0, 0, is_on::int, if(is_on, {_FOLLOWED}, 0),
                occurred_at, is_on from follows
        ) where business_date < $last group by all""",
}
_STAKES = """
    select merchant_id, business_date as effective_date, (sum(fen) // 1000 + 2 * sum(f) + 5 * sum(s))::bigint as points
    from (
        select merchant_id, business_date, amount_fen as fen, 0 as f, 0 as s from trades
        union all select merchant_id, business_date, 0, 1, 0 from follows where is_on
        union all select merchant_id, business_date, 0, 0, 1 from scans
    ) group by all having points > 0"""


def frames(book: Events, first: date, days: int) -> tuple[Mapping[str, pa.Table], pa.Table]:
    """Tables by name, columns that rules read only; and merchant_id, effective_date, points of each day."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        for name, columns in _COLUMNS.items():
            con.register(f"raw_{name}", _joined(getattr(book, name), columns))
            dated = "" if name == "visits" else f", {_DATED}"
            con.execute(f"create table {name} as select *{dated} from raw_{name}")
        span = {"first": first, "last": date.fromordinal(first.toordinal() + days)}
        for name in ("trades", "scans", "follows"):
            con.execute(f"delete from {name} where business_date >= $last", {"last": span["last"]})
        tables = {
            name: con.execute(sql, {k: v for k, v in span.items() if f"${k}" in sql}).to_arrow_table()
            for name, sql in _QUERIES.items()
        }
        staff = [{"merchant_id": m, "user_key": u, "taken_on": first} for m, u in book.staff]
        kinds = [("merchant_id", pa.string()), ("user_key", pa.string()), ("taken_on", pa.date32())]
        tables["core_staff"] = pa.Table.from_pylist(staff, pa.schema(kinds))
        return tables, con.execute(_STAKES).to_arrow_table()


def _joined(blocks: Sequence[Rows], columns: Sequence[str]) -> pa.Table:
    return pa.table({name: np.concatenate([b[k] for b in blocks]) for k, name in enumerate(columns)})
