select merchant_id, days_28 as active_days, count(*) as users from people where days_28 > 0 group by all
