"""How the metrics of merchants are counted from their rows: the queries of ccare.scoring.remeasure, one row a merchant.

``PEOPLE`` makes tables of what users did by a day, from taken, staff and left_out; the others count them and money,
vouchers and traffic. $day: the as-of day; $known: rows taken later are not known.
"""

PEOPLE = """
create or replace temp table done as
select *, case stream
    when 'core_payments' then kind = 'paid'
    when 'core_voucher_events' then kind in ('received', 'used')
    when 'core_life_account_events' then kind not in ('expose', 'unfollow')
    else kind in ('launch', 'item_view', 'order_submit', 'message_click', 'share', 'collect', 'subscribe',
                  'member_join') or (kind = 'page_view' and coalesce(stay_ms, 1000) >= 1000) end as active,
    case when stream = 'core_life_account_events' and kind in ('follow', 'unfollow') then 'follow'
         when stream <> 'core_mini_program_events' then null
         when kind in ('collect', 'uncollect') then 'collect'
         when kind in ('member_join', 'member_leave') then 'member'
         when kind in ('subscribe', 'refuse') then 'subscription' end as relation
from taken anti join left_out using (stream, event_id) where taken_on <= $known;

create or replace temp table customer_days as
select merchant_id, user_key, day, bool_or(active) as active,
       bool_or(stream = 'core_payments' and kind = 'paid') as paid,
       bool_or(stream = 'core_life_account_events' and kind = 'view') as viewed,
       bool_or(stream = 'core_life_account_events' and kind in ('like', 'comment', 'share')) as engaged,
       bool_or((stream = 'core_life_account_events' and kind in ('mini_program_click', 'voucher_click'))
               or (stream = 'core_mini_program_events' and kind = 'launch' and slot = 'life_channel')) as served,
       bool_or(kind = 'message_delivered') as delivered, bool_or(kind = 'message_click') as clicked
from done anti join staff
    on staff.merchant_id = done.merchant_id and staff.user_key = done.user_key and staff.taken_on <= $known
where user_key is not null group by merchant_id, user_key, day;

create or replace temp table customers as
select merchant_id, user_key, min(day) filter (active) as came, min(day) filter (paid) as bought,
       count(*) filter (active and day > $day::date - 28) as days_now,
       count(*) filter (active and day between $day::date - 55 and $day::date - 28) as days_before,
       count(*) filter (paid and day > $day::date - 28) as paid_now,
       count(*) filter (paid and day > $day::date - 90) as paid_90,
       bool_or(viewed and day > $day::date - 28) as viewed,
       bool_or(engaged and day > $day::date - 28) as engaged,
       bool_or(served and day > $day::date - 28) as served,
       bool_or(delivered and day > $day::date - 28) as delivered,
       bool_or(clicked and day > $day::date - 28) as clicked
from customer_days group by merchant_id, user_key;

create or replace temp table turns as
select merchant_id, user_key, relation, day,
       kind in ('follow', 'collect', 'member_join', 'subscribe') as turned_on,
       row_number() over (partition by merchant_id, user_key, relation
                          order by occurred_at desc, event_id desc) as from_last,
       row_number() over (partition by merchant_id, user_key, relation, day <= $day::date - 28
                          order by occurred_at desc, event_id desc) as from_last_of_part
from done anti join staff
    on staff.merchant_id = done.merchant_id and staff.user_key = done.user_key and staff.taken_on <= $known
where user_key is not null and relation is not null;
"""
OF_PEOPLE = """
select merchant_id, count(*) filter (days_now > 0) as mau,
       count(*) filter (came > $day::date - 28) as new_users,
       count(*) filter (bought > $day::date - 28) as new_payers,
       count(*) filter (days_now > 0 and days_before > 0) as kept,
       count(*) filter (days_now > 0 and days_before = 0 and came <= $day::date - 28) as back_again,
       count(*) filter (days_now = 0 and days_before > 0) as lost,
       count(*) filter (days_before > 0) as before,
       coalesce(sum(days_now), 0)::bigint as active_days,
       count(*) filter (paid_now > 0) as payers,
       count(*) filter (paid_90 > 0) as payers_90, count(*) filter (paid_90 > 1) as repeaters_90,
       count(*) filter (viewed) as viewers, count(*) filter (viewed and engaged) as engaged,
       count(*) filter (viewed and served) as served,
       count(*) filter (delivered) as delivered, count(*) filter (delivered and clicked) as clicked
from customers group by merchant_id
"""
RETAINED = """
select c.merchant_id, count(*) as cohort, count(d.day) as kept
from customers c left join customer_days d
    on d.merchant_id = c.merchant_id and d.user_key = c.user_key and d.active and d.day = c.came + $age::integer
where c.came between $day::date - $age::integer - 27 and $day::date - $age::integer group by c.merchant_id
"""
REACH = """
select merchant_id, count(distinct user_key) filter (from_last = 1 and turned_on) as now,
       count(distinct user_key) filter (day <= $day::date - 28 and from_last_of_part = 1 and turned_on) as before,
       count(*) filter (from_last = 1 and not turned_on and day > $day::date - 56) as turned_off
from turns group by merchant_id
"""
MONEY = """
select merchant_id, coalesce(sum(amount_fen) filter (paid and recent), 0)::bigint as gmv,
       count(*) filter (paid and recent) as orders,
       coalesce(sum(amount_fen) filter (not paid and recent), 0)::bigint as given_back,
       coalesce(sum(merchant_discount_fen) filter (paid and recent), 0)::bigint as discount,
       coalesce(sum(amount_fen) filter (paid and recent and slot in ('private', 'offline_scan')), 0)::bigint as private,
       coalesce(sum(amount_fen) filter (paid and recent and slot <> 'unknown'), 0)::bigint as slotted,
       count(*) filter (paid and recent and slot in (from public)) as public_orders,
       coalesce(sum(amount_fen) filter (paid and ripe), 0)::bigint as ripe_gmv,
       count(*) filter (paid and ripe) as ripe_orders,
       coalesce(sum(amount_fen) filter (not paid and (merchant_id, trade_no) in (
           select (merchant_id, trade_no) from done where stream = 'core_payments' and kind = 'paid'
              and day between $day::date - 42 and $day::date - 15)), 0)::bigint as ripe_refunds
from (select *, kind = 'paid' as paid, day > $day::date - 28 as recent,
             day between $day::date - 42 and $day::date - 15 as ripe from done where stream = 'core_payments')
group by merchant_id
"""
EVENTS_56 = """
select merchant_id, count(*) as events from done where active and day > $day::date - 56 group by merchant_id
"""
VOUCHERS = """
select merchant_id, count(*) as received, count(*) filter (used) as used from (
    select merchant_id, voucher_code,
           arg_max(kind = 'used', (occurred_at, event_id)) filter (kind in ('used', 'unused')) as used
    from done where stream = 'core_voucher_events' and day > $day::date - 56 group by merchant_id, voucher_code
    having bool_or(kind = 'received' and day <= $day::date - 28)) group by merchant_id
"""
SHOWN = """
select merchant_id, coalesce(sum(impressions) filter (slot in (from public)), 0)::bigint as impressions,
       coalesce(sum(impressions * thousandths) filter (source = 'points'), 0)::bigint as thousandths
from shown left join prices using (counts_from, slot)
where day > $day::date - 28 and taken_on <= $known and arm <> 'holdout'
  and event_id not in (select event_id from left_out where stream = 'core_traffic_hours')
group by merchant_id
"""
