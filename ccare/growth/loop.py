"""The loop from points to public traffic to users and money, as SQL: treated hours against withheld ones.

The arm of an hour is drawn for each (merchant, slot, hour), so the two arms of one merchant, slot and day differ by
chance alone: that is the stratum. Strata are joined as by Mantel and Haenszel (weight treated x withheld / all hours),
which needs no model and no large stratum. Intervals come from the spread of strata between clusters: merchants where
there are thirty or more, for what traffic does may differ between them; merchant-days where there are fewer, none below
five. A Student quantile (Cornish-Fisher) stands for the normal one.
"""

import re

from ccare.tables.model import Column

OUTCOMES = ("orders", "new_users", "new_payers", "net_gmv_fen")
MANY_MERCHANTS, FEW_CLUSTERS = 30, 5
_UNITS = {"orders": "trades", "new_users": "users", "new_payers": "users", "net_gmv_fen": "fen"}
_MEANS = {
    "orders": "Paid trades of the merchant, in any slot",
    "new_users": "Users whose first active day ever began",
    "new_payers": "Users who paid for the first time ever",
    "net_gmv_fen": "Paid amount less what has been refunded of it since",
}
_ARMS = {"treated": "treated", "holdout": "withheld"}

COLUMNS = (
    Column(
        "programme",
        "string",
        "Programme whose points or impressions the hour was paid with; none where none were.",
    ),
    *(
        Column(
            f"{arm}_hours",
            "double",
            f"Hours {told}, each times the programme's share of its points.",
            "hours",
        )
        for arm, told in _ARMS.items()
    ),
    Column("shown", "double", "Impressions in treated hours, times that share.", "impressions"),
    Column("clicks", "double", "Clicks on them, times that share.", "clicks"),
    Column("points", "double", "Points that they cost: impressions at the price of their request.", "points"),
    *(
        Column(f"{name}_{arm}", "double", f"{_MEANS[name]} in hours {told}, times that share.", _UNITS[name])
        for name in OUTCOMES
        for arm, told in _ARMS.items()
    ),
)
"""What loop_days shows beside columns of stored tables."""

_SUMS = ",\n    ".join(
    f"coalesce(sum(weight * {name}) filter (arm = '{arm}'), 0)::double as {name}_{arm}"
    for name in OUTCOMES
    for arm in _ARMS
)

_DAYS = """
with grants as (
    select r.request_id as grant_id, a.programme, any_value(r.points / r.impressions) as price,
        sum(a.amount) / sum(sum(a.amount)) over (partition by r.request_id) as share
    from ledger_requests r join ledger_allocations a on a.business_key = 'redemption|' || r.request_id
    where r.status <> 'refused'
    group by r.request_id, a.programme
    union all
    -- Impressions that a programme granted itself: their rows name the lot, and no points were paid for them.
    select lot_id, programme, 0, 1 from ledger_lots where asset = 'IMPRESSION'
), delivered as (
    select *, date_trunc('hour', occurred_at) as hour, sum(impressions) over one as all_shown, count(*) over one as rows
    from core_traffic_hours where event_type = 'delivered'<and business_date>
    window one as (partition by merchant_id, slot, source, arm, date_trunc('hour', occurred_at))
), parts as (
    -- DuckDB 1.4 has no nullif of a window.
    select *, coalesce(impressions / nullif(all_shown, 0), 1 / rows) as part from delivered
), hours as (
    select p.merchant_id, p.business_date, p.slot, p.source, p.arm, p.hour,
        coalesce(g.programme, 'none') as programme, sum(p.part * coalesce(g.share, 1)) as weight,
        sum(p.impressions * coalesce(g.share, 1)) as shown, sum(p.clicks * coalesce(g.share, 1)) as clicks,
        sum(p.impressions * coalesce(g.share * g.price, 0)) as points
    from parts p left join grants g using (grant_id)
    group by all
), refunds as (
    select merchant_id, trade_no, sum(amount_fen) as back_fen
    from core_payments where event_type = 'refunded' group by all
), served as (
    select distinct merchant_id, hour from delivered
), sold as (
    select merchant_id, trade_no, amount_fen, date_trunc('hour', occurred_at) as hour
    from core_payments p semi join (select distinct merchant_id from served) using (merchant_id)
    where event_type = 'paid'<and p.business_date>
), sales as (
    select s.merchant_id, s.hour, count(*) as orders, sum(s.amount_fen - coalesce(r.back_fen, 0)) as net_gmv_fen
    from sold s semi join served v on v.merchant_id = s.merchant_id and v.hour = s.hour
    left join refunds r using (merchant_id, trade_no)
    group by all
), people as (
    from state_users u anti join core_staff s on s.merchant_id = u.merchant_id and s.user_key = u.user_key
    semi join served v on v.merchant_id = u.merchant_id
), first_pays as (
    select u.merchant_id, u.user_key, date_trunc('hour', min(p.occurred_at)) as hour
    from people u join core_payments p on p.merchant_id = u.merchant_id and p.user_key = u.user_key
        and p.business_date = u.first_paid_date and p.event_type = 'paid'<and p.business_date><and u.first_paid_date>
    group by all
), visits as (
    select merchant_id, user_key, business_date, occurred_at from core_payments where event_type = 'paid'
    union all
    select merchant_id, user_key, business_date, occurred_at from core_mini_program_events
    where event_type not in ('uncollect', 'refuse', 'message_delivered', 'member_leave')
        and (event_type <> 'page_view' or coalesce(stay_ms, 1000) >= 1000)
    union all
    select merchant_id, user_key, business_date, occurred_at from core_life_account_events
    where event_type not in ('unfollow', 'expose')
    union all
    select merchant_id, user_key, business_date, occurred_at from core_voucher_events
    where event_type in ('received', 'used')
), first_visits as (
    select u.merchant_id, u.user_key, date_trunc('hour', min(v.occurred_at)) as hour
    from people u join visits v on v.merchant_id = u.merchant_id and v.user_key = u.user_key
        and v.business_date = u.first_seen_date<and v.business_date><and u.first_seen_date>
    group by all
), came as (
    select merchant_id, hour, count(*) as new_users from first_visits group by all
), paid as (
    select merchant_id, hour, count(*) as new_payers from first_pays group by all
)
select merchant_id, business_date, slot, source, programme,
    coalesce(sum(weight) filter (arm = 'treated'), 0)::double as treated_hours,
    coalesce(sum(weight) filter (arm = 'holdout'), 0)::double as holdout_hours,
    coalesce(sum(shown) filter (arm = 'treated'), 0)::double as shown,
    coalesce(sum(clicks) filter (arm = 'treated'), 0)::double as clicks,
    coalesce(sum(points) filter (arm = 'treated'), 0)::double as points,
    <sums>
from hours
left join sales using (merchant_id, hour)
left join came using (merchant_id, hour)
left join paid using (merchant_id, hour)
group by merchant_id, business_date, slot, source, programme
""".replace("<sums>", _SUMS)
_BOUNDED = re.compile("<and (.*?)>")
LOOP_DAYS = _BOUNDED.sub("", _DAYS)
# An hour that begins on one date may end on the next, where dates do not begin with an hour.
_WITHIN = r" and \1 between since::date and until::date + 1"

_OUTCOME_STRUCTS = ", ".join(
    f"{{'outcome': '{name}', 'a': coalesce({name}_treated * holdout_hours / hours, 0), "
    f"'b': coalesce({name}_holdout * treated_hours / hours, 0)}}"
    for name in OUTCOMES
)
_OUTCOME_SUMS = ", ".join(f"sum({name}_{arm}) as {name}_{arm}" for name in OUTCOMES for arm in _ARMS)

_ESTIMATES = """
with days as (
    select if(grouping(slot) = 1, 'all', slot) as slot, if(grouping(programme) = 1, 'all', programme) as programme,
        merchant_id, business_date, sum(treated_hours) as treated_hours, sum(holdout_hours) as holdout_hours,
        nullif(sum(treated_hours + holdout_hours), 0) as hours, sum(shown) as shown, sum(clicks) as clicks,
        sum(points) as points, <sums>
    from (<days>) loop_days
    where business_date > since::date and business_date <= until::date
        and source = paid_by::varchar and (merchant::varchar is null or merchant_id = merchant::varchar)
    group by grouping sets ((slot, programme, merchant_id, business_date), (slot, merchant_id, business_date),
        (merchant_id, business_date))
), strata as (
    select *, treated_hours * holdout_hours / hours as w, unnest([<outcomes>], recursive := true)
    from days
), sized as (
    select slot, programme, outcome, sum(treated_hours) as treated_hours, sum(holdout_hours) as holdout_hours,
        sum(shown) as shown, sum(clicks) as clicks, sum(points) as points, sum(w) as weight, sum(a) as a_all,
        sum(b) as b_all, count(distinct merchant_id) filter (w > 0) as merchants
    from strata group by all
), clusters as (
    select t.slot, t.programme, t.outcome,
        if(s.merchants >= <many>, t.merchant_id, t.merchant_id || ' ' || t.business_date) as cluster,
        sum(a) as a, sum(b) as b, sum(w) as w
    from strata t join sized s using (slot, programme, outcome)
    where w > 0 group by all
), spread as (
    select slot, programme, outcome, count(*) as clusters,
        sum(pow(a - b - (a_all - b_all) / weight * w, 2)) as squares,
        sum(pow(a - a_all / nullif(b_all, 0) * b, 2)) as log_squares
    from clusters join sized using (slot, programme, outcome)
    group by all
), told as (
    select s.*, clusters, (a_all - b_all) / nullif(weight, 0) as an_hour, a_all / nullif(b_all, 0) as ratio,
        clusters - 1 as v, 1.6448536269514722 as z,
        sqrt(clusters / nullif(v, 0) * squares) / nullif(weight, 0) as error,
        sqrt(clusters / nullif(v, 0) * log_squares) / nullif(a_all, 0) as log_error,
        case when clusters >= <few> then
            z + (pow(z, 3) + z) / (4 * v) + (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / (96 * v * v) end as t
    from sized s left join spread using (slot, programme, outcome)
)
select slot, programme, outcome, merchants, coalesce(clusters, 0) as clusters, treated_hours, holdout_hours,
    shown, clicks, points, a_all / nullif(weight, 0) as treated_an_hour, b_all / nullif(weight, 0) as holdout_an_hour,
    if(ratio > 0, 100 * (ratio - 1), null) as lift_percent,
    if(ratio > 0, 100 * (ratio * exp(-t * log_error) - 1), null) as lift_low,
    if(ratio > 0, 100 * (ratio * exp(t * log_error) - 1), null) as lift_high,
    an_hour * treated_hours as more, (an_hour - t * error) * treated_hours as more_low,
    (an_hour + t * error) * treated_hours as more_high
from told
"""
LOOP_ESTIMATES = (
    _ESTIMATES.replace("<days>", _BOUNDED.sub(_WITHIN, _DAYS))
    .replace("<sums>", _OUTCOME_SUMS)
    .replace("<outcomes>", _OUTCOME_STRUCTS)
    .replace("<many>", str(MANY_MERCHANTS))
    .replace("<few>", str(FEW_CLUSTERS))
)
