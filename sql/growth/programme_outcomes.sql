-- Question: What did each rule of each programme grant, and what did it refuse or cut, and why?
-- Grain: one row for each programme, rule, asset and outcome
-- Parameters:
--   programme VARCHAR = none: only this programme
-- Run: ccare sql programme_outcomes --param programme=luoma
-- Plot: bar x=outcome y=amount by=programme
--
-- granted is what was ever granted, whatever was given back since. The other outcomes are reasons of ledger_refusals;
-- a key that closes looked at again counts as the last of them told.
with told as (
    select programme, rule, asset, reason as outcome, coalesce(merchant_id, service_provider_id) as party,
        business_key, amount
    from ledger_refusals
    qualify decided_on = max(decided_on) over (partition by business_key)
), outcomes as (
    select programme, rule, asset, 'granted' as outcome, coalesce(merchant_id, service_provider_id) as party,
        business_key, granted as amount
    from ledger_positions where rule <> 'funding' and granted > 0
    union all
    from told
)
select programme, rule, asset, outcome, count(distinct party) as parties, count(*) as keys,
    sum(amount)::bigint as amount
from outcomes
where $programme::varchar is null or programme = $programme::varchar
group by programme, rule, asset, outcome
order by programme, rule, asset, outcome <> 'granted', outcome
