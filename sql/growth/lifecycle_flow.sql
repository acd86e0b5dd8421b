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
), users as (
    select u.*, now_, then_, coalesce(last_seen_date <= then_, false) as settled,
        -- Bit i: paid i days before the last paid day; the 90 lowest are asked for.
        ((paid_bits_older & 67108863)::hugeint << 64) | (paid_bits::hugeint & 18446744073709551615) as paid_word
    from state_users u anti join core_staff using (merchant_id, user_key), moments
    where user_key is not null and ($merchant_id::varchar is null or merchant_id = $merchant_id::varchar)
), stayed as (
    -- Not active since then: the state has all there is to both stages.
    select now_, then_, false as is_new, last_seen_date as last_now, last_seen_date as last_then,
        case when first_paid_date is null then 0 when first_paid_date = last_paid_date then 1 else 2 end as paid_now,
        paid_now as paid_then,
        bit_count(paid_word & ((1::hugeint << greatest(last_paid_date - now_ + 90, 0)::integer) - 1)) as recent_now,
        bit_count(paid_word & ((1::hugeint << greatest(last_paid_date - then_ + 90, 0)::integer) - 1)) as recent_then
    from users where settled
), moved as (
    select l.now_, l.then_, min(u.business_date) > l.then_ as is_new,
        max(u.business_date) filter (u.active_events > 0) as last_now,
        max(u.business_date) filter (u.active_events > 0 and u.business_date <= l.then_) as last_then,
        count(*) filter (u.orders > 0) as paid_now,
        count(*) filter (u.orders > 0 and u.business_date <= l.then_) as paid_then,
        count(*) filter (u.orders > 0 and u.business_date > l.now_ - 90) as recent_now,
        count(*) filter (u.orders > 0 and u.business_date > l.then_ - 90 and u.business_date <= l.then_) as recent_then
    from state_user_days u join users l using (merchant_id, user_key)
    where not l.settled and u.business_date <= l.now_
    group by u.merchant_id, u.user_key, l.now_, l.then_
), pairs as (
    select
        case when is_new then 'unknown'
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
    from (from stayed union all from moved)
)
select stage_before, stage_now, count(*) as users,
    round(count(*) / sum(count(*)) over (partition by stage_before), 4) as share_of_before
from pairs
group by stage_before, stage_now
order by stage_before, stage_now
