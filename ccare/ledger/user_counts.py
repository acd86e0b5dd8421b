"""What rules count of users by their days: the rows of ledger_user_counts, counted by DuckDB.

Each kind is one query over the days of the users who may count; it tells the dates on which each counts. Null users
and staff are left out before. docs/decisions/0018 says why not in Spark.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from ccare.growth.snapshot import date_sql, dates_sql, quoted
from ccare.ledger.counting import BOOKED_DATES, staff_out
from ccare.ledger.rules import GuidedReturn, PrivateDay, RelationKept, ReturningPayer, Rule, VoucherReturn
from ccare.runtime.rowstore import arrow_schema
from ccare.tables import table
from ccare.tables.state import TASKS

if TYPE_CHECKING:
    from ccare.runtime.close import Close

FOLLOWED, JOINED, PRIVATE, GUIDED = (1 << place for place in range(len(TASKS)))
_FIRST = {"follow": FOLLOWED, "member": JOINED}

# Who has a day that is looked at, or from which something is due on one: only their histories are made up. Each pair of
# merchant and user is a number from here on: grouping by two texts for each kind took most of the time.
_MET = """
create temp table met as
select row_number() over () as pair, merchant_id, user_key
from (select distinct merchant_id, user_key
      from (select merchant_id, user_key, unnest([{about}]) as effective_date from state_user_days
            where business_date in ({searched}) and user_key is not null)
      semi join ledger_touched_keys using (merchant_id, effective_date)
      {staff_out})
"""
_DAYS = """
create temp table days as
select pair, business_date as day, coalesce(orders, 0) > 0 as paid, coalesce(active_events, 0) > 0 as active,
    coalesce(tasks, 0) as tasks, guided_terminal as terminal, follow_on, member_on
from state_user_days join met using (merchant_id, user_key)
where business_date <= {day}
"""
_COUNTS = """
with came as ({kinds}),
parts as (
    select number, merchant_id, day as effective_date, part, count(*) as came
    from came join met using (pair) where day in (select effective_date from ledger_touched_keys) group by all
), sums as (
    select number, merchant_id, effective_date, sum(least(came, most))::bigint as units,
        sum(came - least(came, most))::bigint as over
    from parts join measures using (number) group by all
)
select measure, merchant_id, effective_date, coalesce(units, 0) as units, coalesce(over, 0) as over
from (
    select number, merchant_id, effective_date, units, over
    from sums semi join ledger_touched_keys using (merchant_id, effective_date)
    union all
    select number, merchant_id, effective_date, 0, 0
    from (from {booked}, measures) anti join sums using (number, merchant_id, effective_date)
) join measures using (number)
"""


def user_counts(con: duckdb.DuckDBPyConnection, close: "Close") -> pa.Table:
    """Grain: measure of a rule that counts users, touched merchant and effective date; where it is 0 only booked ones.

    ``units``: users who count; ``over``: those that a rule's own cap left out.
    """
    rules = {rule.measure: rule for rule in close.ledger.user_rules}
    schema = arrow_schema(table("ledger_user_counts"))
    dates = [
        row[0] for row in con.execute("select distinct effective_date from ledger_touched_keys").fetchall()
    ]
    if not rules or not dates:
        return schema.empty_table()
    values = tuple(rules.values())
    back = (0, *follow_ups(values))
    searched = sorted({on - timedelta(days=n) for on in dates for n in back})
    told = {
        "about": ", ".join(f"business_date + {n}" for n in back),
        "searched": dates_sql(searched),
        "staff_out": staff_out(close),
        "day": date_sql(close.day),
    }
    con.execute(_MET.format(**told))
    con.execute(_DAYS.format(**told))
    con.execute("create temp table measures (number integer, measure varchar, most bigint)")
    for number, (name, rule) in enumerate(rules.items()):
        most = rule.most_per_terminal if isinstance(rule, GuidedReturn) else None
        con.execute("insert into measures values (?, ?, ?)", [number, name, most])
    kinds = (
        f"select {number} as number, pair, day, part from ({_KINDS[type(rule)](rule, close)})"
        for number, rule in enumerate(values)
    )
    told_all = _COUNTS.format(kinds=" union all ".join(kinds), booked=BOOKED_DATES)
    return con.sql(told_all).to_arrow_table().cast(schema)


def follow_ups(rules: Sequence[Rule]) -> tuple[int, ...]:
    """Days after a first follow or joining on which somebody is looked at though nothing came in."""
    return tuple(sorted({rule.days for rule in rules if isinstance(rule, RelationKept)}))


def _private_day(rule: PrivateDay, close: "Close") -> str:
    return f"select pair, day, null::varchar as part from days where tasks & {PRIVATE} <> 0"


def _relation_kept(rule: RelationKept, close: "Close") -> str:
    """The first event of all counts, so whoever left and came back within the days is kept, once."""
    state = f"{rule.relation}_on"
    return f"""
select pair, due as day, null::varchar as part
from days join (select pair, min(day) + {rule.days} as due from days
                where tasks & {_FIRST[rule.relation]} <> 0 group by all) using (pair)
where {state} is not null and day <= due group by pair, due having arg_max({state}, day)"""


def _returning_payer(rule: ReturningPayer, close: "Close") -> str:
    """A paid day counts where one before is near enough and the last that counted far enough.

    The first near one counts; from there each is held against the last that did, which only a fold over them can tell.
    """
    return f"""
select pair, null::varchar as part, unnest(list_reduce(near, lambda told, next:
    case when next[1] - told[-1] >= {rule.once_in_days} then list_concat(told, next) else told end)) as day
from (select pair, list([day] order by day) as near
      from (select pair, day, lag(day) over (partition by pair order by day) as last from days where paid)
      where day - last <= {rule.within_days} and day >= {date_sql(close.earn_start)} group by all)"""


def _guided_return(rule: GuidedReturn, close: "Close") -> str:
    return f"""
select pair, visits[2].day as day, coalesce(visits[1].terminal, '') as part
from (select pair, arg_min({{day: day, tasks: tasks, terminal: terminal}}, day, 2) as visits
      from days where active group by all)
where visits[1].tasks & {GUIDED} <> 0 and visits[2].day - visits[1].day <= {rule.within_days}"""


def _voucher_return(rule: VoucherReturn, close: "Close") -> str:
    """The earliest active day within the days after any receipt."""
    return f"""
select pair, min(day) as day, null::varchar as part
from days join (select pair, business_date as received from core_voucher_events join met using (merchant_id, user_key)
                where event_type = 'received' and activity_id in ({", ".join(map(quoted, rule.activities))})
                    and greatest(taken_on, business_date) <= {date_sql(close.day)}) using (pair)
where active and day - received between 1 and {rule.within_days} group by pair"""


_KINDS: dict[type[Rule], Callable[[Any, "Close"], str]] = {
    PrivateDay: _private_day,
    RelationKept: _relation_kept,
    ReturningPayer: _returning_payer,
    GuidedReturn: _guided_return,
    VoucherReturn: _voucher_return,
}
"""Kinds that count users by their days: pair, day and part of each who counts, the part that a cap is about."""
