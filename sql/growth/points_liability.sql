-- Question: How many points are still owed, by programme and by how long ago they were earned?
-- Grain: one row for each programme, asset and age of the lots on the last closed day
-- Parameters:
--   programme VARCHAR = none: only this programme
--   expiring_days INTEGER = 30: expiring counts what lapses within so many days
-- Run: ccare sql points_liability --param programme=fanxing
-- Plot: bar x=age y=liability by=programme
--
-- granted = pending + active + reserved + redeemed + expired + taken; liability = pending + active + reserved.
-- debt is what is owed back for points that were spent and then fell; it is not taken off the liability.
with today as (
    select business_date as day from snapshot
), lots as (
    select programme, asset, date_diff('day', effective_date, day) as age_days,
        coalesce(merchant_id, service_provider_id) as party,
        amount, pending, active, reserved, redeemed, expired, taken, 0 as debt,
        case when expires_on between day and day + $expiring_days::integer then pending + active else 0 end
            as expiring
    from ledger_lots, today
), debts as (
    select programme, asset, date_diff('day', effective_date, day) as age_days,
        coalesce(merchant_id, service_provider_id), 0, 0, 0, 0, 0, 0, 0, debt, 0
    from ledger_positions, today
    where debt > 0
), aged as (
    select *, case when age_days < 7 then 1 when age_days < 30 then 2 when age_days < 90 then 3
        when age_days < 180 then 4 else 5 end as bucket
    from (from lots union all from debts)
    where $programme::varchar is null or programme = $programme::varchar
)
select programme, asset,
    ['0-6 days', '7-29 days', '30-89 days', '90-179 days', '180 days and more'][bucket] as age,
    count(distinct party) as parties,
    sum(amount)::bigint as granted, sum(pending)::bigint as pending, sum(active)::bigint as active,
    sum(reserved)::bigint as reserved, sum(redeemed)::bigint as redeemed, sum(expired)::bigint as expired,
    sum(taken)::bigint as taken, sum(pending + active + reserved)::bigint as liability,
    sum(expiring)::bigint as expiring, sum(debt)::bigint as debt
from aged
group by programme, asset, bucket
order by programme, asset, bucket
