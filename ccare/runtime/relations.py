"""How a day's rows stand to those taken before: refunds to payments, vouchers used to received, follows to unfollows.

Asked of DuckDB over the files that the run has just written: an anti-join of a day against years takes
milliseconds there, and one more plan and two jobs in Spark.
"""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from ccare.growth.snapshot import view_sql
from ccare.runtime.dataset_rules import Measured
from ccare.runtime.disputes import CORES, bounded
from ccare.tables import table

_REFUNDS = """
with refunds as materialized (
    select merchant_id, trade_no, refund_no, amount_fen, occurred_at, taken_on = $day as new from core_payments
    where event_type = 'refunded' and taken_on <= $day
), again as (
    select 1 from refunds where refund_no is not null
    group by merchant_id, trade_no, refund_no having count(*) > 1 and bool_or(new)
), paid as (
    select p.merchant_id, p.trade_no, p.amount_fen, p.occurred_at, p.taken_on = $day as new from core_payments p
    semi join refunds r on r.merchant_id = p.merchant_id and r.trade_no = p.trade_no
    where p.event_type = 'paid' and p.taken_on <= $day
), pairs as (
    select r.*, p.amount_fen as paid_fen, p.occurred_at as paid_at, r.new or p.new as told_now
    from refunds r left join paid p using (merchant_id, trade_no)
), trades as (
    select sum(amount_fen) > any_value(paid_fen) as beyond from pairs where paid_at is not null
    group by merchant_id, trade_no having bool_or(new)
)
select (select count(*) from trades), (select count(*) from trades where beyond),
       (select count(*) from pairs where paid_at is null), (select count(*) from pairs where paid_at is null and new),
       (select count(*) from pairs where told_now and occurred_at < paid_at), (select count(*) from refunds where new),
       (select count(*) from again)
"""
_VOUCHERS = """
with used as materialized (
    select merchant_id, voucher_code, occurred_at from core_voucher_events
    where event_type = 'used' and taken_on = $day
)
select (select count(*) from used), count(*) from used u
where not exists (
    from core_voucher_events r where r.event_type = 'received' and r.merchant_id = u.merchant_id
    and r.voucher_code = u.voucher_code and r.occurred_at <= u.occurred_at and r.taken_on <= $day
)
"""
# Followers are those whose last change is a follow: beside that stands the platform's own sum, new less cancelled.
_FOLLOWS = """
with changes as (
    select merchant_id, user_key, event_type = 'follow' as on_, occurred_at, event_id, business_date,
           taken_on = $day as new
    from core_life_account_events
    where event_type in ('follow', 'unfollow') and user_key is not null and taken_on <= $day
), touched as materialized (
    from changes where (merchant_id, user_key) in (select (merchant_id, user_key) from changes where new)
), told as (
    select *, lag(on_) over (partition by merchant_id, user_key order by occurred_at, event_id) as before from touched
), pairs as (
    select merchant_id, user_key, arg_max(on_, (occurred_at, event_id)) as now,
           coalesce(arg_max(on_, (occurred_at, event_id)) filter (not new), false) as then_,
           sum(case when on_ then 1 else -1 end) filter (new) as grow
    from touched group by all
), merchants as (
    select merchant_id, sum(grow) <> sum(now::int - then_::int) as differs from pairs group by all
), days as (
    select merchant_id, business_date, sum(case when on_ then 1 else -1 end) as grow
    from changes semi join merchants using (merchant_id) group by all
), sums as (
    select merchant_id, sum(grow) over (partition by merchant_id order by business_date) as followers from days
)
select count(*) filter (not on_), count(*) filter (not on_ and before is distinct from true),
       count(*) filter (on_), count(*) filter (on_ and before),
       (select count(*) from merchants), (select count(*) from merchants where differs),
       (select count(distinct merchant_id) from sums where followers < 0)
from told where new
"""


def relation_measures(lake: Path, name: str, version: int, day: date) -> dict[str, Measured]:
    """Measures of one core table at ``version`` that look beyond the rows taken on ``day``; {} for other tables."""
    measure = _MEASURES.get(name)
    if measure is None:
        return {}
    with TemporaryDirectory(prefix="ccare-") as spill, bounded(Path(spill), CORES) as con:
        con.execute(f"create view {name} as {view_sql(lake, table(name), version)}")
        query, told = measure
        row = con.execute(query, {"day": day}).fetchone()
    return dict(told(*(row or ())))


def _refunds(
    trades: int, beyond: int, held: int, held_now: int, early: int, refunds: int, again: int
) -> Mapping[str, Measured]:
    over = f"{beyond:,} of {trades:,} trades refunded today have more refunded than was paid"
    return {
        "trades_refunded_beyond_paid": Measured(beyond, trades, over),
        "refunded_beyond_paid_share_bp": Measured(10_000 * beyond / trades if trades else 0, trades, over),
        "refunds_held": Measured(
            held, held, f"{held:,} refunds wait for their payment, {held_now:,} of them taken today"
        ),
        "refunds_before_payment": Measured(
            early, refunds, f"{early:,} refunds are dated before the payment that they return"
        ),
        "refund_numbers_again": Measured(
            again, refunds, f"{again:,} refund numbers of today stand in more than one event of their trade"
        ),
    }


def _vouchers(used: int, unreceived: int) -> Mapping[str, Measured]:
    told = f"{unreceived:,} of {used:,} vouchers used were not received before"
    return {"vouchers_used_unreceived": Measured(unreceived, used, told)}


def _follows(
    unfollows: int, strangers: int, follows: int, again: int, merchants: int, differing: int, below: int
) -> Mapping[str, Measured]:
    told = f"{strangers:,} of {unfollows:,} unfollows are by users who did not follow"
    twice = f"{again:,} of {follows:,} follows are by users who followed already"
    grown = f"of {merchants:,} merchants whose followers changed {differing:,} have other new followers than"
    less = f"of {merchants:,} merchants whose followers changed {below:,} have had fewer than none"
    return {
        "unfollows_of_strangers": Measured(strangers, unfollows, told),
        "follows_again": Measured(again, follows, twice),
        "growth_differs": Measured(differing, merchants, f"{grown} follows less unfollows"),
        "followers_below_none": Measured(below, merchants, f"{less}, by follows less unfollows day by day"),
    }


_MEASURES: dict[str, tuple[str, Callable[..., Mapping[str, Measured]]]] = {
    "core_payments": (_REFUNDS, _refunds),
    "core_voucher_events": (_VOUCHERS, _vouchers),
    "core_life_account_events": (_FOLLOWS, _follows),
}
