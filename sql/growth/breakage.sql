-- Question: Of what matured in each month, how much was used, how much lapsed unused, and how much can still go either way?
-- Grain: one row for each programme, asset and month in which lots mature
-- Parameters:
--   programme VARCHAR = none: only this programme
-- Run: ccare sql breakage --param programme=fanxing
-- Plot: line x=month y=breakage_rate by=programme
--
-- granted = redeemed + expired + taken + outstanding. kept = granted - taken: what merchants could have used.
-- breakage_rate = expired / (redeemed + expired) of lots past their last day, null where none is. A report, not an
-- estimate: nothing is forecast about lots that are still open.
with lots as (
    select programme, asset, date_trunc('month', matures_on)::date as month, amount, redeemed, expired, taken,
        pending + active + reserved as outstanding, expires_on < business_date as is_over
    from ledger_lots, snapshot
    where $programme::varchar is null or programme = $programme::varchar
)
select programme, asset, month, count(*) as lots, sum(amount)::bigint as granted, sum(taken)::bigint as taken,
    sum(amount - taken)::bigint as kept, sum(redeemed)::bigint as redeemed, sum(expired)::bigint as expired,
    sum(outstanding)::bigint as outstanding,
    round(sum(expired) filter (is_over) / nullif(sum(redeemed + expired) filter (is_over), 0), 4) as breakage_rate
from lots
group by programme, asset, month
order by programme, asset, month
