-- Question: How are the scores spread, and how were they a week before?
-- Grain: one row for each band of ten points
-- Parameters:
--   dimension VARCHAR = total {total, scale, activity, potential, efficiency}: whose scores
--   industry VARCHAR = none: only this industry
--   day DATE = none: as-of day; none: the last published
-- Run: ccare sql score_distribution --param dimension=activity
-- Plot: bar x=band y=merchants
--
-- merchants_before are of the as-of day a week before, or the first published where there is none.
with until as (
    select max(as_of_date) as day from score_merchants
    where as_of_date <= coalesce($day::date, date '9999-12-31')
), since as (
    select coalesce(max(as_of_date) filter (as_of_date <= day - 7), min(as_of_date)) as day
    from score_merchants, until
), scores as (
    select s.as_of_date, case $dimension::varchar when 'scale' then scale_score when 'activity' then activity_score
        when 'potential' then potential_score when 'efficiency' then efficiency_score
        when 'total' then total_score end as score
    from score_merchants s
    left join merchants_current c using (merchant_id)
    where $industry::varchar is null or c.industry = $industry::varchar
), banded as (
    select least(9, floor(score / 10))::bigint as place, as_of_date from scores where score is not null
), places as (
    select unnest(range(10)) as place from until where day is not null
)
select concat(10 * place, '-', 10 * place + 10) as band,
    count(*) filter (as_of_date = until.day) as merchants,
    count(*) filter (as_of_date = since.day) as merchants_before,
    count(*) filter (as_of_date = until.day) - count(*) filter (as_of_date = since.day) as change
from places left join banded using (place), until, since
group by place
order by place
