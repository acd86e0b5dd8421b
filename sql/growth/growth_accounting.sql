-- Question: Where do this month's active users come from, and how many of last month's were lost?
-- Grain: one row for each as-of day, over the whole platform or one merchant
-- Parameters:
--   merchant_id VARCHAR = none: only this merchant; a user of two merchants counts once on the platform
--   days INTEGER = 14: how many of the last published as-of days, at most 70
-- Run: ccare sql growth_accounting --param merchant_id=m1 --param days=7
-- Plot: line x=as_of_date y=active,new,retained,resurrected,churned
--
-- Windows are 28 days up to the as-of day and the 28 before. Identities, checked in tests:
--   active = new + retained + resurrected        active - active_before = new + resurrected - churned
-- Rows are counted as they are known now, so a late row also changes earlier as-of days here.
with as_of as (
    select distinct as_of_date from metric_merchants order by as_of_date desc limit least($days::integer, 70)
), horizon as (
    select max(as_of_date) as last from as_of
), users as (
    -- One word of bits a user: bit i is set where the user was active i days before the last as-of day.
    select u.user_key, min(u.business_date) as first_date,
        bit_or(if(last - u.business_date between 0 and 125, 1::hugeint << (last - u.business_date)::integer, 0)) as word
    from state_user_days u, horizon
    where u.active_events > 0 and u.user_key is not null
        and ($merchant_id::varchar is null or u.merchant_id = $merchant_id::varchar)
        and not exists (
            from core_staff s where s.merchant_id = u.merchant_id and s.user_key = u.user_key)
    group by u.user_key
), seen as (
    select as_of_date, first_date > as_of_date - 28 as is_new,
        (word >> (last - as_of_date)::integer) & 268435455 > 0 as is_active,
        (word >> (last - as_of_date + 28)::integer) & 268435455 > 0 as was_active
    from users, as_of, horizon
), counted as (
    select as_of_date,
        count(*) filter (is_active) as active,
        count(*) filter (was_active) as active_before,
        count(*) filter (is_active and is_new) as new,
        count(*) filter (is_active and was_active) as retained,
        count(*) filter (is_active and not was_active and not is_new) as resurrected,
        count(*) filter (was_active and not is_active) as churned
    from seen
    group by as_of_date
), origins as (
    select d.as_of_date, sum(m.simulated_events) / nullif(sum(m.events), 0) as simulated_event_share
    from as_of d join state_merchant_days m on m.business_date between d.as_of_date - 55 and d.as_of_date
    where $merchant_id::varchar is null or m.merchant_id = $merchant_id::varchar
    group by d.as_of_date
)
select as_of_date, coalesce(active, 0) as active, coalesce(active_before, 0) as active_before,
    coalesce(new, 0) as new, coalesce(retained, 0) as retained, coalesce(resurrected, 0) as resurrected,
    coalesce(churned, 0) as churned,
    round((new + resurrected) / nullif(churned, 0), 3) as quick_ratio,
    round(simulated_event_share, 4) as simulated_event_share
from as_of left join counted using (as_of_date) left join origins using (as_of_date)
order by as_of_date
