"""What a user would otherwise script for ``bench.ledger``: the same postings in DuckDB, in a local database.

A table with a unique key and CHECKs takes the transfers; lots, positions and balances are updated in place. The
script knows this workload only: debts, pools that are short, and reservations that end are not in it.
"""

import time

import duckdb

from bench.ledger_history import CHANGES, Fill

_SETUP = """
create table posted (
    transfer_id varchar primary key check (regexp_full_match(transfer_id, '[0-9a-f]{64}')),
    content_hash varchar not null, debit_account varchar not null, credit_account varchar not null,
    amount bigint not null check (amount > 0), asset varchar not null, programme varchar not null,
    code varchar not null, merchant_id varchar, lot_id varchar, effective_date date not null, matures_on date,
    expires_on date, booked_date date not null, business_key varchar not null, leg integer not null,
    revision integer not null, asked bigint, check (debit_account <> credit_account)
);
insert into posted select transfer_id, content_hash, debit_account, credit_account, amount, asset, programme, code,
    merchant_id, lot_id, effective_date, matures_on, expires_on, booked_date, business_key, leg, revision, asked
from ledger_transfers;
create table peer_lots as from ledger_lots;
create table peer_positions as from ledger_positions;
create table peer_balances as from ledger_balances;
"""
_DECIDE = """
create temp table decided as
with changes as (<changes>), touched as (
    select merchant_id, business_date as effective_date from changes where orders > 0
    union select merchant_id, paid_date from state_refund_days where refund_date = $day
), nets as (
    select merchant_id, effective_date, sum(fen) as net_fen from (
        select merchant_id, business_date as effective_date, gmv_fen as fen from state_user_days
        union all select merchant_id, paid_date, -refund_fen from state_refund_days
    ) join touched using (merchant_id, effective_date) group by all
), rated as (
    select 'f|trade_net|' || n.merchant_id || '|' || n.effective_date as business_key, n.*,
        coalesce(p.multiplier_milli, 500 + s.total_score * 10, 500)::bigint as milli
    from nets n
    left join peer_positions p on p.business_key = 'f|trade_net|' || n.merchant_id || '|' || n.effective_date
    left join score_merchants s on s.merchant_id = n.merchant_id and s.as_of_date = $day
)
select r.business_key, r.merchant_id, r.effective_date, milli, greatest(net_fen, 0) * milli // 1000000 as asked,
    coalesce(p.asked, 0) as asked_before, coalesce(p.net, 0) as net_before, coalesce(p.revision, 0) + 1 as revision
from rated r left join peer_positions p using (business_key)
where greatest(net_fen, 0) * milli // 1000000 <> coalesce(p.asked, 0)
"""
_FALLS = """
create temp table falls as
select * from (
    select l.lot_id, l.pending > 0 as was_pending, d.*, l.matures_on, l.expires_on,
        least(l.pending + l.active, greatest(take - (sum(l.pending + l.active) over w - l.pending - l.active), 0))
            as taken, row_number() over w as leg
    from peer_lots l join (
        select *, net_before - net_before * asked // asked_before as take from decided where asked < asked_before
    ) d using (business_key)
    window w as (partition by l.business_key order by l.pending = 0, l.expires_on, l.effective_date, l.lot_id)
) where taken > 0
"""
_REDEEMED = """
create temp table redeemed as
with usable as (
    select l.*, l.active - coalesce(f.taken, 0) as room
    from peer_lots l left join falls f using (lot_id)
    where l.active > 0 and l.expires_on >= $day
), laid as (
    select r.request_id, r.slot, r.points, u.*,
        sum(room) over (partition by u.merchant_id order by u.expires_on, u.effective_date, u.booked_date, u.lot_id)
            as room_end
    from core_redemption_requests r join usable u using (merchant_id)
)
select * replace (least(room_end, points) - greatest(room_end - room, 0) as taken),
    row_number() over (partition by request_id order by expires_on, effective_date, booked_date, lot_id) as leg
from laid where room_end - room < points
"""
_EARNED = """
create temp table earned as
select *, asked - asked_before as extra, effective_date + $maturity as matures_on,
    effective_date + $maturity + $expiry as expires_on,
    sha256(concat_ws(chr(10), 'f', 'earn', business_key, 1, revision)) as lot_id
from decided where asked > asked_before and effective_date + $maturity + $expiry >= $day
"""
_MOVES = """
create temp table moves as
select 'merchant:' || merchant_id || if(was_pending, ':pending', ':active') as debit_account,
    'pool:p:available' as credit_account, taken::bigint as amount, 'POINT' as asset, 'fall' as code, merchant_id,
    lot_id, effective_date, matures_on, expires_on, business_key, leg::integer as leg, revision, asked from falls
union all
select 'merchant:' || merchant_id || ':active', 'merchant:' || merchant_id || ':reserved', taken, 'POINT', 'reserve',
    merchant_id, lot_id, $day, matures_on, expires_on, 'redemption|' || request_id, leg, 1, null from redeemed
union all
select 'pool:traffic:available', 'merchant:' || merchant_id || ':reserved', points * 10, 'IMPRESSION', 'reserve',
    merchant_id, null, $day, null, null, 'redemption|' || request_id, max(leg) + 1, 1, null
from redeemed group by request_id, merchant_id, points
union all
select 'pool:p:available', 'merchant:' || merchant_id || ':pending', extra, 'POINT', 'earn', merchant_id, lot_id,
    effective_date, matures_on, expires_on, business_key, 1, revision, asked from earned
"""
_POST = """
insert into posted by name
select *, 'f' as programme, $day as booked_date,
    sha256(concat_ws(chr(10), 'f', code, business_key, leg, revision)) as transfer_id,
    sha256(concat_ws(chr(10), debit_account, credit_account, amount, asset, code, 'f', merchant_id,
        coalesce(lot_id, ''), effective_date, coalesce(expires_on::varchar, ''), $day, business_key, leg, revision))
        as content_hash
from moves;
update peer_lots set pending = pending - if(was_pending, f.taken, 0), active = active - if(was_pending, 0, f.taken),
    taken = peer_lots.taken + f.taken from falls f where f.lot_id = peer_lots.lot_id;
update peer_lots set active = peer_lots.active - r.taken, reserved = peer_lots.reserved + r.taken
    from redeemed r where r.lot_id = peer_lots.lot_id;
insert into peer_lots by name select lot_id, business_key, 'f' as programme, merchant_id, 'POINT' as asset, 'p' as pool,
    effective_date, revision, $day as booked_date, matures_on, expires_on, extra as amount, extra as pending,
    0 as active, 0 as reserved, 0 as redeemed, 0 as expired, 0 as taken from earned;
update peer_positions set asked = d.asked, revision = d.revision, net = net - f.taken, updated_on = $day
    from decided d join (select business_key, sum(taken) as taken from falls group by all) f using (business_key)
    where d.business_key = peer_positions.business_key;
insert into peer_positions by name select business_key, 'f' as programme, 'trade_net' as rule, merchant_id,
    effective_date, 'POINT' as asset, 'p' as pool, revision, asked, extra as granted, extra as net,
    0 as repayments, milli as multiplier_milli, matures_on, expires_on,
    $day as updated_on, $version as policy_version from earned where revision = 1;
create or replace table peer_balances as
select account, asset, sum(credits - debits)::bigint as balance, sum(credits)::bigint as credits,
    sum(debits)::bigint as debits, sum(transfers)::bigint as transfers, max(folded_to) as folded_to
from (
    from peer_balances
    union all by name select credit_account as account, asset, amount as credits, 0 as debits, 1 as transfers,
        $day as folded_to from moves
    union all by name select debit_account as account, asset, 0 as credits, amount as debits, 1 as transfers,
        $day as folded_to from moves
) group by account, asset;
"""
_CHECKS = """
select (select count(*) from peer_balances where balance < 0 and account <> 'world:funding')
    + (select count(*) from (select 1 from peer_balances group by asset having sum(balance) <> 0))
    + (select count(*) from peer_lots where amount <> pending + active + reserved + redeemed + expired + taken
        or least(pending, active, reserved, taken) < 0)
    + (select count(*) from posted where booked_date = $day and (asset not in ('POINT', 'IMPRESSION', 'FEN')
        or not regexp_full_match(content_hash, '[0-9a-f]{64}')))
"""


def prepare(con: duckdb.DuckDBPyConnection) -> None:
    """Copy the books into tables of the script's own; not timed."""
    con.execute(_SETUP)


def post(con: duckdb.DuckDBPyConnection, told: Fill) -> float:
    """Post the day in one transaction and check it; returns seconds."""
    started = time.monotonic()
    con.execute("begin")
    decide = _DECIDE.replace("<changes>", CHANGES)
    for query in (decide, _FALLS, _REDEEMED, _EARNED, _MOVES, _POST):
        con.execute(told(query))
    broken = con.execute(told(_CHECKS)).fetchone()
    assert broken == (0,), f"{broken} rows break a law"
    con.execute("commit")
    return time.monotonic() - started


def posted(con: duckdb.DuckDBPyConnection, told: Fill, relation: str) -> set[tuple[object, ...]]:
    """(code, asset, transfers, units) of the day, as ``relation`` holds them."""
    query = f"select code, asset, count(*), sum(amount)::bigint from {relation}"
    return set(con.execute(told(f"{query} where booked_date = $day group by all")).fetchall())
