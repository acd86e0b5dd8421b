-- Question: By how many percent does traffic raise trades, new users, new payers and net sales in each slot?
-- Grain: one row for each slot (and all), programme (and all) and outcome
-- Parameters:
--   days INTEGER = 28: window up to the last closed day
--   source VARCHAR = points {points, free, paid}: what pays for the traffic
--   merchant_id VARCHAR = none: only this merchant
--   outcome VARCHAR = none {orders, new_users, new_payers, net_gmv_fen}: only this outcome
-- Run: ccare sql loop_lift --param outcome=orders
-- Plot: bar x=slot y=lift_percent by=outcome
--
-- Treated against withheld hours of the same merchant, slot and day, joined over all of them as Mantel and Haenszel do.
-- low and high bound lift_percent at 90 %: on the log of the ratio, by the spread between merchants where there are
-- thirty or more (clusters = merchants), else between merchant-days, from five of them on. null where an arm has no hour
-- or nothing happened.
select e.slot, e.programme, e.outcome, e.merchants, e.clusters, round(e.treated_hours, 1) as treated_hours,
    round(e.holdout_hours, 1) as holdout_hours, round(e.treated_an_hour, 4) as treated_an_hour,
    round(e.holdout_an_hour, 4) as holdout_an_hour, round(e.lift_percent, 2) as lift_percent,
    round(e.lift_low, 2) as low, round(e.lift_high, 2) as high
-- Scalars: with columns of snapshot no scan knows its dates.
from loop_estimates((select business_date - $days::integer from snapshot), (select business_date from snapshot),
    $source::varchar, $merchant_id::varchar) e
where $outcome::varchar is null or e.outcome = $outcome::varchar
order by e.slot = 'all', e.slot, e.programme = 'all', e.programme, e.outcome
