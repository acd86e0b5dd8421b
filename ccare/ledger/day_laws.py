"""The laws on one close's part of the books: what it is about to post, held against what was published before it.

The whole history is ``ccare verify``'s; this is cheap enough for every publication. ``<new_…>`` stands for what the
close leaves, ``<old_…>`` for what it found; of transfers, requests and allocations the close's own are enough.
``<staged_lots>`` are the lots that the close gives and ``<met_lots>`` those before it that these must come of: all, or
of large books the rows that change.
"""

from collections.abc import Mapping

import duckdb

from ccare.ledger.law_queries import LAWS, PREPARE
from ccare.ledger.laws import LawResult, filled

RELATIONS = (
    *("new_transfers", "new_lots", "new_positions", "new_balances", "new_requests", "new_allocations"),
    *("old_lots", "old_balances", "old_requests"),
)
"""Relations that ``day_laws`` looks at; after the merge BALANCED alone are asked, of three of them."""
LOTS_APART = {"staged_lots": "new_lots", "met_lots": "old_lots"}
_PREPARED = ("audit_days", "audit_lot_days", "audit_lots", "audit_reservations")

_OWN = """
    select 'Transfer ' || transfer_id || ' is booked on ' || booked_date || ' by run ' || run_id
           || ', which is another close.'
    from <new_transfers>, audit_close where booked_date <> closing or run_id <> running
    order by transfer_id limit 1
"""

_SUMS = """
    select 'The ' || asset || ' balances sum to ' || sum(balance) || ', not to 0.'
    from <new_balances> group by asset having sum(balance) <> 0 order by asset limit 1
"""

_BALANCES = """
    select 'Balance of ' || account || ' goes from ' || coalesce(o.balance, 0) || ' to ' || coalesce(n.balance, 0)
           || ' ' || asset || ', the transfers of the day move ' || coalesce(d.delta, 0) || '.'
    from <new_balances> n full join <old_balances> o using (account, asset)
    full join (
        select account, asset, sum(delta) as delta, sum(credits) as credits, sum(debits) as debits,
               sum(transfers) as transfers from audit_days group by account, asset
    ) d using (account, asset)
    where (coalesce(n.balance, 0), coalesce(n.credits, 0), coalesce(n.debits, 0), coalesce(n.transfers, 0))
          is distinct from (coalesce(o.balance, 0) + coalesce(d.delta, 0),
                            coalesce(o.credits, 0) + coalesce(d.credits, 0),
                            coalesce(o.debits, 0) + coalesce(d.debits, 0),
                            coalesce(o.transfers, 0) + coalesce(d.transfers, 0))
    order by account, asset limit 1
"""

_BOUNDS = """
    select what from (
        select account || ' would stand at ' || balance || ' ' || asset || '.' as what
        from <new_balances>
        where balance <> 0 and account <> 'world:funding'
              and (balance < 0) = (not (<party:account> and account like '%:debt'))
        union all
        select regexp_replace(account, ':[a-z]+$', '') || ' would have ' || a.balance || ' active ' || asset
               || ' beside a debt.'
        from <new_balances> a semi join (
            select account[:-5] || 'active' as account, asset from <new_balances>
            where <party:account> and account like '%:debt' and balance < 0
        ) d using (account, asset) where a.balance > 0
    ) order by what limit 1
"""

_CLAIMS = """
    with claims as (
        select pool, asset, sum(receivable) as receivable, sum(debt) as debt from (
            select account[6:-12] as pool, asset, balance as receivable, 0 as debt from <new_balances>
            where account like 'pool:%:receivable'
            union all
            select pool, asset, 0, debt from <new_positions> where debt <> 0
        ) group by pool, asset
    ), owed as (
        select asset, sum(case when <party:account> then -balance else 0 end) as debt,
               sum(case when <party:account> then 0 else balance end) as receivable
        from <new_balances>
        where (<party:account> and account like '%:debt') or account like 'pool:%:receivable' group by asset
    )
    select what from (
        select pool || ' would claim ' || receivable || ' ' || asset || ', its keys owe ' || debt || '.' as what
        from claims where receivable <> debt
        union all
        select 'Parties would owe ' || debt || ' ' || asset || ', pools claim ' || receivable || '.'
        from owed where debt <> receivable
    ) order by what limit 1
"""

_ALLOCATED = """
    select 'Lot ' || lot_id || ' of ' || coalesce(l.amount, 0) || ' would have ' || a.held
           || ' of it allocated to reservations.'
    from (
        select lot_id, sum(amount - coalesce(voided, 0)) as held from <new_allocations> group by lot_id
    ) a left join <new_lots> l using (lot_id)
    where a.held > coalesce(l.amount, 0) order by lot_id limit 1
"""

_RESERVATIONS = """
    with kept as (
        select 'redemption|' || request_id as business_key,
               case when decided_on = closing then points else 0 end as reserved,
               case when resolved_on = closing then coalesce(settled, 0) else 0 end as settled,
               case when resolved_on = closing then coalesce(voided, 0) else 0 end as voided, points
        from <new_requests>, audit_close
        where status <> 'refused' and (decided_on = closing or resolved_on = closing)
    ), moved as (select * from audit_reservations where asset = 'POINT')
    select what from (
        select 'Reservation ' || business_key || ' is kept as ' || coalesce(k.reserved, 0) || ' reserved, '
               || coalesce(k.settled, 0) || ' settled and ' || coalesce(k.voided, 0) || ' voided; the transfers move '
               || coalesce(m.reserved, 0) || ', ' || coalesce(m.settled, 0) || ' and ' || coalesce(m.voided, 0)
               || '.' as what
        from kept k full join moved m using (business_key)
        where (k.reserved, k.settled, k.voided) is distinct from (m.reserved, m.settled, m.voided)
           or k.settled + k.voided not in (0, k.points)
        union all
        select 'Reservation ' || business_key || ' was resolved before, on ' || o.resolved_on || '.'
        from moved m join <old_requests> o on m.business_key = 'redemption|' || o.request_id
        where m.settled + m.voided > 0 and o.resolved_on < (select closing from audit_close)
    ) order by what limit 1
"""

_GRANTS = """
    select 'Lot ' || lot_id || ' would be granted again.' from (
        select lot_id from audit_lots where grants > 1
        union all
        select lot_id from <old_lots> semi join (from audit_lots where grants > 0) a using (lot_id)
    ) order by lot_id limit 1
"""

# A lot's row afterwards is the one before plus what the day's transfers do to it, each part apart.
_LOTS = """
    select 'Lot ' || coalesce(n.lot_id, o.lot_id, a.lot_id) || ' of ' || coalesce(n.amount, 0)
           || ' would be cached with '
           || coalesce(n.pending, 0) || ' pending, ' || coalesce(n.active, 0) || ' active, '
           || coalesce(n.reserved, 0) || ' reserved; what was there and the transfers of the day give another lot.'
    from <staged_lots> n full join <met_lots> o on n.lot_id = o.lot_id full join audit_lots a
        on a.lot_id = coalesce(n.lot_id, o.lot_id)
    where n.amount is distinct from coalesce(o.amount, 0) + coalesce(a.granted, 0)
       or n.pending <> coalesce(o.pending, 0) + coalesce(a.pending, 0)
       or n.active <> coalesce(o.active, 0) + coalesce(a.active, 0)
       or n.reserved <> coalesce(o.reserved, 0) + coalesce(a.reserved, 0)
       or n.redeemed <> coalesce(o.redeemed, 0) + coalesce(a.redeemed, 0)
       or n.expired <> coalesce(o.expired, 0) + coalesce(a.expired, 0)
       or n.taken <> coalesce(o.taken, 0) + coalesce(a.taken, 0)
    limit 1
"""

_DUE = """
    select what from (
        select 'Lot ' || lot_id || ' would be left with ' || pending || ' pending on ' || closing
               || ', and matured on ' || matures_on || '.' as what
        from <new_lots>, audit_close where pending > 0 and matures_on <= closing and booked_date < closing
        union all
        select 'Lot ' || lot_id || ' would be left with ' || active || ' active on ' || closing
               || ', and its last day was ' || expires_on || '.'
        from <new_lots>, audit_close
        where active > 0 and expires_on + <told_late> < closing
    ) order by what limit 1
"""

BALANCED = {"L1": (_SUMS,), "L12": (_BALANCES,)}
"""What is asked of the tables once more when the rows are in them."""
STAGED = {
    "L1": (_SUMS,),
    "L2": (LAWS["L2"],),
    "L3": (LAWS["L3"], _OWN),
    "L4": (_BOUNDS,),
    "L5": (LAWS["L5"],),
    "L6": (_CLAIMS,),
    "L7": (_ALLOCATED,),
    "L8": (_RESERVATIONS,),
    "L9": (_GRANTS,),
    "L12": (_BALANCES, _LOTS),
    "L15": (_DUE,),
}
"""What is asked of the staged rows before anything is merged."""


def broken(
    con: duckdb.DuckDBPyConnection,
    laws: Mapping[str, tuple[str, ...]],
    day: str,
    run_id: str,
    *,
    lots_apart: bool = False,
) -> LawResult | None:
    """The first of ``laws`` that the relations in ``con`` break in the close of ``day`` (ISO) by ``run_id``.

    ``lots_apart``: relations LOTS_APART are there as well, for all lots are too many to be compared.
    """
    names = {name: f'"{name}"' for name in RELATIONS}
    names |= {name: f'"{name if lots_apart else whole}"' for name, whole in LOTS_APART.items()}
    names |= {"ledger_transfers": '"new_transfers"', "ledger_lots": '"new_lots"'}
    con.execute(
        "create or replace temp table audit_close as select $day::date as closing, $run as running",
        {"day": day, "run": run_id},
    )
    whole = laws is STAGED
    for name in _PREPARED if whole else _PREPARED[:1]:
        con.execute(f"create or replace temp table {name} as {filled(PREPARE[name], names)}")
    for law, queries in laws.items():
        for query in queries:
            found = con.execute(filled(query, names)).fetchone()
            if found:
                return LawResult(law, False, str(found[0]))
    return None
