-- Question: Points to impressions to clicks to new users to money: what did each slot and programme bring, at what cost?
-- Grain: one row for each slot and programme, each slot in all, and everything
-- Parameters:
--   days INTEGER = 28: window up to the last closed day
--   source VARCHAR = points {points, free, paid}: what pays for the traffic
--   merchant_id VARCHAR = none: only this merchant
--   point_cost_fen INTEGER = 1: what a point costs, in fen
-- Run: ccare sql loop --param days=56
-- Plot: bar x=slot y=new_payers by=programme
--
-- new_users, new_payers and net_gmv_fen are how many more treated hours had than the same merchants' withheld hours of
-- the same day and slot would have had: not last touch. low and high bound them at 90 %. A cost per new payer has no
-- upper bound (null) where none at all lies within the interval, and no value where the estimate itself is not above 0.
-- points are what the impressions cost at the prices of their requests. What comes in a later hour is not seen.
with told as (
    -- Scalars: with columns of snapshot no scan knows its dates.
    from loop_estimates((select business_date - $days::integer from snapshot), (select business_date from snapshot),
        $source::varchar, $merchant_id::varchar)
), wide as (
    select slot, programme, any_value(merchants) as merchants, any_value(points) as points,
        any_value(shown) as impressions, any_value(clicks) as clicks,
        max(more) filter (outcome = 'new_users') as users, max(more_low) filter (outcome = 'new_users') as users_low,
        max(more_high) filter (outcome = 'new_users') as users_high,
        max(more) filter (outcome = 'new_payers') as payers, max(more_low) filter (outcome = 'new_payers') as payers_low,
        max(more_high) filter (outcome = 'new_payers') as payers_high,
        max(more) filter (outcome = 'net_gmv_fen') as gmv, max(more_low) filter (outcome = 'net_gmv_fen') as gmv_low,
        max(more_high) filter (outcome = 'net_gmv_fen') as gmv_high
    from told group by all
)
select slot, programme, merchants, round(points)::bigint as points, round(impressions)::bigint as impressions,
    round(clicks)::bigint as clicks, round(clicks / nullif(impressions, 0), 4) as click_rate,
    round(users, 1) as new_users, round(users_low, 1) as new_users_low, round(users_high, 1) as new_users_high,
    round(payers, 1) as new_payers, round(payers_low, 1) as new_payers_low, round(payers_high, 1) as new_payers_high,
    round(gmv)::bigint as net_gmv_fen, round(gmv_low)::bigint as net_gmv_low_fen,
    round(gmv_high)::bigint as net_gmv_high_fen, round(points * $point_cost_fen::integer)::bigint as cost_fen,
    case when payers > 0 then round(points * $point_cost_fen::integer / payers)::bigint end as cost_per_new_payer_fen,
    case when payers_high > 0 then round(points * $point_cost_fen::integer / payers_high)::bigint end
        as cost_per_new_payer_low_fen,
    case when payers_low > 0 then round(points * $point_cost_fen::integer / payers_low)::bigint end
        as cost_per_new_payer_high_fen
from wide
order by slot = 'all', slot, programme = 'all', programme
