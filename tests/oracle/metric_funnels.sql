with steps as (
    select merchant_id, user_key, if(slot in (from known_slots), slot, 'unknown') as slot,
           case when kind in ('expose', 'message_delivered') then 1
                when kind in ('message_click', 'voucher_click', 'mini_program_click') then 2
                when kind = 'order_submit' then 4 when kind = 'paid' then 5 when active then 3 else 0 end as step
    from happened where day > d() - 7
), furthest as (
    select merchant_id, slot, user_key, max(step) as step from steps where step > 0 group by all
), told as (
    select merchant_id, if(slot in (from known_slots), slot, 'unknown') as slot,
           sum(impressions)::bigint as impressions, sum(clicks)::bigint as clicks
    from traffic where business_date > d() - 7 and arm = 'treated' group by all
)
select m.merchant_id, m.slot, s.name as step, s.n::bigint as step_number, count(f.user_key) as users,
       case s.n when 1 then coalesce(any_value(t.impressions), 0)
                when 2 then coalesce(any_value(t.clicks), 0) end as traffic
from (select merchant_id, slot from furthest union select merchant_id, slot from told) m
cross join (values (1, 'impression'), (2, 'click'), (3, 'active'), (4, 'order'), (5, 'pay')) s(n, name)
left join furthest f on f.merchant_id = m.merchant_id and f.slot = m.slot and f.step >= s.n
left join told t on t.merchant_id = m.merchant_id and t.slot = m.slot
group by m.merchant_id, m.slot, s.name, s.n
