-- Question: Which service providers' merchants do best, and which ones move?
-- Grain: one row for each service provider that serves a merchant
-- Parameters:
--   min_merchants INTEGER = 1: least merchants served
--   top INTEGER = 50: how many, highest median score first
-- Run: ccare sql provider_league --param min_merchants=5
-- Plot: bar x=service_provider_id y=median_score
--
-- Merchants are those served on the last closed day. median_change is the median over them of the total score's
-- change against the as-of day a week before (the first published where there is none).
with until as (
    select max(as_of_date) as day from score_merchants
), since as (
    select coalesce(max(as_of_date) filter (as_of_date <= day - 7), min(as_of_date)) as day
    from score_merchants, until
), merchants as (
    select c.merchant_id, c.service_provider_id, now_.total_score, then_.total_score as total_before,
        m.c_mau28, m.r_gmv, m.c_new_payers
    from merchants_current c
    left join (from score_merchants join until on as_of_date = day) now_ using (merchant_id)
    left join (from score_merchants join since on as_of_date = day) then_ using (merchant_id)
    left join (from metric_merchants join until on as_of_date = day) m using (merchant_id)
    where c.service_provider_id is not null
), adopted as (
    select s.service_provider_id, count(distinct a.merchant_id) as adopters
    from core_solutions s join core_solution_adoptions a using (solution_id)
    group by s.service_provider_id
)
select m.service_provider_id, any_value(p.name) as name, count(*) as merchants,
    count(total_score) as scored, round(median(total_score), 1) as median_score,
    round(median(total_score - total_before), 1) as median_change,
    count(*) filter (total_score >= 80) as at_80_and_more,
    coalesce(sum(c_mau28), 0)::bigint as mau28, coalesce(sum(c_new_payers), 0)::bigint as new_payers,
    coalesce(sum(r_gmv), 0)::bigint as gmv_fen, coalesce(any_value(adopters), 0) as adopters
from merchants m
left join core_service_providers p using (service_provider_id)
left join adopted a using (service_provider_id)
group by m.service_provider_id
having count(*) >= $min_merchants::integer
order by median_score desc nulls last, merchants desc, m.service_provider_id
limit $top::integer
