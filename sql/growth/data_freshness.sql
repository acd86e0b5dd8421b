-- Question: Is every stream delivered, how old is it, and how much of it is refused?
-- Grain: one row for each stream that ever delivered
-- Parameters:
--   days INTEGER = 7: rows are counted over the deliveries of so many days up to the last one
-- Run: ccare sql data_freshness --param days=1
-- Plot: bar x=stream y=days_behind
--
-- days_behind: delivery days that the stream lacks up to the one that the last closed day takes (a day after it).
with files as (
    select f.*, business_date + 1 as due from raw_files f, snapshot
), ends as (
    select stream, max(delivery_date) as last_delivery, max(received_at) as last_received, any_value(due) as due
    from files group by stream
)
select e.stream, e.last_delivery, greatest(0, date_diff('day', e.last_delivery, e.due)) as days_behind,
    e.last_received, count(*) as files, count(*) filter (file_status = 'refused') as files_refused,
    coalesce(sum(rows_read), 0)::bigint as rows_read, coalesce(sum(rows_accepted), 0)::bigint as accepted,
    coalesce(sum(rows_duplicate), 0)::bigint as duplicate, coalesce(sum(rows_rejected), 0)::bigint as rejected,
    round(sum(rows_rejected) / nullif(sum(rows_read), 0), 6) as rejected_share
from ends e
join files f on f.stream = e.stream and f.delivery_date > e.last_delivery - $days::integer
group by all
order by days_behind desc, e.stream
