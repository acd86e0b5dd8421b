-- Question: Do the scores drift as a whole from day to day, or only single merchants?
-- Grain: one row for each as-of day
-- Parameters:
--   days INTEGER = 28: how many of the last published as-of days; the first of them is compared with
--   industry VARCHAR = none: only this industry
-- Run: ccare sql score_drift --param days=7
-- Plot: line x=as_of_date y=p10,median,p90
--
-- psi is the population stability index over bands of ten points of the total score, against the first day shown;
-- an empty band counts as 0.0001. By the usual reading below 0.1 is calm, and from 0.25 on something has changed.
with as_of as (
    select distinct as_of_date from score_merchants order by as_of_date desc limit $days::integer
), scores as (
    select s.as_of_date, s.total_score, s.score_status
    from score_merchants s semi join as_of using (as_of_date)
    left join merchants_current c using (merchant_id)
    where $industry::varchar is null or c.industry = $industry::varchar
), banded as (
    select as_of_date, least(9, floor(total_score / 10))::bigint as place, count(*) as merchants
    from scores where total_score is not null group by all
), places as (
    select a.as_of_date, place, coalesce(merchants, 0) as merchants,
        sum(merchants) over (partition by a.as_of_date) as everyone
    from as_of a cross join (select unnest(range(10)) as place)
    left join banded b using (as_of_date, place)
), shares as (
    select as_of_date, place, greatest(merchants / nullif(everyone, 0), 0.0001) as share from places
), psi as (
    select s.as_of_date, sum((s.share - f.share) * ln(s.share / f.share)) as psi
    from shares s join shares f using (place)
    where f.as_of_date = (select min(as_of_date) from as_of)
    group by s.as_of_date
)
select as_of_date, count(*) as merchants, count(total_score) as scored,
    round(avg(total_score), 2) as mean, round(quantile_cont(total_score, 0.1), 1) as p10,
    round(median(total_score), 1) as median, round(quantile_cont(total_score, 0.9), 1) as p90,
    round(any_value(psi), 4) as psi
from scores left join psi using (as_of_date)
group by as_of_date
order by as_of_date
