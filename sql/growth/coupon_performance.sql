-- Question: Which coupon campaigns are used, what do they cost, and what is bought with them?
-- Grain: one row for each merchant and campaign activity with a voucher received in the window
-- Parameters:
--   merchant_id VARCHAR = none: only this merchant
--   from_day DATE = none: first day received on; none: the beginning
--   to_day DATE = none: last day received on; none: the last closed
--   top INTEGER = 20: how many, most vouchers received first
-- Run: ccare sql coupon_performance --param from_day=2017-11-01 --param top=10
-- Plot: bar x=activity_id y=use_rate
--
-- A voucher counts by its last change: used, or given back. Trades are those that the use or the payment names.
with received as (
    select merchant_id, voucher_code, activity_id, min(business_date) as received_on
    from core_voucher_events
    where event_type = 'received'
        and ($merchant_id::varchar is null or merchant_id = $merchant_id::varchar)
        and business_date between coalesce($from_day::date, date '0001-01-01')
            and coalesce($to_day::date, date '9999-12-31')
    group by all
), changes as (
    select merchant_id, voucher_code,
        arg_max(event_type, (occurred_at, event_id)) as last_change,
        arg_max(trade_no, (occurred_at, event_id)) as trade_no,
        arg_max(coalesce(merchant_contribute_fen, 0), (occurred_at, event_id)) as merchant_fen,
        arg_max(coalesce(platform_contribute_fen, 0), (occurred_at, event_id)) as platform_fen
    from core_voucher_events
    where event_type <> 'received'
    group by merchant_id, voucher_code
), vouchers as (
    select r.*, c.last_change, c.trade_no, c.merchant_fen, c.platform_fen
    from received r left join changes c using (merchant_id, voucher_code)
), spent as (
    from vouchers where last_change = 'used'
), trades as (
    select v.merchant_id, v.activity_id, p.trade_no, p.amount_fen
    from spent v join core_payments p using (merchant_id, trade_no) where p.event_type = 'paid'
    union
    select v.merchant_id, v.activity_id, p.trade_no, p.amount_fen
    from spent v join core_payments p using (merchant_id, voucher_code) where p.event_type = 'paid'
), bought as (
    select merchant_id, activity_id, count(*) as trades, sum(amount_fen)::bigint as gmv_fen
    from trades group by all
), counted as (
    select merchant_id, activity_id, min(received_on) as first_received, max(received_on) as last_received,
        count(*) as received, count(*) filter (last_change = 'used') as used,
        count(*) filter (last_change = 'unused') as given_back,
        count(*) filter (last_change = 'expired') as expired,
        coalesce(sum(merchant_fen) filter (last_change = 'used'), 0)::bigint as merchant_contribute_fen,
        coalesce(sum(platform_fen) filter (last_change = 'used'), 0)::bigint as platform_contribute_fen
    from vouchers group by all
)
select merchant_id, activity_id, first_received, last_received, received, used, given_back, expired,
    round(used / received, 4) as use_rate, merchant_contribute_fen, platform_contribute_fen,
    coalesce(trades, 0) as trades, coalesce(gmv_fen, 0) as gmv_fen,
    round(gmv_fen / nullif(merchant_contribute_fen + platform_contribute_fen, 0), 2) as gmv_per_fen
from counted left join bought using (merchant_id, activity_id)
order by received desc, merchant_id, activity_id
limit $top::integer
