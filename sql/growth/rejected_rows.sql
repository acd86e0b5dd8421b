-- Question: Which rows are refused, why, and since when?
-- Grain: one row for each stream and reason
-- Parameters:
--   stream VARCHAR = none: only this stream
--   days INTEGER = 28: closes of so many days up to the last one
-- Run: ccare sql rejected_rows --param stream=payments
-- Plot: bar x=reason y=rows by=stream
--
-- A row with two reasons counts under each. The rows themselves: ccare rejected --reason R.
select stream, reason, count(*) as rows, count(distinct merchant_id) as merchants,
    coalesce(sum(amount_fen), 0)::bigint as amount_fen, count(distinct file_sha256) as files,
    min(delivery_date) as first_delivery, max(delivery_date) as last_delivery
from (select *, unnest(reasons) as reason from core_rejected_events), snapshot
where taken_on > business_date - $days::integer and ($stream::varchar is null or stream = $stream::varchar)
group by stream, reason
order by rows desc, stream, reason
