"""Which merchants and effective dates a close looks at again: the rows of ledger_touched_keys, found by DuckDB."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.abuse.spans import days_to_judge
from ccare.growth.snapshot import date_sql, quoted
from ccare.ledger.rules import USER_KINDS, TradeNet
from ccare.ledger.user_counts import FOLLOWED, JOINED, follow_ups
from ccare.runtime.rowstore import arrow_schema
from ccare.tables import table

if TYPE_CHECKING:
    from ccare.ledger.policy import LedgerPolicy
    from ccare.runtime.close import Close

Inputs = Mapping[str, DataFrame]
KEY = ["merchant_id", "effective_date"]


def staff_pairs(inputs: Inputs, close: "Close") -> DataFrame:
    """Pairs of merchant and user known as staff by this close; they act on old rows too."""
    known = inputs["core_staff"].filter(F.col("taken_on") <= F.lit(close.day))
    return known.select("merchant_id", "user_key")


def touched_keys(con: duckdb.DuckDBPyConnection, close: "Close") -> pa.Table:
    """Grain: merchant and effective date of what this close looks at again.

    Dates of rows that came in and of trades refunded; all dates of users who became staff, of merchants whose record
    or enrolment came in, and of keys that another policy booked; in the first close of a policy that is meant to change
    closed days, every date of the programmes that say so. Where users are counted by their days: also the
    later dates of users of whom a late row came in, and the dates on which a follow or joining becomes due. Where abuse
    rules are in force: earlier dates that a late row has them judge again.
    """
    parts = [_of_rows(close.ledger), _OF_REFUNDS, _of_people(close), _of_policy(close.ledger)]
    parts += _of_retroactive(close)
    if any(p.asks != "everyone" for p in close.ledger.programmes):
        parts.append(_of_merchants(close))
    parts += [*_judged_again(close), *_due(close)]
    told = " union all ".join(f"({part})" for part in parts)
    found = con.sql(
        f"select distinct merchant_id, effective_date from ({told}) "
        f"where effective_date between {date_sql(close.earn_start)} and {date_sql(close.day)} order by all"
    )
    return found.to_arrow_table().cast(arrow_schema(table("ledger_touched_keys")))


def _of_rows(policy: "LedgerPolicy") -> str:
    """Dates of rows that came in; trades alone where nobody counts users."""
    sold = "" if policy.user_rules else " where coalesce(orders, 0) <> 0 or coalesce(gmv_fen, 0) <> 0"
    return f"select merchant_id, business_date as effective_date from state_changes{sold}"


_OF_REFUNDS = """
select merchant_id, paid_date as effective_date from state_refund_days
semi join (select merchant_id, business_date as refund_date from state_changes
    where coalesce(refunds, 0) <> 0 or coalesce(refund_fen, 0) <> 0) using (merchant_id, refund_date)"""


def _of_people(close: "Close") -> str:
    """Dates of users who became staff, and of whom a late row came in.

    A late row can change what counts on any later day of its user: who was new, when somebody had paid before.
    """
    start, day = close.earn_start, date_sql(close.day)
    longest = max(follow_ups(close.ledger.user_rules), default=0)
    since = date_sql(start - timedelta(days=longest))
    again = f"select merchant_id, user_key, {since} as since from core_staff where taken_on = {day}"
    if close.ledger.user_rules and close.day > start:
        again += f""" union all select merchant_id, user_key, business_date - {longest} from state_changes
            where business_date < {day} and user_key is not null"""
    # A user may come up several times: the earliest date that anything came in for counts.
    return f"""
select d.merchant_id, {_dates_about(close.ledger)} as effective_date
from state_user_days d
join (select merchant_id, user_key, min(since) as since from ({again}) group by all) using (merchant_id, user_key)
where d.business_date between {since} and {day} and d.business_date >= since"""


def _of_merchants(close: "Close") -> str:
    """Dates of merchants whose record or enrolment came in, each from the day that it is about."""
    day = date_sql(close.day)
    changed = f"select merchant_id from core_merchants where taken_on = {day}"
    if any(p.asks == "enrolled" for p in close.ledger.programmes):
        changed += f" union all select party from core_enrolments where taken_on = {day}"
    return f"""
select d.merchant_id, {_dates_about(close.ledger)} as effective_date
from state_user_days d semi join ({changed}) using (merchant_id)
where d.business_date between {date_sql(close.earn_start)} and {day}"""


def _of_policy(policy: "LedgerPolicy") -> str:
    """Keys that another policy booked, but those of rules that are told on days of their own."""
    return f"""
select merchant_id, effective_date from ledger_positions
where {_is_followed(policy)} and policy_version is distinct from {quoted(policy.version)}"""


def _of_retroactive(close: "Close") -> Iterator[str]:
    """Dates of programmes that are meant to change closed days, booked or not: whoever may earn now has no key yet.

    Only until this policy has booked a key: what it changes is then told, and later closes follow the rows again.
    """
    policy, longest = close.ledger, max(follow_ups(close.ledger.user_rules), default=0)
    for p in policy.programmes:
        if p.retroactive:
            first, last = p.from_day - timedelta(days=longest), min(p.to_day or close.day, close.day)
            yield f"""
select d.merchant_id, {_dates_about(policy)} as effective_date
from state_user_days d where d.business_date between {date_sql(first)} and {date_sql(last)}
    and not exists (from ledger_positions where {_is_followed(policy)} and policy_version = {quoted(policy.version)})"""


def _is_followed(policy: "LedgerPolicy") -> str:
    """Whether a position is of a merchant's key that follows later rows."""
    rules = [(f"{p.name}|{rule.name}", rule) for p in policy.programmes for rule in p.rules]
    follow = {name for name, rule in rules if rule.kind in USER_KINDS or isinstance(rule, TradeNet)}
    fixed = ", ".join(map(quoted, sorted({name for name, _ in rules} - follow)))
    aside = f" and concat_ws('|', programme, rule) not in ({fixed})" if fixed else ""
    return f"merchant_id is not null{aside}"


def _judged_again(close: "Close") -> Iterator[str]:
    """Earlier dates that the close judges again, of merchants whose rows came in within a rule's reach."""
    dates = days_to_judge(close)
    if len(dates) < 2:
        return
    reach = max(r.rule.window_days for r in close.abuse.judging(dates[0], dates[-1]))
    earlier = ", ".join(f"({date_sql(day)})" for day in dates[:-1])
    yield f"""
select merchant_id, judged.effective_date from state_changes, (values {earlier}) judged(effective_date)
where judged.effective_date - business_date between 0 and {reach - 1}"""


def _due(close: "Close") -> Iterator[str]:
    """Merchants one of whose users followed or joined so long ago that it is told today."""
    for n in follow_ups(close.ledger.user_rules):
        yield f"""
select merchant_id, {date_sql(close.day)} as effective_date from state_user_days
where business_date = {date_sql(close.day - timedelta(days=n))} and {_RELATED}"""


_RELATED = f"coalesce(tasks, 0) & {FOLLOWED | JOINED} <> 0"


def _dates_about(policy: "LedgerPolicy") -> str:
    """Effective dates that a day of a user may count for, one a row."""
    due = "".join(f", business_date + {n}" for n in follow_ups(policy.user_rules))
    if not due:
        return "business_date"
    return f"unnest(case when {_RELATED} then [business_date{due}] else [business_date] end)"
