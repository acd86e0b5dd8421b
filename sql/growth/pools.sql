-- Question: How much is left in each pool, and how long does it last?
-- Grain: one row for each pool and asset
-- Parameters:
--   days INTEGER = 7: what is granted a day is told from the last so many closed days
-- Run: ccare sql pools --param days=28
-- Plot: bar x=pool y=available,receivable
--
-- available = funded + returned - granted; receivable is what merchants owe it. days_left at the recent pace.
with moves as (
    -- A pool's own name may hold a colon (resource_pack:traffic): its part is the last word.
    select regexp_extract(account, '^pool:(.*):[^:]*$', 1) as pool, split_part(account, ':', -1) as part, asset, code,
        amount, booked_date, other
    from (
        select credit_account as account, debit_account as other, asset, code, amount, booked_date
        from ledger_transfers
        union all
        select debit_account, credit_account, asset, code, -amount, booked_date from ledger_transfers
    )
    where account like 'pool:%'
), sums as (
    select pool, asset,
        coalesce(sum(amount) filter (part = 'available' and other like 'world:%'), 0)::bigint as funded,
        coalesce(-sum(amount) filter (part = 'available' and amount < 0 and other not like 'world:%'), 0)::bigint
            as granted,
        coalesce(sum(amount) filter (part = 'available' and amount > 0 and other not like 'world:%'), 0)::bigint
            as returned,
        coalesce(sum(amount) filter (part = 'available'), 0)::bigint as available,
        coalesce(sum(amount) filter (part = 'receivable'), 0)::bigint as receivable,
        coalesce(-sum(amount) filter (part = 'available' and amount < 0 and other not like 'world:%'
            and booked_date > business_date - $days::integer), 0)::bigint as granted_lately
    from moves, snapshot
    group by pool, asset
)
select pool, asset, funded, granted, returned, available, receivable,
    round(available / nullif(funded, 0), 4) as left_share, granted_lately,
    floor(available * $days::integer / nullif(granted_lately, 0))::bigint as days_left
from sums
order by pool, asset
