-- Question: How much traffic does each slot bring, who pays for it, and how many trades name the slot?
-- Grain: one row for each slot and what pays for its traffic
-- Parameters:
--   merchant_id VARCHAR = none: only this merchant
--   days INTEGER = 28: window up to the last closed day
-- Run: ccare sql slot_traffic --param merchant_id=m1
-- Plot: bar x=slot y=impressions by=source
--
-- held_out are opportunities of holdout hours, not shown to anyone. Trades name a slot, not what paid for it: they
-- stand beside every source of the slot. source none: trades in a slot without traffic.
with span as (
    select business_date as until, business_date - $days::integer as since from snapshot
), traffic as (
    select slot, source, coalesce(sum(impressions) filter (arm = 'treated'), 0)::bigint as impressions,
        coalesce(sum(clicks) filter (arm = 'treated'), 0)::bigint as clicks,
        coalesce(sum(impressions) filter (arm = 'holdout'), 0)::bigint as held_out,
        count(distinct merchant_id) as merchants
    from core_traffic_hours, span
    where business_date > since and business_date <= until
        and ($merchant_id::varchar is null or merchant_id = $merchant_id::varchar)
    group by slot, source
), trades as (
    select slot, count(*) as orders, sum(amount_fen)::bigint as gmv_fen
    from core_payments, span
    where event_type = 'paid' and business_date > since and business_date <= until
        and ($merchant_id::varchar is null or merchant_id = $merchant_id::varchar)
    group by slot
)
select slot, coalesce(source, 'none') as source, coalesce(impressions, 0) as impressions,
    coalesce(clicks, 0) as clicks, round(clicks / nullif(impressions, 0), 4) as click_rate,
    coalesce(held_out, 0) as held_out, coalesce(merchants, 0) as merchants,
    coalesce(orders, 0) as orders_of_slot, coalesce(gmv_fen, 0) as gmv_of_slot_fen
from traffic full join trades using (slot)
order by impressions desc, slot, source
