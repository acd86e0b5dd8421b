"""What a user's own DuckDB script asks of the files of ``bench.programmes_made``: rule by rule, nothing kept."""

from datetime import date
from pathlib import Path

import duckdb

from bench.programmes_made import DAY, ENDS, FOLDERS, known

# What each rule counts for the day, rule by rule: programme, rule, merchant_id, units.
_UNITS = """
create temp table units as
with net as (
    select merchant_id, sum(fen)::bigint as units from (
        select merchant_id, gmv_fen as fen from changes
        union all select merchant_id, -refund_fen from refunds where paid_date = $day) group by all
), firsts as (
    select merchant_id, user_key, min(business_date) filter (tasks & 1 > 0) as followed,
        min(business_date) filter (tasks & 2 > 0) as joined,
        arg_max(follow_on, business_date) filter (follow_on is not null) as follows,
        arg_max(member_on, business_date) filter (member_on is not null) as member
    from days group by all
), payers as (
    select merchant_id, user_key, list_sort(list(business_date)) as paid from days where orders > 0 group by all
), back_again as (
    -- Ten weeks of history: the second day counts, and then each that is 28 days after the last that did.
    select merchant_id, list_reduce(paid[2:], lambda before, next: if(next - before >= 28, next, before)) as counted
    from payers where len(paid) > 1 and paid[-1] = $day
), visits as (
    select merchant_id, user_key,
        arg_min({day: business_date, tasks: tasks, terminal: guided_terminal}, business_date, 2) as two
    from days group by all having len(two) = 2
), guided as (
    select merchant_id, least(count(*), 200) as units from visits
    where two[1].tasks & 8 > 0 and two[2].day = $day and two[2].day - two[1].day <= 7
    group by merchant_id, coalesce(two[1].terminal, '')
), came as (
    select c.merchant_id, c.user_key, min(d.business_date) as came
    from cards c join days d on d.merchant_id = c.merchant_id and d.user_key = c.user_key
        and d.business_date - c.business_date between 1 and 7
    group by all
), best as (
    select merchant_id, 1 as units, row_number() over (
            partition by peer_group order by scale_score + activity_score desc, merchant_id) as place, peers
    from scores join drivers using (merchant_id, as_of_date)
    where as_of_date = $day and scale_score >= 80 and activity_score >= 80 and shrunk_value >= 0.5
)
select 'fanxing' as programme, 'trade_net' as rule, merchant_id, units from net
union all select 'fanxing', 'first_follow', merchant_id, count(*) from firsts
    where followed = $day - 7 and follows group by merchant_id
union all select 'fanxing', 'first_member', merchant_id, count(*) from firsts
    where joined = $day - 7 and member group by merchant_id
union all select 'fanxing', 'private_day', merchant_id, count(*) from changes where tasks & 4 > 0 group by merchant_id
union all select 'fanxing', 'returning_payer', merchant_id, count(*) from back_again where counted = $day
    group by merchant_id
union all select 'luoma', 'guided_return', merchant_id, sum(units)::bigint from guided group by merchant_id
union all select 'fuyou', 'top_of_peers', merchant_id, units from best where place <= peers // 10
union all select 'wufu', 'card_receivers', merchant_id, count(*) from came where came = $day group by merchant_id
"""
_ASKED = """
select u.programme, u.rule, sum(floor(greatest(u.units, 0) * r.points * case u.programme when 'fuyou' then 1000
    else 500 + coalesce(round(s.total_score * 10)::bigint, 0) end / r.unit))::bigint as asked
from units u
join (values ('trade_net', 1, 1000000), ('first_follow', 2, 1000), ('first_member', 5, 1000), ('private_day', 1, 1000),
    ('returning_payer', 3, 1000), ('guided_return', 5, 1000), ('top_of_peers', 10000, 1000), ('card_receivers', 2, 1000)
) r(rule, points, unit) using (rule)
left join (from scores where as_of_date = $day) s using (merchant_id)
left join merchants m using (merchant_id)
left join (select party, row_number() over (order by party) as place from enrolments) e on e.party = u.merchant_id
where case u.programme when 'fanxing' then m.mini_program_id is not null
    when 'luoma' then m.industry in ('catering', 'retail') or m.own_brand
    when 'wufu' then coalesce(e.place <= 1000, false) else true end
group by all
"""
# The month's end, and those before it that are told again.
_SETTLED = """
create temp table settled as
with back as (
    select merchant_id, trade_no, sum(amount_fen) as back from payments where event_type = 'refunded' group by all
), trades as (
    select merchant_id, last_day(business_date + 15) as told, amount_fen, fee_fen,
        greatest(amount_fen - coalesce(back, 0), 0) as net
    from (from payments where event_type = 'paid') left join back using (merchant_id, trade_no)
)
select merchant_id, told, sum(net)::bigint as net,
    sum(coalesce(fee_fen * net // nullif(amount_fen, 0), 0))::bigint as fee
from trades where told in (select told from ends) group by all
"""
_GROWN = """
create temp table grown as
with sold as (
    select merchant_id, business_date as sold_on, sum(gmv_fen) as fen from days where orders > 0 group by all
    union all select merchant_id, paid_date, -sum(refund_fen) from refunds group by all
), growth as (
    select merchant_id, told, sum(if(told - sold_on <= 42, fen, -fen))::bigint as growth
    from sold join ends on told - sold_on between 15 and 70 group by all
), placed as (
    select g.merchant_id, told, peer_group, growth, total_score from growth g
    join scores s on s.merchant_id = g.merchant_id and s.as_of_date = told where peer_group is not null
), medians as (
    select told, peer_group, floor(median(growth))::bigint as middle from placed group by all
), ahead as (
    select p.merchant_id, told, growth - middle as over_fen, p.total_score >= b.total_score as held
    from placed p join medians using (told, peer_group)
    left join scores b on b.merchant_id = p.merchant_id and b.as_of_date = told - 28
), adopters as (
    select distinct service_provider_id, merchant_id, told from adoptions join solutions using (solution_id)
    join ends on told - adopted_on between 0 and 69
), places as (
    select service_provider_id, row_number() over (order by joined_on nulls last, service_provider_id) as place
    from providers semi join solutions using (service_provider_id)
)
select service_provider_id, told,
    greatest(sum(if(over_fen <= 0 or coalesce(held, false), over_fen, 0)), 0)::bigint as fen
from adopters join ahead using (merchant_id, told) join places using (service_provider_id)
where place <= 1000 group by all
"""
_MONTHLY = """
select 'chengfeng' as programme, 'growth' as rule, sum(fen // 100)::bigint as asked from grown
union all select 'chengfeng', 'growth_traffic', sum(fen // 1000)::bigint from grown
union all select 'resource_pack', 'fee_rebate', sum(fee * 30 // 100)::bigint from settled
union all select 'resource_pack', 'traffic', sum(net // 100)::bigint from settled
union all select 'resource_pack', 'served_rebate', sum(fee * 10 // 100)::bigint from (
    select service_provider_id, told, sum(fee)::bigint as fee from settled join merchants using (merchant_id)
    where service_provider_id is not null group by all)
"""


def beside(root: Path, day: date) -> dict[tuple[str, str], int]:
    """What every rule asks for the day: ``DAY``, or one on which none is paid by the month or by the week."""
    with duckdb.connect() as con:
        con.execute("set threads = 2")
        for table, folder in FOLDERS.items():
            rows = f"from read_parquet('{root}/{folder}/**/*.parquet', hive_partitioning = true)"
            con.execute(f"create view {folder} as {rows} where {known(table, day)}")
        con.execute("create table ends as select unnest($ends::date[]) as told", {"ends": list(ENDS)})
        con.execute(_UNITS, {"day": day})
        rows_told = con.execute(_ASKED, {"day": day}).fetchall()
        if day == DAY:
            con.execute(_SETTLED)
            con.execute(_GROWN)
            rows_told += con.execute(_MONTHLY).fetchall()
    on = {(programme, rule): asked for programme, rule, asked in rows_told if asked}
    return on if day == DAY else {key: asked for key, asked in on.items() if key[0] != "fuyou"}
