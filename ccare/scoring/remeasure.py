"""Metrics of one merchant, or of all, worked out again from core rows in DuckDB: no state, no Spark, nothing published.

The road is another than the jobs': they fold rows into bits and sums day by day, this one reads the rows that were
taken by a day and counts them by the definitions of docs/reference/metrics.md.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from ccare.events.slots import load_slots
from ccare.growth.snapshot import connect_to, name_of
from ccare.scoring import remeasure_sql as sql

EVENTS = ("core_payments", "core_mini_program_events", "core_life_account_events", "core_voucher_events")
CORES = (*EVENTS, "core_traffic_hours", "core_staff")
_OWN = {
    "core_payments": ("amount_fen", "merchant_discount_fen", "trade_no"),
    "core_mini_program_events": ("stay_ms",),
    "core_voucher_events": ("voucher_code",),
}
_TYPES = {
    "amount_fen": "bigint",
    "merchant_discount_fen": "bigint",
    "trade_no": "varchar",
    "stay_ms": "bigint",
    "voucher_code": "varchar",
}

_STAFF = """
create or replace temp table staff as select distinct merchant_id, user_key, taken_on from core_staff
where <whose> and taken_on <= $known
"""
_TRAFFIC = """
create or replace temp table shown as
select merchant_id, event_id, business_date as day, coalesce(slot, 'unknown') as slot, source,
       coalesce(arm, '') as arm, impressions, taken_on, delivery_date, greatest(taken_on, business_date) as counts_from
from core_traffic_hours where <whose> and business_date <= $day and taken_on <= $known
"""
_MET = "select merchant_id from taken union select merchant_id from shown"
Whole = NDArray[np.int64]
Columns = dict[str, Whole]
"""Counts by name, one a merchant."""


@dataclass(frozen=True)
class Sources:
    """Where a merchant's rows are: core tables at versions, and the slots' policy."""

    lake: Path
    versions: Mapping[str, int]
    conf: Path


@contextmanager
def rows_of_merchant(
    sources: Sources, merchant_id: str, day: date, known: date
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that holds the merchant's rows dated by ``day`` and taken by ``known``: taken, shown, staff."""
    with connect_to(sources.lake, {name: sources.versions.get(name) for name in CORES}) as con:
        take_rows(con, sources.conf, merchant_id, day, known)
        yield con


def take_rows(
    con: duckdb.DuckDBPyConnection, conf: Path, merchant_id: str | None, day: date, known: date
) -> None:
    """Fill the tables of ``rows_of_merchant`` from the core tables that ``con`` has; None: of every merchant."""
    bound: dict[str, object] = {"day": day, "known": known}
    whose = "true"
    if merchant_id is not None:
        whose, bound["merchant"] = "merchant_id = $merchant", merchant_id
    every = " union all ".join(_shaped(name, whose) for name in EVENTS)
    con.execute("create or replace temp table taken as " + every, bound)
    con.execute(
        _STAFF.replace("<whose>", whose),
        {name: value for name, value in bound.items() if name != "day"},
    )
    con.execute(_TRAFFIC.replace("<whose>", whose), bound)
    con.execute("create or replace temp table left_out (stream varchar, event_id varchar)")
    public = list(load_slots(conf, day).public)
    con.execute("create or replace temp table public as select unnest($1) as slot", [public])
    _add_prices(con, conf)


def _shaped(name: str, whose: str) -> str:
    own = {c: f"null::{kind}" for c, kind in _TYPES.items()} | {c: c for c in _OWN.get(name, ())}
    columns = ", ".join(f"{expression} as {column}" for column, expression in own.items())
    return (
        f"from {name_of(name)} select '{name}' as stream, merchant_id, event_id, event_type as kind, user_key, "
        f"business_date as day, occurred_at, coalesce(slot, 'unknown') as slot, taken_on, delivery_date, {columns} "
        f"where {whose} and business_date <= $day and taken_on <= $known"
    )


def _add_prices(con: duckdb.DuckDBPyConnection, conf: Path) -> None:
    """What 1,000 impressions cost in thousandths of fen, by the slots' policy of the day that counts the row first."""
    con.execute("create or replace temp table prices (counts_from date, slot varchar, thousandths bigint)")
    asked = con.execute("select distinct counts_from, slot from shown where source = 'points'").fetchall()
    for counts_from, slot in asked:
        slots = load_slots(conf, counts_from)
        price = slots.prices.get(slot, slots.default_price) * slots.point_cost_fen
        con.execute("insert into prices values ($1, $2, $3)", [counts_from, slot, price])


def metrics_of(
    con: duckdb.DuckDBPyConnection, day: date, known: date, without: Collection[tuple[str, str]] = ()
) -> dict[str, int]:
    """Counts, numerators, denominators and supports of every metric that can be scored, named as in metric_merchants.

    ``known``: rows taken later are left out, and so are the events ``without`` (table, event_id). r_realised_ratio is
    not among them: it is told by a model, not by rows.
    """
    _, columns = metrics_of_all(con, day, known, without)
    return {name: int(of.sum()) for name, of in columns.items()}  # of one merchant, or of none


def metrics_of_all(
    con: duckdb.DuckDBPyConnection, day: date, known: date, without: Collection[tuple[str, str]] = ()
) -> tuple[list[str], Columns]:
    """The same of every merchant that ``take_rows`` took rows of: their ids in order, and columns alike."""
    con.execute("delete from left_out")
    for stream, event_id in without:
        con.execute("insert into left_out values ($1, $2)", [stream, event_id])
    for statement in filter(str.strip, sql.PEOPLE.split(";")):
        con.execute(statement, _bound(statement, day=day, known=known))
    found = con.execute(_MET + " order by merchant_id").fetchall()

    def ask(query: str, **more: Any) -> Columns:
        whole = f"from ({_MET}) left join ({query}) using (merchant_id) order by merchant_id"
        columns = con.execute(whole, _bound(query, day=day, known=known, **more)).fetchnumpy()
        return {
            name: np.ma.filled(of, 0).astype(np.int64)
            for name, of in columns.items()
            if name != "merchant_id"
        }

    people, reach, money, vouchers, shown, recent = (
        ask(q) for q in (sql.OF_PEOPLE, sql.REACH, sql.MONEY, sql.VOUCHERS, sql.SHOWN, sql.EVENTS_56)
    )
    week, month = (ask(sql.RETAINED, age=age) for age in (7, 28))
    return [name for (name,) in found], _named(people, reach, money, vouchers, shown) | {
        "a_retention_d7_num": week["kept"],
        "a_retention_d7_den": week["cohort"],
        "a_retention_d28_num": month["kept"],
        "a_retention_d28_den": month["cohort"],
        "events_56d": recent["events"] + reach["turned_off"],
    }


def _bound(query: str, **values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if f"${name}" in query}


def _named(people: Columns, reach: Columns, money: Columns, vouchers: Columns, shown: Columns) -> Columns:
    mau, net = people["mau"], money["gmv"] - money["given_back"]
    ratios = {
        "c_net_reach_rate": (reach["now"] - reach["before"], reach["before"]),
        "c_quick_ratio": (people["new_users"] + people["back_again"], people["lost"]),
        "a_stickiness": (people["active_days"], 28 * mau),
        "a_return_rate": (people["kept"], people["before"]),
        "a_engagement_rate": (people["engaged"], people["viewers"]),
        "a_message_click_rate": (people["clicked"], people["delivered"]),
        "a_content_to_service": (people["served"], people["viewers"]),
        "r_arpu": (net, mau),
        "r_pay_conversion": (people["payers"], mau),
        "r_repurchase_90": (people["repeaters_90"], people["payers_90"]),
        "r_voucher_use_rate": (vouchers["used"], vouchers["received"]),
        "e_refund_rate": (money["ripe_refunds"], money["ripe_gmv"]),
        "e_discount_rate": (money["discount"], money["gmv"]),
        "e_private_share": (money["private"], money["slotted"]),
        "e_public_conversion": (1000 * money["public_orders"], shown["impressions"]),
        "e_cost_per_new_payer": (
            money["discount"] + (shown["thousandths"] + 500) // 1000,
            people["new_payers"],
        ),
    }
    parts = {
        f"{m}_{end}": v for m, pair in ratios.items() for end, v in zip(("num", "den"), pair, strict=True)
    }
    return parts | {
        "c_mau28": mau,
        "c_new_users": people["new_users"],
        "c_new_payers": people["new_payers"],
        "c_reachable": reach["now"],
        "r_orders": money["orders"],
        "e_refund_rate_orders": money["ripe_orders"],
        "public_kiloimpressions_28d": shown["impressions"] // 1000,
    }
