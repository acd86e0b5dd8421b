-- Question: From which stage of their life with a merchant to which did users move in the last days?
-- Grain: one row for each stage before and stage now that some user moved between or stayed in
-- Parameters:
--   merchant_id VARCHAR = none: only this merchant
--   days INTEGER = 7: how many days before the last closed one the stage before is told of
-- Run: ccare sql lifecycle_flow --param days=28
-- Plot: heat x=stage_now y=stage_before by=users
--
-- Stages are those of metric_stages; unknown: not seen yet. Their sums by stage_now are metric_stages' of the day.
-- Rows are counted as they are known now, staff left out, merchant by merchant.
with moments as (
    select business_date as now_, business_date - $days::integer as then_ from snapshot
), folded as (
    select u.merchant_id, u.user_key,
        min(u.business_date) as known, max(u.business_date) filter (u.active_events > 0) as last_now,
        max(u.business_date) filter (u.active_events > 0 and u.business_date <= then_) as last_then,
        count(*) filter (u.orders > 0) as paid_now,
        count(*) filter (u.orders > 0 and u.business_date <= then_) as paid_then,
        count(*) filter (u.orders > 0 and u.business_date > now_ - 90) as recent_now,
        count(*) filter (u.orders > 0 and u.business_date > then_ - 90 and u.business_date <= then_) as recent_then
    from state_user_days u
    join moments on u.business_date <= now_
    where u.user_key is not null
        and ($merchant_id::varchar is null or u.merchant_id = $merchant_id::varchar)
    group by u.merchant_id, u.user_key
), pairs as (
    select
        case when known > then_ then 'unknown'
            when last_then is null then 'reached'
            when last_then <= then_ - 56 then 'dormant'
            when last_then <= then_ - 28 then 'at_risk'
            when paid_then = 0 then 'visited'
            when recent_then >= 3 then 'loyal'
            when paid_then >= 2 then 'repeat'
            else 'paid' end as stage_before,
        case when last_now is null then 'reached'
            when last_now <= now_ - 56 then 'dormant'
            when last_now <= now_ - 28 then 'at_risk'
            when paid_now = 0 then 'visited'
            when recent_now >= 3 then 'loyal'
            when paid_now >= 2 then 'repeat'
            else 'paid' end as stage_now
    from folded anti join core_staff using (merchant_id, user_key), moments
)
select stage_before, stage_now, count(*) as users,
    round(count(*) / sum(count(*)) over (partition by stage_before), 4) as share_of_before
from pairs
group by stage_before, stage_now
order by stage_before, stage_now
