-- Question: What does each programme ask for, grant and take back month by month, and what does that cost?
-- Grain: one row for each programme, asset and month of the effective date
-- Parameters:
--   programme VARCHAR = none: only this programme
--   point_cost_fen INTEGER = 1: what a point costs, in fen
--   impression_price INTEGER = 100: points that 1,000 impressions are worth
-- Run: ccare sql programme_cost --param programme=fanxing
-- Plot: bar x=month y=net by=programme
--
-- net = granted less what was given back; redeemed, expired and outstanding are of the lots of the same month.
-- cost_fen is net at the prices asked: fen as they are, impressions through points. What traffic for points brings
-- is slot_lift.
with positions as (
    select programme, asset, date_trunc('month', effective_date)::date as month,
        count(distinct coalesce(merchant_id, service_provider_id)) as parties,
        sum(asked)::bigint as asked, sum(granted)::bigint as granted,
        sum(cut_by_pool)::bigint as cut_by_pool, sum(net)::bigint as net, sum(debt)::bigint as debt
    from ledger_positions
    where rule <> 'funding' and ($programme::varchar is null or programme = $programme::varchar)
    group by all
), lots as (
    select programme, asset, date_trunc('month', effective_date)::date as month,
        sum(redeemed)::bigint as redeemed, sum(expired)::bigint as expired,
        sum(pending + active + reserved)::bigint as outstanding
    from ledger_lots group by all
)
select programme, asset, month, parties, asked, granted, cut_by_pool, net,
    coalesce(redeemed, 0) as redeemed, coalesce(expired, 0) as expired, coalesce(outstanding, 0) as outstanding,
    debt, case asset when 'FEN' then net when 'POINT' then net * $point_cost_fen::integer
        else net * $impression_price::integer * $point_cost_fen::integer // 1000 end as cost_fen
from positions left join lots using (programme, asset, month)
order by programme, asset, month
