-- Question: Which merchants lose points soon if they do not use them?
-- Grain: one row for each merchant, programme, asset and expiry date
-- Parameters:
--   days INTEGER = 30: what lapses within so many days of the last closed one
--   merchant_id VARCHAR = none: only this merchant
--   top INTEGER = 50: how many, largest amounts first
-- Run: ccare sql expiring_points --param days=7
-- Plot: bar x=expires_on y=expiring by=programme
--
-- Points can be used through expires_on. Pending ones become active before they expire; reserved ones do not lapse.
select l.merchant_id, m.name, l.programme, l.asset, l.expires_on,
    date_diff('day', business_date, l.expires_on) as days_left,
    sum(l.active)::bigint as active, sum(l.pending)::bigint as pending,
    sum(l.active + l.pending)::bigint as expiring
from ledger_lots l
join snapshot on l.expires_on between business_date and business_date + $days::integer
left join merchants_current m using (merchant_id)
where l.merchant_id is not null and l.active + l.pending > 0 and ($merchant_id::varchar is null or l.merchant_id = $merchant_id::varchar)
group by all
order by expiring desc, expires_on, l.merchant_id, programme
limit $top::integer
