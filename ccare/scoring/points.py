"""Points that a day's trades earn under a ledger policy, for replaying: the ledger itself is the Spark job's.

Rules that count anything but trades are left out: they ask for whole histories.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import duckdb

from ccare.growth.snapshot import name_of, view_sql
from ccare.ledger.policy import LedgerPolicies, LedgerPolicy
from ccare.ledger.rules import TradeNet
from ccare.scoring.published import Lake
from ccare.tables import table

_NETS = """
with staff as (select distinct merchant_id, user_key from core_staff),
sold as (
    select merchant_id, trade_no, amount_fen from core_payments p
    where event_type = 'paid' and business_date = $day and datediff('day', business_date, delivery_date) <= $late
      and not exists (from staff s where s.merchant_id = p.merchant_id and s.user_key = p.user_key)
), back as (
    select merchant_id, trade_no, sum(amount_fen) as amount_fen from core_payments
    where event_type = 'refunded' and business_date >= $day group by all
)
select s.merchant_id, (sum(s.amount_fen) - coalesce(sum(b.amount_fen), 0))::bigint as net_fen,
       bool_or(exists (from core_merchants m where m.merchant_id = s.merchant_id and m.mini_program_id is not null
                       and m.valid_from <= $day and coalesce(m.valid_to, $day) >= $day)) as has_mini_program
from sold s left join back b using (merchant_id, trade_no) group by s.merchant_id
"""


@dataclass(frozen=True)
class Net:
    """A merchant's net of the trades paid on a day, fen, and whether it had a mini-program then."""

    fen: int
    has_mini_program: bool


def trades(lake: Lake, day: date, late_days: int) -> dict[str, Net]:
    """Each merchant's net of the trades paid on ``day``, as far as it is known now; without staff and rows too late."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        for name in ("core_payments", "core_staff", "core_merchants"):
            sql = view_sql(lake.settings.lake, table(name), lake.last.table_versions.get(name))
            con.execute(f"create view {name_of(name)} as {sql}")
        found = con.execute(_NETS, {"day": day, "late": late_days}).fetchall()
    return {merchant: Net(net, has) for merchant, net, has in found}


def earned(
    nets: Mapping[str, Net],
    policy: LedgerPolicy,
    day: date,
    first_day: date,
    totals: Mapping[str, float | None],
) -> dict[str, int]:
    """Points of merchants with a trade on ``day``: floor(net x points x (500 + tenths of the score) / (per x 1,000)).

    Days before go-live, or before ``first_day``, the first ever closed, earn nothing.
    """
    if day < max(policy.go_live, first_day):
        return {}
    rates = [
        (programme, rule)
        for programme in policy.programmes
        if programme.covers(day)
        for rule in programme.rules
        if isinstance(rule, TradeNet)
    ]
    result = {}
    for merchant, net in nets.items():
        multiplier = 500 + round((totals.get(merchant) or 0.0) * 10)
        result[merchant] = sum(
            max(net.fen, 0) * rule.points * multiplier // (rule.per_fen * 1000)
            for programme, rule in rates
            if net.has_mini_program or not programme.needs_mini_program
        )
    return result


def not_replayed(policies: LedgerPolicies, first: date, last: date) -> set[str]:
    """Rules in force on any day from ``first`` to ``last`` that ``earned`` leaves out, as programme/rule."""
    return {
        f"{programme.name}/{rule.name}"
        for programme in policies.programmes_file.programmes
        if programme.from_day <= last and (programme.to_day is None or first <= programme.to_day)
        for rule in programme.rules
        if not isinstance(rule, TradeNet)
    }
