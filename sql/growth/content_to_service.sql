-- Question: Which content brings its viewers on to a service, and which is only looked at?
-- Grain: one row for each content type, and all of them together
-- Parameters:
--   merchant_id VARCHAR = none: only this merchant
--   days INTEGER = 28: window up to the last closed day
-- Run: ccare sql content_to_service --param merchant_id=m1
-- Plot: bar x=content_type y=to_service_rate
--
-- A viewer counts as gone on to a service with a mini_program_click, a voucher_click or a launch from the life
-- channel in the window, whatever they viewed; engaged with a like, comment or share. In 28 days the row "all"
-- is a_content_to_service and a_engagement_rate added up over merchants.
with span as (
    select business_date as until, business_date - $days::integer as since from snapshot
), acts as (
    select l.merchant_id, l.user_key, l.event_type, coalesce(l.content_type, 'not told') as content_type
    from core_life_account_events l
    join span on l.business_date > since and l.business_date <= until
    where l.user_key is not null
        and ($merchant_id::varchar is null or l.merchant_id = $merchant_id::varchar)
        and not exists (from core_staff s where s.merchant_id = l.merchant_id and s.user_key = l.user_key)
), launched as (
    select distinct g.merchant_id, g.user_key
    from core_mini_program_events g
    join span on g.business_date > since and g.business_date <= until
    where g.event_type = 'launch' and g.slot = 'life_channel' and g.user_key is not null
), viewers as (
    select distinct merchant_id, user_key, content_type from acts where event_type = 'view'
), went_on as (
    select merchant_id, user_key from acts where event_type in ('mini_program_click', 'voucher_click')
    union
    from launched
), engaged as (
    select distinct merchant_id, user_key from acts where event_type in ('like', 'comment', 'share')
), judged as (
    select v.*, w.user_key is not null as has_gone_on, e.user_key is not null as has_engaged
    from viewers v
    left join went_on w using (merchant_id, user_key)
    left join engaged e using (merchant_id, user_key)
), counted as (
    select if(grouping(content_type) = 1, 'all', content_type) as content_type,
        count(distinct (merchant_id, user_key)) as viewers,
        count(distinct (merchant_id, user_key)) filter (has_engaged) as engaged,
        count(distinct (merchant_id, user_key)) filter (has_gone_on) as to_service
    from judged
    group by grouping sets ((content_type), ())
)
select content_type, viewers, engaged, to_service,
    round(engaged / viewers, 4) as engagement_rate, round(to_service / viewers, 4) as to_service_rate
from counted
where viewers > 0
order by content_type = 'all', viewers desc, content_type
