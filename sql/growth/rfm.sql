-- Question: Who buys recently, often and for much (RFM), and how much do they bring?
-- Grain: one row for each recency, frequency and monetary fifth that some payer is in
-- Parameters:
--   merchant_id VARCHAR = none: only this merchant
--   segment VARCHAR = none: only this segment
-- Run: ccare sql rfm --param merchant_id=m1 --param segment=champions
-- Plot: heat x=frequency y=recency by=payers
--
-- 5 is best: paid last, most trades ever, most paid net of refunds ever. Equal values share a fifth. A payer of two
-- merchants counts at each; fifths are cut over the payers that are asked about. Segments by recency and
-- frequency: champions 4-5/4-5, loyal 3-5/3-5, new 4-5/1-2, at_risk 1-2/3-5, others.
with payers as (
    select merchant_id, user_key, last_paid_date, orders, gmv_fen - refund_fen as net_fen
    from state_users anti join core_staff using (merchant_id, user_key)
    where last_paid_date is not null
        and ($merchant_id::varchar is null or merchant_id = $merchant_id::varchar)
), placed as (
    select *,
        least(5, 1 + 5 * (rank() over (order by last_paid_date) - 1) // others) as recency,
        least(5, 1 + 5 * (rank() over (order by orders) - 1) // others) as frequency,
        least(5, 1 + 5 * (rank() over (order by net_fen) - 1) // others) as monetary
    from payers, (select greatest(count(*) - 1, 1) as others from payers)
), named as (
    select *, case when recency >= 4 and frequency >= 4 then 'champions'
        when recency >= 3 and frequency >= 3 then 'loyal'
        when recency >= 4 then 'new'
        when recency <= 2 and frequency >= 3 then 'at_risk'
        else 'others' end as segment
    from placed
)
select segment, recency, frequency, monetary, count(*) as payers, sum(orders)::bigint as orders,
    sum(net_fen)::bigint as net_fen,
    round(avg(date_diff('day', last_paid_date, snapshot.business_date)), 1) as days_since_paid
from named, snapshot
where $segment::varchar is null or segment = $segment::varchar
group by segment, recency, frequency, monetary
order by recency desc, frequency desc, monetary desc
