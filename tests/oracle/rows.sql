-- What is known at the close of a day, from core tables only. The table as_of holds the day (d) and the first day
-- ever closed (first_day). Written from the definitions of metrics.md; knows nothing of state or bit words.
create or replace macro d() as (select d from as_of);
create or replace view payments as from core_payments where taken_on <= d() and business_date <= d();
create or replace view mini as from core_mini_program_events where taken_on <= d() and business_date <= d();
create or replace view life as from core_life_account_events where taken_on <= d() and business_date <= d();
create or replace view vouchers as from core_voucher_events where taken_on <= d() and business_date <= d();
create or replace view traffic as from core_traffic_hours where taken_on <= d() and business_date <= d();
create or replace view staff as select distinct merchant_id, user_key from core_staff where taken_on <= d();

-- Every event that has a user who is no staff.
create or replace table happened as
with all_events as (
    select merchant_id, user_key, business_date as day, occurred_at, event_id, 'pay' as stream, event_type as kind,
           slot, event_type = 'paid' as active from payments
    union all
    select merchant_id, user_key, business_date, occurred_at, event_id, 'mini', event_type, slot,
           event_type in ('launch', 'item_view', 'order_submit', 'message_click', 'share', 'collect', 'subscribe',
                          'member_join')
           or (event_type = 'page_view' and (stay_ms is null or stay_ms >= 1000)) from mini
    union all
    select merchant_id, user_key, business_date, occurred_at, event_id, 'life', event_type, slot,
           event_type in ('follow', 'view', 'like', 'comment', 'share', 'live_enter', 'voucher_click',
                          'mini_program_click') from life
    union all
    select merchant_id, user_key, business_date, occurred_at, event_id, 'voucher', event_type, slot,
           event_type in ('received', 'used') from vouchers
)
from all_events e
where user_key is not null
  and not exists (from staff s where s.merchant_id = e.merchant_id and s.user_key = e.user_key);

create or replace view active_days as select distinct merchant_id, user_key, day from happened where active;
create or replace view paid_days as
select distinct merchant_id, user_key, day from happened where stream = 'pay' and kind = 'paid';

-- One row a user: what the growth accounting, the stages and the cohorts are about.
create or replace table people as
select merchant_id, user_key,
       min(day) filter (active) as first_active,
       min(day) filter (stream = 'pay' and kind = 'paid') as first_paid,
       count(distinct day) filter (active and day > d() - 28) as days_28,
       count(distinct day) filter (active and day > d() - 56 and day <= d() - 28) as days_before,
       count(distinct day) filter (stream = 'pay' and kind = 'paid') as paid_days,
       count(distinct day) filter (stream = 'pay' and kind = 'paid' and day > d() - 90) as paid_days_90,
       count(*) filter (stream = 'pay' and kind = 'paid' and day > d() - 28) > 0 as paid_28
from happened group by all;

-- Relations as they were at the end of a day: the last change of each wins.
create or replace table relation_changes as
select merchant_id, user_key, day, occurred_at, event_id,
       case when kind in ('follow', 'unfollow') then 'follow' when kind in ('collect', 'uncollect') then 'collect'
            when kind in ('member_join', 'member_leave') then 'member' else 'subscription' end as relation,
       kind in ('follow', 'collect', 'member_join', 'subscribe') as turned_on
from happened
where (stream = 'life' and kind in ('follow', 'unfollow'))
   or (stream = 'mini' and kind in ('collect', 'uncollect', 'member_join', 'member_leave', 'subscribe', 'refuse'));
create or replace macro reached_at(upto) as table
select merchant_id, count(distinct user_key) as users
from (
    select merchant_id, user_key, turned_on from relation_changes where day <= upto
    qualify row_number() over (partition by merchant_id, user_key, relation
                               order by occurred_at desc, event_id desc) = 1
) where turned_on group by all;
