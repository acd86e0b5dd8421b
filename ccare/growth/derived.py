"""Views and macros that the catalogue adds to the stored tables: the latest day, or a day of one's choice."""

from collections.abc import Iterator
from dataclasses import dataclass

from ccare.growth.loop import COLUMNS as LOOP_COLUMNS
from ccare.growth.loop import LOOP_DAYS, LOOP_ESTIMATES
from ccare.tables import Table, stored_tables, table
from ccare.tables.model import Column

_ADDED = (
    Column("match_status", "string", "matched, or held until the payment is known."),
    Column("paid_date", "date", "Business date of the payment."),
    Column("paid_fen", "bigint", "What the trade was worth.", unit="fen"),
)
"""Columns of derived views that no stored table has."""
_SHORT = {"score_merchants": "scores", "metric_merchants": "metrics"}
_NAMED = """
select m.name, m.industry, s.*
from score_merchants s
left join core_merchants m on m.merchant_id = s.merchant_id and m.valid_from <= s.as_of_date
    and coalesce(m.valid_to, s.as_of_date) >= s.as_of_date
where s.as_of_date = ({day})
"""
_PLAIN = "from {table} where as_of_date = ({day})"
_LAST = "select max(as_of_date) from {table}"
_UNTIL = "select max(as_of_date) from {table} where as_of_date <= day::date"
_MERCHANTS = """
select m.* from core_merchants m
where m.valid_from <= {day} and (m.valid_to is null or m.valid_to >= {day})
"""
_REFUNDS = """
select r.merchant_id, r.trade_no, r.refund_no, r.event_id, r.business_date, r.amount_fen,
       if(p.trade_no is null, 'held', 'matched') as match_status, p.business_date as paid_date,
       p.amount_fen as paid_fen, r.taken_on, r.origin
from core_payments r
left join core_payments p on p.event_type = 'paid' and p.merchant_id = r.merchant_id and p.trade_no = r.trade_no
where r.event_type = 'refunded'
"""
_BALANCES = """
select account, asset, sum(amount)::bigint as balance
from (
    select credit_account as account, asset, amount from ledger_transfers where booked_date <= day::date
    union all
    select debit_account, asset, -amount from ledger_transfers where booked_date <= day::date
)
group by account, asset
"""


@dataclass(frozen=True)
class View:
    """A view over stored tables; its columns are described as theirs, the first of ``sources`` last."""

    name: str
    sql: str
    about: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Macro:
    """A table macro."""

    name: str
    sql: str
    about: str
    arguments: tuple[str, ...] = ("day",)

    @property
    def call(self) -> str:
        """How it is called: name(arguments)."""
        return f"{self.name}({', '.join(self.arguments)})"


def views() -> tuple[View, ...]:
    """Every derived view, in the order that they are made in."""
    return (
        *(
            View(
                f"latest_{short}",
                _on_day(declared, _LAST),
                f"{declared.name} on the last published as-of day{_extra(declared)}. Grain: {declared.grain}.",
                (declared.name, "core_merchants") if declared.name == "score_merchants" else (declared.name,),
            )
            for short, declared in _by_day()
        ),
        View(
            "merchants_current",
            _MERCHANTS.format(day="(select business_date from snapshot)"),
            "Merchants as they are on the last closed day. Grain: one row for each merchant.",
            ("core_merchants",),
        ),
        View(
            "refund_matches",
            _REFUNDS,
            "Refunds with match_status: matched where the payment is known, held until it comes. "
            "Grain: one row for each refund.",
            ("core_payments",),
        ),
        View(
            "loop_days",
            LOOP_DAYS,
            "Traffic hours of both arms and what happened at the merchant in them, by what paid for them. An hour of "
            "two slots stands in both. Grain: one row for each merchant, business date, slot, source and programme.",
            ("core_traffic_hours",),
        ),
    )


def macros() -> tuple[Macro, ...]:
    """Every table macro."""
    return (
        *(
            Macro(
                f"{short}_asof",
                _on_day(declared, _UNTIL),
                f"{declared.name} on the last as-of day that is not after day{_extra(declared)}; "
                f"no row before the first. Grain: {declared.grain}.",
            )
            for short, declared in _by_day()
        ),
        Macro(
            "merchants_asof",
            _MERCHANTS.format(day="day::date"),
            "Merchants as they were on day. Grain: one row for each merchant.",
        ),
        Macro(
            "balances_asof",
            _BALANCES,
            "Balances at the end of day from the transfers booked by then. Grain: one row for each account and asset.",
        ),
        Macro(
            "loop_estimates",
            LOOP_ESTIMATES,
            "What treated hours after since and up to until brought against withheld ones, with 90 % intervals: "
            "lift_percent of the rate an hour, and how many more in all. paid_by: points, free or paid; merchant: null "
            "for all. Grain: one row for each slot (or all), programme (or all) and outcome.",
            ("since", "until", "paid_by", "merchant"),
        ),
    )


def columns_of(view: View) -> dict[str, Column]:
    """Declared columns that ``view`` may show, by name."""
    found = {c.name: c for c in (*_ADDED, *(LOOP_COLUMNS if view.name == "loop_days" else ()))}
    for source in reversed(view.sources):
        found |= {c.name: c for c in table(source).columns}
    return found


def _by_day() -> Iterator[tuple[str, Table]]:
    """Short name and table, of each stored table that tells every as-of day apart."""
    for declared in stored_tables():
        if "as_of_date" in declared.key:
            yield _SHORT.get(declared.name, declared.name.split("_", 1)[1]), declared


def _on_day(declared: Table, day: str) -> str:
    form = _NAMED if declared.name == "score_merchants" else _PLAIN
    return form.format(table=declared.name, day=day.format(table=declared.name))


def _extra(declared: Table) -> str:
    return ", with the merchant's name and industry then" if declared.name == "score_merchants" else ""
