-- Question: From how many messages on do users click less and refuse more?
-- Grain: one row for each band of messages delivered to a user
-- Parameters:
--   merchant_id VARCHAR = none: only this merchant
--   days INTEGER = 28: window up to the last closed day
-- Run: ccare sql message_fatigue --param merchant_id=m1
-- Plot: line x=messages y=click_rate,refuse_rate
--
-- Users of a merchant to whom a message was delivered in the window; clicked and refused count users, once each.
with span as (
    select business_date as until, business_date - $days::integer as since from snapshot
), users as (
    select g.merchant_id, g.user_key,
        count(*) filter (g.event_type = 'message_delivered') as delivered,
        bool_or(g.event_type = 'message_click') as clicked,
        bool_or(g.event_type = 'refuse') as refused
    from core_mini_program_events g
    join span on g.business_date > since and g.business_date <= until
    where g.event_type in ('message_delivered', 'message_click', 'refuse') and g.user_key is not null
        and ($merchant_id::varchar is null or g.merchant_id = $merchant_id::varchar)
        and not exists (from core_staff s where s.merchant_id = g.merchant_id and s.user_key = g.user_key)
    group by g.merchant_id, g.user_key
), banded as (
    select *, case when delivered = 1 then 1 when delivered = 2 then 2 when delivered <= 4 then 3
        when delivered <= 8 then 4 else 5 end as band
    from users where delivered > 0
)
select ['1', '2', '3-4', '5-8', '9 and more'][band] as messages, count(*) as users,
    sum(delivered)::bigint as delivered, count(*) filter (clicked) as clicked,
    count(*) filter (refused) as refused,
    round(count(*) filter (clicked) / count(*), 4) as click_rate,
    round(count(*) filter (refused) / count(*), 4) as refuse_rate
from banded
group by band
order by band
