-- Question: What does traffic that points pay for bring, against hours in which it was held back?
-- Grain: one row for each slot with treated or held-back hours, and all of them together
-- Parameters:
--   merchant_id VARCHAR = none: only this merchant
--   days INTEGER = 28: window up to the last closed day
--   source VARCHAR = points {points, free, paid}: what pays for the traffic
--   price INTEGER = 100: points for 1,000 impressions
-- Run: ccare sql slot_lift --param days=56
-- Plot: bar x=slot y=lift_per_1000
--
-- lift_per_1000: trades paid at the merchant in its treated hours per 1,000 impressions, less those in its holdout
-- hours per 1,000 opportunities. low and high bound it at 90 %, from the spread over merchant-days (linearised
-- ratio estimator); null with fewer than two merchant-days in an arm. An hour of two slots counts in both.
with span as (
    select business_date as until, business_date - $days::integer as since from snapshot
), hours as (
    select merchant_id, business_date, slot, arm, date_trunc('hour', occurred_at) as hour,
        sum(impressions) as shown, sum(clicks) as clicks
    from core_traffic_hours, span
    where event_type = 'delivered' and source = $source::varchar
        and business_date > since and business_date <= until
        and ($merchant_id::varchar is null or merchant_id = $merchant_id::varchar)
    group by all
), trades as (
    select merchant_id, date_trunc('hour', occurred_at) as hour, count(*) as orders
    from core_payments semi join hours using (merchant_id), span
    where event_type = 'paid' and business_date > since and business_date <= until
    group by all
), told as (
    select h.*, coalesce(t.orders, 0) as orders
    from hours h left join trades t using (merchant_id, hour)
), blocks as (
    select if(grouping(slot) = 1, 'all', slot) as slot, grouping(slot) as is_all, merchant_id, business_date,
        coalesce(sum(shown) filter (arm = 'treated'), 0) as shown_t,
        coalesce(sum(orders) filter (arm = 'treated'), 0) as orders_t,
        coalesce(sum(shown) filter (arm = 'holdout'), 0) as shown_h,
        coalesce(sum(orders) filter (arm = 'holdout'), 0) as orders_h,
        coalesce(sum(clicks) filter (arm = 'treated'), 0) as clicks
    from told
    group by grouping sets ((slot, merchant_id, business_date), (merchant_id, business_date))
), sums as (
    select slot, is_all, sum(shown_t) as shown_t, sum(orders_t) as orders_t, sum(shown_h) as shown_h,
        sum(orders_h) as orders_h, sum(clicks) as clicks,
        count(*) filter (shown_t > 0) as days_t, count(*) filter (shown_h > 0) as days_h
    from blocks group by slot, is_all
), spread as (
    select b.slot, sqrt(sum(pow(
        coalesce((b.orders_t - s.orders_t / nullif(s.shown_t, 0) * b.shown_t) / nullif(s.shown_t, 0), 0)
        - coalesce((b.orders_h - s.orders_h / nullif(s.shown_h, 0) * b.shown_h) / nullif(s.shown_h, 0), 0), 2)))
        as error
    from blocks b join sums s using (slot)
    group by b.slot
), rates as (
    select s.*, 1000 * orders_t / nullif(shown_t, 0) as treated, 1000 * orders_h / nullif(shown_h, 0) as held,
        case when days_t >= 2 and days_h >= 2 then 1000 * 1.6448536 * error end as width
    from sums s join spread using (slot)
)
select slot, days_t as treated_days, days_h as holdout_days, shown_t::bigint as impressions,
    clicks::bigint as clicks, orders_t::bigint as orders_treated, shown_h::bigint as opportunities_held,
    orders_h::bigint as orders_holdout, round(treated, 4) as treated_per_1000, round(held, 4) as holdout_per_1000,
    round(treated - held, 4) as lift_per_1000, round(treated - held - width, 4) as low,
    round(treated - held + width, 4) as high,
    if($source::varchar = 'points', round(shown_t * $price::integer / 1000)::bigint, 0) as points
from rates
order by is_all, slot
