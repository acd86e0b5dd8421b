-- Question: Whose total score moved most between two as-of days, and which driver did it?
-- Grain: one row for each merchant that has a total on both days
-- Parameters:
--   from_day DATE = none: earlier as-of day; none: a week before to_day, or the first published
--   to_day DATE = none: later as-of day; none: the last published
--   direction VARCHAR = both {up, down, both}: which movers
--   top INTEGER = 20: how many merchants
-- Run: ccare sql score_movers --param from_day=2017-12-24 --param direction=down --param top=10
-- Plot: bar x=merchant_id y=change
--
-- driver: the metric whose contribution moved furthest in the direction of the total; driver_change counts
-- points of its own dimension. Where policy_changed or peers_changed is true the yardstick moved as well.
with until as (
    select max(as_of_date) as day from score_merchants
    where as_of_date <= coalesce($to_day::date, date '9999-12-31')
), since as (
    select coalesce(
        max(as_of_date) filter (as_of_date <= coalesce($from_day::date, until.day - 7)), min(as_of_date)) as day
    from score_merchants, until
), moved as (
    select b.merchant_id, since.day as from_day, until.day as to_day,
        a.total_score as total_from, b.total_score as total_to, round(b.total_score - a.total_score, 1) as change,
        round(b.scale_score - a.scale_score, 1) as scale_change,
        round(b.activity_score - a.activity_score, 1) as activity_change,
        round(b.potential_score - a.potential_score, 1) as potential_change,
        round(b.efficiency_score - a.efficiency_score, 1) as efficiency_change,
        a.policy_version is distinct from b.policy_version as policy_changed,
        a.peer_group is distinct from b.peer_group as peers_changed
    from since, until
    join score_merchants a on a.as_of_date = since.day
    join score_merchants b on b.as_of_date = until.day and b.merchant_id = a.merchant_id
    where a.total_score is not null and b.total_score is not null and since.day < until.day
), chosen as (
    from moved
    where case $direction::varchar when 'up' then change > 0 when 'down' then change < 0 else change <> 0 end
    order by abs(change) desc, merchant_id
    limit $top::integer
), drivers as (
    select c.merchant_id, b.metric_id, b.dimension, a.value as value_from, b.value as value_to,
        b.contribution - coalesce(a.contribution, 0) as moved_by,
        row_number() over (partition by c.merchant_id
            order by sign(c.change) * (b.contribution - coalesce(a.contribution, 0)) desc, b.metric_id) as place
    from chosen c
    join score_drivers b on b.merchant_id = c.merchant_id and b.as_of_date = c.to_day
    left join score_drivers a
        on a.merchant_id = c.merchant_id and a.as_of_date = c.from_day and a.metric_id = b.metric_id
)
select c.merchant_id, m.name, m.industry, c.from_day, c.to_day, c.total_from, c.total_to, c.change,
    c.scale_change, c.activity_change, c.potential_change, c.efficiency_change,
    d.metric_id as driver, d.dimension as driver_dimension, round(d.moved_by, 2) as driver_change,
    d.value_from, d.value_to, c.policy_changed, c.peers_changed
from chosen c
left join drivers d on d.merchant_id = c.merchant_id and d.place = 1
left join core_merchants m on m.merchant_id = c.merchant_id and m.valid_from <= c.to_day
    and (m.valid_to is null or m.valid_to >= c.to_day)
order by abs(c.change) desc, c.merchant_id
