-- Question: On how many days of the last 28 was each active user active?
-- Grain: one row for each number of active days that some user has
-- Parameters:
--   merchant_id VARCHAR = none: only this merchant
--   day DATE = none: as-of day; none: the last published
-- Run: ccare sql l_ness --param merchant_id=m1
-- Plot: bar x=active_days y=users
--
-- at_least is the share of users with so many active days or more; it begins at 1. Users are told merchant by
-- merchant: one who is active at two merchants counts twice over the platform.
with as_of as (
    select max(as_of_date) as day from metric_activity_days
    where as_of_date <= coalesce($day::date, date '9999-12-31')
), counted as (
    select active_days, sum(users)::bigint as users
    from metric_activity_days
    join as_of on as_of_date = day
    where $merchant_id::varchar is null or merchant_id = $merchant_id::varchar
    group by active_days
)
select active_days, users,
    round(users / sum(users) over (), 4) as share,
    round(sum(users) over (order by active_days desc) / sum(users) over (), 4) as at_least
from counted
order by active_days
