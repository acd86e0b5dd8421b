"""What a merchant's statement is read by: queries over one published version, in the order they run."""

EXPIRING_DAYS = 30
TRAFFIC_DAYS = 28
PARTS = ("pending", "active", "reserved", "debt")
_EFFECTS = ",\n".join(
    f"case '{part}' when gained then {gain} when lost then -({gain}) else 0 end as {part}"
    for part, gain in ((part, "-amount" if part == "debt" else "amount") for part in PARTS)
)
_OWN = "'merchant:' || merchant_id || ':'"
MOVES = f"""
create or replace temp table moves as
select * exclude (gained, lost), {_EFFECTS}
from (
    select merchant_id, asset, booked_date, programme, code, reason, effective_date, matures_on, expires_on, amount,
        transfer_id, business_key, leg,
        coalesce(array_position(['fund', 'adjust', 'settle', 'void', 'fall', 'debt', 'activate', 'repay', 'expire',
                                 'reserve', 'earn'], code), 0) as step,
        if(starts_with(credit_account, {_OWN}), substr(credit_account, length({_OWN}) + 1), null) as gained,
        if(starts_with(debit_account, {_OWN}), substr(debit_account, length({_OWN}) + 1), null) as lost
    from ledger_transfers
    where merchant_id between $first and $last and booked_date <= $day
)
where gained is not null or lost is not null
"""
_SUMS = ", ".join(f"sum({part})::bigint as {part}" for part in PARTS)
# A transfer's balance is the opening one here; what moved up to it is added once the rows are in order.
STATEMENT = f"""
create or replace temp table statement as
with sums as (
    select merchant_id, asset, 'opening' as section, $start::date - 1 as day, {_SUMS}
    from moves where booked_date < $start group by all
    union all select merchant_id, asset, 'closing', $day::date, {_SUMS} from moves group by all
), opened as (
    select * from sums union all
    select merchant_id, asset, 'opening', $start::date - 1, 0, 0, 0, 0 from sums where section = 'closing'
        and (merchant_id, asset) not in (select (merchant_id, asset) from sums where section = 'opening')
), ordered as (
    select merchant_id, asset, if(section = 'opening', 1, 3) as part, section, day, null as programme,
        null as what, null as reason, null::date as effective_date, null::date as matures_on,
        null::date as expires_on, null::bigint as amount, pending, active, reserved, debt, pending + active as balance,
        null as reference, 0 as step, '' as business_key, 0 as leg
    from opened
    union all
    select m.merchant_id, m.asset, 2, 'transfer', booked_date, programme, code, reason, effective_date, matures_on,
        expires_on, amount, m.pending, m.active, m.reserved, m.debt, coalesce(o.pending + o.active, 0),
        transfer_id, step, business_key, leg
    from moves m left join (from opened where section = 'opening') o
        on o.merchant_id = m.merchant_id and o.asset = m.asset
    where booked_date >= $start
    union all
    select merchant_id, asset, 4, 'lot', booked_date, programme, null, null, effective_date, matures_on,
        expires_on, amount, pending, active, reserved, null, null, lot_id, 0, business_key, revision
    from ledger_lots where merchant_id between $first and $last and pending + active + reserved > 0
    union all
    select merchant_id, asset, 5, 'expiring', expires_on, null, null, null, null, null, expires_on,
        sum(pending + active)::bigint, sum(pending)::bigint, sum(active)::bigint, null, null, null, null, 0, '', 0
    from ledger_lots where merchant_id between $first and $last and pending + active > 0
        and expires_on between $day::date and $day::date + {EXPIRING_DAYS}
    group by all
)
select *, null::varchar as slot, null::varchar as source, null::bigint as impressions, null::bigint as clicks,
    null::varchar as orders
from ordered
"""
REQUESTS = """
insert into statement by name
select merchant_id, 'POINT' as asset, 6 as part, 'request' as section, decided_on as day, programme,
    status as what, refusal as reason, slot, points as amount, impressions, request_id as reference, 0 as step,
    request_id as business_key, 0 as leg
from ledger_requests
where merchant_id between $first and $last and (decided_on between $start and $day or status = 'reserved')
"""
WITHHELD = """
insert into statement by name
select r.merchant_id, r.asset, 9 as part, 'withheld' as section, r.decided_on as day, r.programme, r.rule as what,
    'withheld: ' || r.against as reason, r.effective_date, r.amount, 0 as step, r.business_key, 0 as leg
from ledger_refusals r left join ledger_positions p using (business_key)
where r.merchant_id between $first and $last and r.decided_on <= $day and coalesce(p.asked, 0) = 0
qualify rank() over (partition by r.business_key order by r.decided_on desc) = 1
    and r.reason = 'withheld' and r.decided_on >= $start
"""
TRAFFIC = f"""
insert into statement by name
select merchant_id, 7 as part, 'traffic' as section, slot, source, sum(impressions)::bigint as impressions,
    sum(clicks)::bigint as clicks, 0 as step, slot as business_key, 0 as leg
from core_traffic_hours
where merchant_id between $first and $last and arm = 'treated'
    and business_date between $day::date - {TRAFFIC_DAYS - 1} and $day::date
group by all
"""
ORDERS = f"""
select merchant_id, p.slot, count(*) as orders, count(distinct user_key) filter (
    not exists (from core_staff s where s.merchant_id = p.merchant_id and s.user_key = p.user_key)) as payers
from core_payments p
where merchant_id between $first and $last and event_type = 'paid' and slot in (select unnest($slots))
    and business_date between $day::date - {TRAFFIC_DAYS - 1} and $day::date
group by all
"""
ORDER_SUMS = """
select merchant_id, coalesce(r_orders, 0)::bigint as r_orders,
    coalesce(e_public_conversion_num // 1000, 0)::bigint as public_orders
from metric_merchants where as_of_date = $day and merchant_id between $first and $last
"""
BROKEN = """
with said as (
    select merchant_id, asset, unnest([{accounts: 'pending', units: pending}, {accounts: 'active', units: active},
        {accounts: 'reserved', units: reserved}, {accounts: 'debt', units: -debt}], recursive := true)
    from statement where section = 'closing'
)
select merchant_id, said.asset, accounts, units, coalesce(balance, 0) as balance
from said left join ledger_balances b
    on b.account = 'merchant:' || merchant_id || ':' || accounts and b.asset = said.asset
where units <> coalesce(balance, 0) order by all limit 1
"""
ROWS = "select {} from statement order by merchant_id, part, asset, day, step, business_key, leg, reference, source"
