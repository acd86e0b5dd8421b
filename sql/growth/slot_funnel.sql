-- Question: In each slot, how many users of the last 7 days came from seeing to paying, and where are they lost?
-- Grain: one row for each slot and step
-- Parameters:
--   merchant_id VARCHAR = none: only this merchant
--   slot VARCHAR = none: only this slot
--   day DATE = none: as-of day; none: the last published
-- Run: ccare sql slot_funnel --param slot=search_box
-- Plot: bar x=slot y=users by=step
--
-- Users came to the step or beyond it. traffic is what the traffic stream tells of nobody: impressions and clicks.
-- Users are told merchant by merchant.
with as_of as (
    select max(as_of_date) as day from metric_funnels
    where as_of_date <= coalesce($day::date, date '9999-12-31')
), counted as (
    select slot, step_number, step, sum(users)::bigint as users, sum(traffic)::bigint as traffic
    from metric_funnels
    join as_of on as_of_date = day
    where ($merchant_id::varchar is null or merchant_id = $merchant_id::varchar)
        and ($slot::varchar is null or slot = $slot::varchar)
    group by all
), stepped as (
    select *, lag(users) over steps as before, first_value(users) over steps as at_first
    from counted window steps as (partition by slot order by step_number)
)
select slot, step_number, step, users, round(users / nullif(before, 0), 4) as of_step_before,
    round(users / nullif(at_first, 0), 4) as of_first_step, traffic
from stepped
order by slot, step_number
