-- One row for each merchant and metric that has anything to count: value of a count in num, ratios as num and den.
with scale as (
    select merchant_id, unnest([
        {id: 'c_mau28', num: count(*) filter (days_28 > 0)},
        {id: 'c_new_users', num: count(*) filter (first_active > d() - 28)},
        {id: 'c_new_payers', num: count(*) filter (first_paid > d() - 28)},
        {id: 'c_growth_new', num: count(*) filter (first_active > d() - 28)},
        {id: 'c_growth_retained', num: count(*) filter (days_28 > 0 and days_before > 0)},
        {id: 'c_growth_resurrected',
         num: count(*) filter (days_28 > 0 and days_before = 0 and first_active <= d() - 28)},
        {id: 'c_growth_churned', num: count(*) filter (days_28 = 0 and days_before > 0)},
        {id: 'r_payers', num: count(*) filter (paid_28)}
    ]) as m, null::bigint as den
    from people group by merchant_id
), counted as (
    select merchant_id, m.id as id, m.num as num, den from scale
    union all
    select merchant_id, 'c_dau', count(distinct user_key), null from active_days where day = d() group by all
    union all
    select merchant_id, 'c_wau', count(distinct user_key), null from active_days where day > d() - 7 group by all
    union all
    select merchant_id, 'c_reachable', users, null from reached_at(d())
    union all
    select merchant_id, 'c_net_reach_rate', coalesce(now.users, 0) - coalesce(old.users, 0), coalesce(old.users, 0)
    from reached_at(d()) now full join reached_at(d() - 28) old using (merchant_id)
    union all
    select merchant_id, 'c_quick_ratio',
           count(*) filter (days_28 > 0 and (first_active > d() - 28 or days_before = 0)),
           count(*) filter (days_28 = 0 and days_before > 0)
    from people group by all
), coming as (
    select merchant_id, 'a_stickiness' as id, sum(days_28)::bigint as num,
           28 * count(*) filter (days_28 > 0) as den from people group by all
    union all
    select merchant_id, 'a_l28', sum(days_28)::bigint, count(*) filter (days_28 > 0) from people group by all
    union all
    select merchant_id, 'a_return_rate', count(*) filter (days_28 > 0), count(*)
    from people where days_before > 0 group by all
    union all
    select p.merchant_id, 'a_retention_d' || n, count(a.day), count(*)
    from people p cross join (values (1), (7), (28)) ages(n)
    left join active_days a
      on a.merchant_id = p.merchant_id and a.user_key = p.user_key and a.day = p.first_active + n
    where p.first_active between d() - n - 27 and d() - n
    group by p.merchant_id, n
), did as (
    select merchant_id, user_key,
           bool_or(stream = 'life' and kind = 'view') as viewed,
           bool_or(stream = 'life' and kind in ('like', 'comment', 'share')) as engaged,
           bool_or((stream = 'life' and kind in ('mini_program_click', 'voucher_click'))
                   or (stream = 'mini' and kind = 'launch' and slot is not distinct from 'life_channel')) as served,
           bool_or(stream = 'mini' and kind = 'message_delivered') as delivered,
           bool_or(stream = 'mini' and kind = 'message_click') as clicked
    from happened where day > d() - 28 group by all
), doing as (
    select merchant_id, 'a_engagement_rate' as id, count(*) filter (engaged) as num, count(*) as den
    from did where viewed group by all
    union all
    select merchant_id, 'a_content_to_service', count(*) filter (served), count(*) from did where viewed group by all
    union all
    select merchant_id, 'a_message_click_rate', count(*) filter (clicked), count(*) from did where delivered
    group by all
    union all
    select p.merchant_id, 'a_pay_bind_rate',
           count(*) filter (exists (
               from happened h
               where h.merchant_id = p.merchant_id and h.user_key = p.user_key
                 and h.day between p.first_active and p.first_active + 7
                 and ((h.stream = 'mini' and h.kind in ('launch', 'collect', 'subscribe', 'member_join'))
                      or (h.stream = 'life' and h.kind = 'follow')))),
           count(*)
    from people p
    where p.first_active between d() - 34 and d() - 7
      and exists (from paid_days x where x.merchant_id = p.merchant_id and x.user_key = p.user_key
                                     and x.day = p.first_active)
    group by p.merchant_id
), month as (
    select merchant_id,
           coalesce(sum(amount_fen) filter (event_type = 'paid'), 0) as gmv,
           count(*) filter (event_type = 'paid') as orders,
           coalesce(sum(amount_fen) filter (event_type = 'refunded'), 0) as back,
           coalesce(sum(merchant_discount_fen) filter (event_type = 'paid'), 0) as discount,
           coalesce(sum(fee_fen) filter (event_type = 'paid'), 0) as fee,
           coalesce(sum(amount_fen) filter (event_type = 'paid' and slot in ('private', 'offline_scan')), 0) as private,
           coalesce(sum(amount_fen) filter (event_type = 'paid' and slot != 'unknown'), 0) as with_slot,
           count(*) filter (event_type = 'paid' and slot in (from public_slots)) as public_orders
    from payments where business_date > d() - 28 group by all
), shown as (
    select merchant_id, coalesce(sum(impressions) filter (slot in (from public_slots)), 0) as impressions,
           coalesce(sum(impressions * 100 * 1) filter (source = 'points'), 0) as thousandths
    from traffic where business_date > d() - 28 and arm = 'treated' group by all
), every as (
    select merchant_id, coalesce(gmv, 0) as gmv, coalesce(orders, 0) as orders, coalesce(back, 0) as back,
           coalesce(discount, 0) as discount, coalesce(fee, 0) as fee, coalesce(private, 0) as private,
           coalesce(with_slot, 0) as with_slot, coalesce(public_orders, 0) as public_orders,
           coalesce(impressions, 0) as impressions, coalesce(thousandths, 0) as thousandths,
           coalesce(mau, 0) as mau, coalesce(new_payers, 0) as new_payers
    from month full join shown using (merchant_id) full join (
        select merchant_id, count(*) filter (days_28 > 0) as mau, count(*) filter (first_paid > d() - 28) as new_payers
        from people group by all
    ) using (merchant_id)
), amounts as (
    select merchant_id, unnest([
        {id: 'r_gmv', num: gmv, den: null},
        {id: 'r_orders', num: orders, den: null},
        {id: 'r_net_gmv', num: gmv - back, den: null},
        {id: 'r_aov', num: gmv, den: orders},
        {id: 'r_arpu', num: gmv - back, den: mau},
        {id: 'e_discount_rate', num: discount, den: gmv},
        {id: 'e_fee_rate', num: fee, den: gmv},
        {id: 'e_private_share', num: private, den: with_slot},
        {id: 'e_public_conversion', num: 1000 * public_orders, den: impressions},
        {id: 'e_cost_per_new_payer', num: discount + (thousandths + 500) // 1000, den: new_payers}
    ]) as m from every
), buying as (
    select merchant_id, m.id as id, m.num::bigint as num, m.den::bigint as den from amounts
    union all
    select merchant_id, 'r_pay_conversion', count(*) filter (paid_28), count(*) filter (days_28 > 0)
    from people group by all
    union all
    select merchant_id, 'r_repurchase_90', count(*) filter (paid_days_90 >= 2), count(*)
    from people where paid_days_90 >= 1 group by all
    union all
    select p.merchant_id, 'e_refund_rate', coalesce(sum(r.back), 0)::bigint, sum(p.amount_fen)::bigint
    from payments p left join (
        select merchant_id, trade_no, sum(amount_fen) as back from payments where event_type = 'refunded' group by all
    ) r using (merchant_id, trade_no)
    where p.event_type = 'paid' and p.business_date between d() - 42 and d() - 15 group by all
    union all
    select c.merchant_id, 'r_voucher_use_rate', count(*) filter (coalesce((
               select v.event_type = 'used' from vouchers v
               where v.merchant_id = c.merchant_id and v.voucher_code = c.voucher_code
                 and v.event_type in ('used', 'unused')
                 and v.business_date >= d() - 55  -- of a code received since: an older use is of no receipt in P28
               order by v.occurred_at desc, v.event_id desc limit 1), false)), count(*)
    from (
        select distinct merchant_id, voucher_code from vouchers
        where event_type = 'received' and business_date between d() - 55 and d() - 28
    ) c group by all
), lately as (
    select merchant_id, origin, event_type = 'paid' as active from payments where business_date > d() - 56
    union all
    select merchant_id, origin, event_type in ('launch', 'item_view', 'order_submit', 'message_click', 'share',
           'collect', 'subscribe', 'member_join') or (event_type = 'page_view' and coalesce(stay_ms, 1000) >= 1000)
    from mini where business_date > d() - 56
    union all
    select merchant_id, origin, event_type in ('follow', 'view', 'like', 'comment', 'share', 'live_enter',
           'voucher_click', 'mini_program_click') from life where business_date > d() - 56
    union all
    select merchant_id, origin, event_type in ('received', 'used') from vouchers where business_date > d() - 56
    union all
    select merchant_id, origin, false from traffic where business_date > d() - 56
), left_off as (
    -- Relations that a user turned off last; turning one on is an active event already.
    from relation_changes where day <= d()
    qualify row_number() over (partition by merchant_id, user_key, relation
                               order by occurred_at desc, event_id desc) = 1
), beside as (
    select merchant_id, 'e_refund_rate_orders' as id, count(*) as num, null::bigint as den from payments
    where event_type = 'paid' and business_date between d() - 42 and d() - 15 group by all
    union all
    select merchant_id, 'events_56d', sum(n)::bigint, null from (
        select merchant_id, 1 as n from lately where active
        union all
        select merchant_id, 1 from left_off where not turned_on and day > d() - 56
    ) group by all
    union all
    select merchant_id, 'simulated_events_56d', count(*), null from lately where origin = 'simulated' group by all
    union all
    select merchant_id, 'public_kiloimpressions_28d', (impressions // 1000)::bigint, null from shown
)
from counted union all from coming union all from doing union all from buying union all from beside
