"""One merchant's metrics worked out again from its core rows in DuckDB: no state, no Spark, nothing published.

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

from ccare.events.slots import load_slots
from ccare.growth.snapshot import connect_to, name_of

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

_PEOPLE = """
create or replace temp table done as
select *, case stream
    when 'core_payments' then kind = 'paid'
    when 'core_voucher_events' then kind in ('received', 'used')
    when 'core_life_account_events' then kind not in ('expose', 'unfollow')
    else kind in ('launch', 'item_view', 'order_submit', 'message_click', 'share', 'collect', 'subscribe',
                  'member_join') or (kind = 'page_view' and coalesce(stay_ms, 1000) >= 1000) end as active,
    case when stream = 'core_life_account_events' and kind in ('follow', 'unfollow') then 'follow'
         when stream <> 'core_mini_program_events' then null
         when kind in ('collect', 'uncollect') then 'collect'
         when kind in ('member_join', 'member_leave') then 'member'
         when kind in ('subscribe', 'refuse') then 'subscription' end as relation
from taken anti join left_out using (stream, event_id) where taken_on <= $known;

create or replace temp table customer_days as
select user_key, day, bool_or(active) as active,
       bool_or(stream = 'core_payments' and kind = 'paid') as paid,
       bool_or(stream = 'core_life_account_events' and kind = 'view') as viewed,
       bool_or(stream = 'core_life_account_events' and kind in ('like', 'comment', 'share')) as engaged,
       bool_or((stream = 'core_life_account_events' and kind in ('mini_program_click', 'voucher_click'))
               or (stream = 'core_mini_program_events' and kind = 'launch' and slot = 'life_channel')) as served,
       bool_or(kind = 'message_delivered') as delivered, bool_or(kind = 'message_click') as clicked
from done anti join staff on staff.user_key = done.user_key and staff.taken_on <= $known
where user_key is not null group by user_key, day;

create or replace temp table customers as
select user_key, min(day) filter (active) as came, min(day) filter (paid) as bought,
       count(*) filter (active and day > $day::date - 28) as days_now,
       count(*) filter (active and day between $day::date - 55 and $day::date - 28) as days_before,
       count(*) filter (paid and day > $day::date - 28) as paid_now,
       count(*) filter (paid and day > $day::date - 90) as paid_90,
       bool_or(viewed and day > $day::date - 28) as viewed,
       bool_or(engaged and day > $day::date - 28) as engaged,
       bool_or(served and day > $day::date - 28) as served,
       bool_or(delivered and day > $day::date - 28) as delivered,
       bool_or(clicked and day > $day::date - 28) as clicked
from customer_days group by user_key;

create or replace temp table turns as
select user_key, relation, day, kind in ('follow', 'collect', 'member_join', 'subscribe') as turned_on,
       row_number() over (partition by user_key, relation order by occurred_at desc, event_id desc) as from_last,
       row_number() over (partition by user_key, relation, day <= $day::date - 28
                          order by occurred_at desc, event_id desc) as from_last_of_part
from done anti join staff on staff.user_key = done.user_key and staff.taken_on <= $known
where user_key is not null and relation is not null;
"""
_OF_PEOPLE = """
select count(*) filter (days_now > 0) as mau,
       count(*) filter (came > $day::date - 28) as new_users,
       count(*) filter (bought > $day::date - 28) as new_payers,
       count(*) filter (days_now > 0 and days_before > 0) as kept,
       count(*) filter (days_now > 0 and days_before = 0 and came <= $day::date - 28) as back_again,
       count(*) filter (days_now = 0 and days_before > 0) as lost,
       count(*) filter (days_before > 0) as before,
       coalesce(sum(days_now), 0)::bigint as active_days,
       count(*) filter (paid_now > 0) as payers,
       count(*) filter (paid_90 > 0) as payers_90, count(*) filter (paid_90 > 1) as repeaters_90,
       count(*) filter (viewed) as viewers, count(*) filter (viewed and engaged) as engaged,
       count(*) filter (viewed and served) as served,
       count(*) filter (delivered) as delivered, count(*) filter (delivered and clicked) as clicked
from customers
"""
_RETAINED = """
select count(*) as cohort, count(d.day) as kept
from customers c left join customer_days d
    on d.user_key = c.user_key and d.active and d.day = c.came + $age::integer
where c.came between $day::date - $age::integer - 27 and $day::date - $age::integer
"""
_REACH = """
select count(distinct user_key) filter (from_last = 1 and turned_on) as now,
       count(distinct user_key) filter (day <= $day::date - 28 and from_last_of_part = 1 and turned_on) as before,
       count(*) filter (from_last = 1 and not turned_on and day > $day::date - 56) as turned_off
from turns
"""
_MONEY = """
select coalesce(sum(amount_fen) filter (paid and recent), 0)::bigint as gmv,
       count(*) filter (paid and recent) as orders,
       coalesce(sum(amount_fen) filter (not paid and recent), 0)::bigint as given_back,
       coalesce(sum(merchant_discount_fen) filter (paid and recent), 0)::bigint as discount,
       coalesce(sum(amount_fen) filter (paid and recent and slot in ('private', 'offline_scan')), 0)::bigint as private,
       coalesce(sum(amount_fen) filter (paid and recent and slot <> 'unknown'), 0)::bigint as slotted,
       count(*) filter (paid and recent and slot in (from public)) as public_orders,
       coalesce(sum(amount_fen) filter (paid and ripe), 0)::bigint as ripe_gmv,
       count(*) filter (paid and ripe) as ripe_orders,
       coalesce(sum(amount_fen) filter (not paid and trade_no in (
           select trade_no from done where stream = 'core_payments' and kind = 'paid'
              and day between $day::date - 42 and $day::date - 15)), 0)::bigint as ripe_refunds
from (select *, kind = 'paid' as paid, day > $day::date - 28 as recent,
             day between $day::date - 42 and $day::date - 15 as ripe from done where stream = 'core_payments')
"""
_EVENTS_56 = "select count(*) from done where active and day > $day::date - 56"
_VOUCHERS = """
select count(*) as received, count(*) filter (used) as used from (
    select voucher_code,
           arg_max(kind = 'used', (occurred_at, event_id)) filter (kind in ('used', 'unused')) as used
    from done where stream = 'core_voucher_events' and day > $day::date - 56 group by voucher_code
    having bool_or(kind = 'received' and day <= $day::date - 28))
"""
_SHOWN = """
select coalesce(sum(impressions) filter (slot in (from public)), 0)::bigint as impressions,
       coalesce(sum(impressions * thousandths) filter (source = 'points'), 0)::bigint as thousandths
from shown left join prices using (counts_from, slot)
where day > $day::date - 28 and taken_on <= $known and arm <> 'holdout'
  and event_id not in (select event_id from left_out where stream = 'core_traffic_hours')
"""


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


def take_rows(con: duckdb.DuckDBPyConnection, conf: Path, merchant_id: str, day: date, known: date) -> None:
    """Fill the tables of ``rows_of_merchant`` from the core tables that ``con`` has."""
    bound = {"merchant": merchant_id, "day": day, "known": known}
    con.execute("create or replace temp table taken as " + " union all ".join(map(_shaped, EVENTS)), bound)
    con.execute(
        "create or replace temp table staff as select distinct user_key, taken_on from core_staff "
        "where merchant_id = $merchant and taken_on <= $known",
        {"merchant": merchant_id, "known": known},
    )
    con.execute(
        "create or replace temp table shown as select event_id, business_date as day, "
        "coalesce(slot, 'unknown') as slot, source, coalesce(arm, '') as arm, impressions, taken_on, delivery_date, "
        "greatest(taken_on, business_date) as counts_from from core_traffic_hours "
        "where merchant_id = $merchant and business_date <= $day and taken_on <= $known",
        bound,
    )
    con.execute("create or replace temp table left_out (stream varchar, event_id varchar)")
    public = list(load_slots(conf, day).public)
    con.execute("create or replace temp table public as select unnest($1) as slot", [public])
    _add_prices(con, conf)


def _shaped(name: str) -> str:
    own = {c: f"null::{kind}" for c, kind in _TYPES.items()} | {c: c for c in _OWN.get(name, ())}
    columns = ", ".join(f"{expression} as {column}" for column, expression in own.items())
    return (
        f"from {name_of(name)} select '{name}' as stream, event_id, event_type as kind, user_key, "
        f"business_date as day, occurred_at, coalesce(slot, 'unknown') as slot, taken_on, delivery_date, {columns} "
        "where merchant_id = $merchant and business_date <= $day and taken_on <= $known"
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
    con.execute("delete from left_out")
    for stream, event_id in without:
        con.execute("insert into left_out values ($1, $2)", [stream, event_id])
    for statement in filter(str.strip, _PEOPLE.split(";")):
        con.execute(statement, _bound(statement, day=day, known=known))

    def ask(sql: str, **more: Any) -> dict[str, int]:
        cursor = con.execute(sql, _bound(sql, day=day, known=known, **more))
        names = [c[0] for c in cursor.description or ()]
        row = cursor.fetchone()
        assert row is not None
        return dict(zip(names, row, strict=True))

    people, reach, money, vouchers, shown = (ask(s) for s in (_OF_PEOPLE, _REACH, _MONEY, _VOUCHERS, _SHOWN))
    week, month = (ask(_RETAINED, age=age) for age in (7, 28))
    (events,) = ask(_EVENTS_56).values()
    return _named(people, reach, money, vouchers, shown) | {
        "a_retention_d7_num": week["kept"],
        "a_retention_d7_den": week["cohort"],
        "a_retention_d28_num": month["kept"],
        "a_retention_d28_den": month["cohort"],
        "events_56d": events + reach["turned_off"],
    }


def _bound(sql: str, **values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if f"${name}" in sql}


def _named(
    people: Mapping[str, int],
    reach: Mapping[str, int],
    money: Mapping[str, int],
    vouchers: Mapping[str, int],
    shown: Mapping[str, int],
) -> dict[str, int]:
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
