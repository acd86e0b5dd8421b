-- Question: Which metrics hold most merchants back?
-- Grain: one row for each scored metric
-- Parameters:
--   industry VARCHAR = none: only this industry
--   day DATE = none: as-of day; none: the last published
-- Run: ccare sql weak_drivers --param industry=GROCERY
-- Plot: bar x=metric_id y=bad
--
-- points_missing: what the dimension scores of merchants with data would gain on average at place 100.
with as_of as (
    select max(as_of_date) as day from score_drivers
    where as_of_date <= coalesce($day::date, date '9999-12-31')
)
select d.metric_id, d.dimension, count(*) filter (driver_status <> 'none') as with_data,
    count(*) filter (driver_status = 'good') as good, count(*) filter (driver_status = 'watch') as watch,
    count(*) filter (driver_status = 'bad') as bad, count(*) filter (driver_status = 'none') as without_data,
    round(median(percentile) filter (driver_status <> 'none'), 1) as median_place,
    round(avg(weight * (100 - percentile)) filter (driver_status <> 'none'), 1) as points_missing
from score_drivers d
join as_of on d.as_of_date = day
left join merchants_current c using (merchant_id)
where $industry::varchar is null or c.industry = $industry::varchar
group by d.metric_id, d.dimension
order by bad desc, d.metric_id
