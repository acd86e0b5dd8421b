-- One row for each merchant and day with an hour that points paid for: trades and impressions of both arms, W28.
with hours as (
    select merchant_id, business_date as day, arm, occurred_at as began, sum(impressions) as shown, count(distinct slot) as slots
    from core_traffic_hours t, as_of
    where source = 'points' and taken_on <= d and business_date <= d and date_diff('day', business_date, d) < 28
    group by all
)
select merchant_id, day,
       coalesce(sum(shown) filter (arm = 'treated'), 0), coalesce(sum(shown) filter (arm = 'holdout'), 0),
       sum(if(arm = 'treated', slots, 0) * trades), sum(if(arm = 'holdout', slots, 0) * trades)
from (
    select *, (select count(*) from core_payments p, as_of
               where p.merchant_id = hours.merchant_id and p.event_type = 'paid' and taken_on <= d
                 and business_date <= d and date_diff('day', business_date, d) < 28
                 and epoch(p.occurred_at) - epoch(hours.began) >= 0 and epoch(p.occurred_at) - epoch(hours.began) < 3600
              ) as trades from hours
)
group by merchant_id, day order by all
