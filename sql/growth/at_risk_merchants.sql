-- Question: Which merchants are losing their users, and how much trade stands behind them?
-- Grain: one row for each merchant whose active users fell by the share asked or more
-- Parameters:
--   fall DOUBLE = 0.2: least fall of active users against the 28 days before, as a share
--   min_active INTEGER = 10: least active users in the 28 days before
--   industry VARCHAR = none: only this industry
--   top INTEGER = 20: how many, most trade at stake first
-- Run: ccare sql at_risk_merchants --param fall=0.3 --param top=50
-- Plot: bar x=merchant_id y=gmv_before_fen
--
-- at_risk_share: users active in the 28 days before and not since, of all users known.
with as_of as (
    select max(as_of_date) as day from metric_merchants
), active as (
    select m.merchant_id, m.as_of_date, m.c_mau28 as active,
        m.c_growth_retained + m.c_growth_churned as active_before
    from metric_merchants m join as_of on m.as_of_date = day
), trade as (
    select merchant_id,
        coalesce(sum(gmv_fen) filter (business_date > day - 28), 0)::bigint as gmv_fen,
        coalesce(sum(gmv_fen) filter (business_date <= day - 28), 0)::bigint as gmv_before_fen
    from state_merchant_days join as_of on business_date between day - 55 and day
    group by merchant_id
), stages as (
    select merchant_id, sum(users) filter (stage = 'at_risk') / nullif(sum(users), 0) as at_risk_share
    from metric_stages join as_of on as_of_date = day
    group by merchant_id
)
select a.merchant_id, c.name, c.industry, c.service_provider_id, a.as_of_date, a.active_before, a.active,
    round(a.active / a.active_before - 1, 4) as change, round(s.at_risk_share, 4) as at_risk_share,
    coalesce(t.gmv_before_fen, 0) as gmv_before_fen, coalesce(t.gmv_fen, 0) as gmv_fen, r.total_score
from active a
left join merchants_current c using (merchant_id)
left join trade t using (merchant_id)
left join stages s using (merchant_id)
left join score_merchants r on r.merchant_id = a.merchant_id and r.as_of_date = a.as_of_date
where a.active_before >= $min_active::integer and a.active <= (1 - $fall::double) * a.active_before
    and ($industry::varchar is null or c.industry = $industry::varchar)
order by gmv_before_fen desc, a.merchant_id
limit $top::integer
