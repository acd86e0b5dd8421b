"""The laws as queries: each returns sentences that say where it is broken, and no row where it holds.

``<ledger_transfers>`` and its like stand for the relations; ``<routes>`` for the allowed account pairs;
``<party:x>`` says whether account ``x`` is a merchant's or a service provider's.
"""

from ccare.ledger.statements import LINES

PREPARE = {
    # One row an account, asset and booked date: all that balances need, far fewer rows than the transfers.
    "audit_days": """
        select account, asset, booked_date, sum(credit - debit) as delta, sum(credit) as credits,
               sum(debit) as debits, sum(n) as transfers
        from (
            select credit_account as account, asset, booked_date, sum(amount)::hugeint as credit,
                   0::hugeint as debit, count(*) as n
            from <ledger_transfers> group by all
            union all
            select debit_account, asset, booked_date, 0, sum(amount), count(*)
            from <ledger_transfers> group by all
        ) group by account, asset, booked_date
    """,
    "audit_running": """
        select account, asset, booked_date, sum(delta) over (
            partition by account, asset order by booked_date) as balance
        from audit_days
    """,
    # What each transfer does to the lot that it names, by booked date.
    "audit_lot_days": """
        select lot_id, booked_date,
            sum(amount) filter (granting) as granted,
            sum(case when credit_account like '%:pending' then amount
                     when debit_account like '%:pending' then -amount else 0 end) as pending,
            sum(case when credit_account like '%:active' then amount
                     when debit_account like '%:active' then -amount else 0 end) as active,
            sum(case when credit_account like '%:reserved' then amount
                     when debit_account like '%:reserved' then -amount else 0 end) as reserved,
            sum(amount) filter (
                credit_account like 'sink:redeemed:%' or credit_account like 'sink:delivered:%') as redeemed,
            sum(amount) filter (credit_account = 'sink:expired') as expired,
            sum(amount) filter (credit_account like 'pool:%:available') as taken,
            count(*) filter (granting) as grants,
            max(matures_on) as matures_on, max(expires_on) as expires_on, max(asset) as asset
        from (
            select *, <party:credit_account> and credit_account like '%:pending' and not <party:debit_account>
                as granting
            from <ledger_transfers> where lot_id is not null
        ) group by lot_id, booked_date
    """,
    "audit_lots": """
        select lot_id, coalesce(sum(granted), 0) as granted, sum(pending) as pending, sum(active) as active,
               sum(reserved) as reserved, coalesce(sum(redeemed), 0) as redeemed,
               coalesce(sum(expired), 0) as expired, coalesce(sum(taken), 0) as taken, sum(grants) as grants
        from audit_lot_days group by lot_id
    """,
    # Days, each with what a lot held until its next one, on which that breaks a law: none where it is lawful. Points
    # are usable through expires_on; what was delivered of impressions is told late, so they stay 7 closes longer.
    "audit_lot_faults": """
        select * from (
            select lot_id, booked_date, matures_on, least(pending, active, reserved) < 0 as overdrawn,
                pending, active, reserved, last_counted, until,
                pending > 0 and until >= greatest(matures_on, granted_on + 1) as unripened,
                active > 0 and until > last_counted as unexpired
            from (
                select lot_id, booked_date, sum(pending) over so_far as pending, sum(active) over so_far as active,
                    sum(reserved) over so_far as reserved, max(matures_on) over so_far as matures_on,
                    max(expires_on) over so_far + <told_late> as last_counted,
                    min(booked_date) over so_far as granted_on,
                    coalesce(lead(booked_date) over so_far - 1, (select closed from audit_last)) as until
                from audit_lot_days window so_far as (partition by lot_id order by booked_date)
            )
        ) where overdrawn or unripened or unexpired
    """,
    # What a reservation took and what became of it, by asset.
    "audit_reservations": """
        select business_key, asset,
            coalesce(sum(amount) filter (code = 'reserve'), 0) as reserved,
            coalesce(sum(amount) filter (code = 'settle'), 0) as settled,
            coalesce(sum(amount) filter (code = 'void'), 0) as voided,
            count(distinct booked_date) filter (code <> 'reserve') as resolutions,
            max(booked_date) filter (code <> 'reserve') as resolved_on
        from <ledger_transfers>
        where code in ('reserve', 'settle', 'void') and (code = 'reserve' or debit_account like '%:reserved')
        group by business_key, asset
    """,
    # An approved adjustment is one transfer, whose key names the transfer that it offsets.
    "audit_adjustments": """
        select a.*, split_part(a.business_key, '|', 2) as offsets, t.transfer_id is not null as found,
            t.code as offset_code, t.amount as offset_amount, t.business_key as offset_key, t.asset as offset_asset,
            t.debit_account as offset_debit, t.credit_account as offset_credit
        from <ledger_transfers> a
        left join <ledger_transfers> t on t.transfer_id = split_part(a.business_key, '|', 2)
        where a.code = 'adjust'
    """,
    "audit_keys": """
        select business_key, max(revision) as revision, arg_max(asked, revision) filter (
                   where code in ('earn', 'fall', 'debt')) as asked,
               max(revision) filter (where code in ('earn', 'fall', 'debt')) as asked_revision,
               sum(case when code in ('earn', 'fund') then amount else 0 end) as granted,
               sum(case when code in ('fall', 'debt') then amount else 0 end) as given_back,
               sum(case when code = 'debt' then amount
                        when code = 'repay' and lot_id is null then -amount else 0 end) as debt,
               count(*) filter (where code = 'repay') as repayments
        from (
            select business_key, revision, asked, code, amount, lot_id from <ledger_transfers>
            where code in ('earn', 'fund', 'fall', 'debt', 'repay')
            union all
            select offset_key, 0, null, 'fall', amount, null from audit_adjustments
            where offset_code in ('earn', 'fund')
        ) group by business_key
    """,
}

_L1 = """
    select 'The ' || asset || ' balances sum to ' || total || ', not to 0.' from (
        select asset, sum(balance)::hugeint as total from <ledger_balances> group by asset
        union all select asset, sum(delta) from audit_days group by asset
    ) where total <> 0 order by asset limit 1
"""

_L2 = """
    select what from (
        select 'Transfer ' || transfer_id || ' stands ' || count(*) || ' times.' as what
        from <ledger_transfers> group by transfer_id having count(*) > 1
        union all
        select 'Key ' || business_key || ' has ' || count(*) || ' transfers ' || code || ' of leg ' || leg
               || ', revision ' || revision || '.'
        from <ledger_transfers> group by business_key, code, leg, revision having count(*) > 1
    ) order by what limit 1
"""

_L3 = """
    select 'Transfer ' || coalesce(transfer_id, '(none)') || ' (' || coalesce(code, 'no code') || ') of '
           || coalesce(business_key, 'no key') || ' ' || wrong || '.'
    from (
        select transfer_id, code, business_key, case
            when (amount > 0) is not true then 'moves no positive amount'
            when (debit_account <> credit_account) is not true then 'needs two different accounts'
            when (<routes>) is not true then 'joins accounts that its code does not join'
            when asset is null or asset not in ('POINT', 'IMPRESSION', 'FEN') then 'has no known asset'
            when (leg >= 1 and revision >= 1) is not true then 'has no leg or revision'
            when booked_date is null or effective_date is null then 'lacks a date'
            when booked_date < effective_date then 'is booked before its effective date'
            when matures_on > expires_on then 'expires before it matures'
            when merchant_id is not null and service_provider_id is not null then 'names two parties'
            when (party is null) <> not (<party:debit_account> or <party:credit_account>)
                then 'names its party wrongly'
            when party is not null and not starts_with(debit_account, party || ':')
                and not starts_with(credit_account, party || ':') then 'moves points of another party'
            when <party:debit_account> and not starts_with(debit_account, party || ':')
                or <party:credit_account> and not starts_with(credit_account, party || ':')
                then 'joins two parties'
            when (lot_id is null) <> (code in ('fund', 'debt') or (code = 'adjust' and party is null)
                or (code in ('reserve', 'settle', 'void') and asset = 'IMPRESSION'
                    and debit_account not like '%:active')
                or (code = 'repay' and credit_account like '%:debt')) then 'names a lot wrongly'
            when transfer_id <> sha256(concat_ws(chr(10), programme, code, business_key, leg, revision))
                then 'has an id that its fields do not give'
            when content_hash is distinct from sha256(concat_ws(chr(10), debit_account, credit_account, amount,
                asset, code, programme, coalesce(merchant_id, service_provider_id, ''), coalesce(lot_id, ''),
                effective_date, coalesce(expires_on::varchar, ''), booked_date, business_key, leg, revision))
                then 'has a content hash that its fields do not give'
            end as wrong
        from (
            select *, coalesce('merchant:' || merchant_id, 'provider:' || service_provider_id) as party
            from <ledger_transfers>
        )
    ) where wrong is not null order by transfer_id limit 1
"""

_L4 = """
    select what from (
        select account || ' stood at ' || balance || ' ' || asset || ' on ' || booked_date || '.' as what,
               booked_date
        from audit_running
        where account <> 'world:funding' and (balance < 0) = (not (<party:account> and account like '%:debt'))
              and balance <> 0
        union all
        select party || ' had ' || active || ' active ' || asset || ' beside a debt of '
               || -debt || ' on ' || booked_date || '.', booked_date
        from (
            select party, asset, booked_date, sum(active) over w as active, sum(debt) over w as debt
            from (
                select regexp_replace(account, ':[a-z]+$', '') as party, asset, booked_date,
                       sum(case when account like '%:active' then delta else 0 end) as active,
                       sum(case when account like '%:debt' then delta else 0 end) as debt
                from audit_days where <party:account> and (account like '%:active' or account like '%:debt')
                group by all
            ) window w as (partition by party, asset order by booked_date)
        ) where active > 0 and debt < 0
    ) order by booked_date, what limit 1
"""

_L5 = """
    select 'Lot ' || lot_id || ' of ' || coalesce(business_key, 'no key') || ' has ' || amount
           || ', its parts sum to ' || parts || '.'
    from (
        select lot_id, business_key, amount, pending + active + reserved + redeemed + expired + taken as parts,
               least(pending, active, reserved, redeemed, expired, taken) as least_part
        from <ledger_lots>
    ) where amount is distinct from parts or least_part < 0 order by lot_id limit 1
"""

_L6 = """
    with pools as (
        select split_part(account, ':available', 1) as pool, asset, sum(delta) as available
        from audit_days where account like 'pool:%:available' group by all
    ), flows as (
        select pool, asset, sum(funded) as funded, sum(issued) as issued, sum(back) as back from (
            select split_part(credit_account, ':available', 1) as pool, asset,
                   sum(case when code = 'fund' then amount else 0 end) as funded, 0 as issued,
                   sum(case when code in ('fall', 'repay', 'void', 'adjust') then amount else 0 end) as back
            from <ledger_transfers> where credit_account like 'pool:%:available' group by all
            union all
            select split_part(debit_account, ':available', 1), asset,
                   -sum(case when credit_account = 'world:funding' then amount else 0 end),
                   sum(case when code in ('earn', 'reserve') or (code = 'adjust' and <party:credit_account>)
                       then amount else 0 end), 0
            from <ledger_transfers> where debit_account like 'pool:%:available' group by all
        ) group by pool, asset
    ), claims as (
        select pool, asset, sum(receivable) as receivable, sum(debt) as debt from (
            select split_part(account, ':receivable', 1) as pool, asset, sum(delta) as receivable, 0 as debt
            from audit_days where account like 'pool:%:receivable' group by all
            union all
            select 'pool:' || pool, asset, 0, sum(debt) from <ledger_positions>
            where debt <> 0 group by all
        ) group by pool, asset
    )
    select what from (
        select pool || ' was funded with ' || funded || ' ' || asset || ', but ' || available || ' available + '
               || issued || ' issued - ' || back || ' taken back is another sum.' as what
        from flows full join pools using (pool, asset)
        where funded is distinct from available + issued - back
        union all
        select pool || ' claims ' || receivable || ' ' || asset || ', its keys owe ' || debt || '.'
        from claims where receivable <> debt
        union all
        select 'Parties owe ' || -debt || ' ' || asset || ', pools claim ' || receivable || '.'
        from (
            select asset, sum(case when <party:account> then delta else 0 end) as debt,
                   sum(case when account like 'pool:%' then delta else 0 end) as receivable
            from audit_days where (<party:account> and account like '%:debt') or account like 'pool:%:receivable'
            group by asset
        ) where receivable <> -debt
    ) order by what limit 1
"""

_L7 = """
    select what from (
        select 'Lot ' || lot_id || ' had ' || pending || ' pending, ' || active || ' active and ' || reserved
               || ' reserved on ' || booked_date || ': more was taken out than was in it.' as what, booked_date
        from audit_lot_faults where overdrawn
        union all
        select 'Lot ' || a.lot_id || ' of ' || coalesce(l.amount, 0) || ' has ' || a.held
               || ' of it allocated to reservations.', null
        from (
            select lot_id, sum(amount - coalesce(voided, 0)) as held from <ledger_allocations> group by lot_id
        ) a left join <ledger_lots> l using (lot_id) where a.held > coalesce(l.amount, 0)
    ) order by booked_date, what limit 1
"""

_L8 = """
    select what from (
        select 1 as place, 'Reservation ' || business_key || ' of ' || reserved || ' ' || asset || ' was resolved as '
               || settled || ' settled + ' || voided || ' voided, on ' || resolutions || ' days.' as what
        from audit_reservations
        where settled + voided not in (0, reserved) or resolutions > 1 or reserved = 0
        union all
        select 2, 'Request ' || coalesce(q.request_id, r.business_key) || ' is kept as '
               || coalesce(q.status, 'unknown') || ' with ' || coalesce(q.points, 0) || ' points, '
               || coalesce(q.settled, 0) || ' settled; the transfers reserved ' || coalesce(r.reserved, 0)
               || ' and settled ' || coalesce(r.settled, 0) || '.'
        from (select * from <ledger_requests> where status <> 'refused') q
        full join (select * from audit_reservations where asset = 'POINT') r
            on r.business_key = 'redemption|' || q.request_id
        where q.points is distinct from r.reserved or coalesce(q.settled, 0) <> r.settled
           or coalesce(q.voided, 0) <> r.voided or q.resolved_on is distinct from r.resolved_on
           or (q.status = 'reserved') <> (r.resolutions = 0)
        union all
        select 3, 'Reservation ' || coalesce(a.business_key, r.business_key) || ' has allocations of '
               || coalesce(a.amount, 0) || ', the transfers reserved ' || coalesce(r.reserved, 0) || '.'
        from (
            select business_key, sum(amount) as amount, coalesce(sum(settled), 0) as settled,
                   coalesce(sum(voided), 0) as voided from <ledger_allocations> group by business_key
        ) a full join (select * from audit_reservations where asset = 'POINT') r using (business_key)
        where (a.amount, a.settled, a.voided) is distinct from (r.reserved, r.settled, r.voided)
    ) order by place, what limit 1
"""

_L9 = """
    select what from (
        select 'Lot ' || lot_id || ' was granted ' || grants || ' times.' as what
        from audit_lots where grants <> 1
        union all
        select 'Grant ' || transfer_id || ' of ' || business_key || ' names another lot.'
        from <ledger_transfers>
        where <party:credit_account> and credit_account like '%:pending' and not <party:debit_account>
          and lot_id <> transfer_id
        union all
        select 'Lot ' || t.lot_id || ' of ' || t.business_key || ' was reversed by its own revision '
               || t.revision || '.'
        from <ledger_transfers> t join <ledger_transfers> e on e.transfer_id = t.lot_id and e.code = 'earn'
        where t.code = 'fall' and t.business_key = e.business_key and t.revision <= e.revision
        union all
        select 'Adjustment ' || transfer_id || ' of ' || amount || ' ' || asset || ' offsets '
               || case when not found then 'no transfer' else offset_code || ' ' || offsets || ' of '
                       || offset_amount || ' ' || offset_asset end || '.'
        from audit_adjustments
        where not found or amount > offset_amount or asset <> offset_asset
           or offset_code not in ('fund', 'earn', 'fall', 'expire', 'settle')
           or (offset_code in ('fund', 'earn') and credit_account <> offset_debit)
           or (offset_code not in ('fund', 'earn') and debit_account <> offset_credit)
        union all
        select 'Transfer ' || offsets || ' is offset ' || count(*) || ' times.'
        from audit_adjustments group by offsets having count(*) > 1
    ) order by what limit 1
"""

_L12 = """
    select what from (
        select 1 as place, 'Balance of ' || coalesce(b.account, d.account) || ' is cached as '
               || coalesce(b.balance, 0) || ', the transfers give ' || coalesce(d.balance, 0) || '.' as what
        from <ledger_balances> b full join (
            select account, asset, sum(delta) as balance, sum(credits) as credits, sum(debits) as debits,
                   sum(transfers) as transfers, max(booked_date) as folded_to
            from audit_days group by account, asset
        ) d on b.account = d.account and b.asset = d.asset
        where (b.balance, b.credits, b.debits, b.transfers, b.folded_to)
              is distinct from (d.balance, d.credits, d.debits, d.transfers, d.folded_to)
        union all
        select 2, 'Lot ' || coalesce(l.lot_id, a.lot_id) || ' is cached with ' || coalesce(l.pending, 0)
               || ' pending, ' || coalesce(l.active, 0) || ' active, ' || coalesce(l.expired, 0) || ' expired, '
               || coalesce(l.taken, 0) || ' taken, ' || coalesce(l.reserved, 0) || ' reserved, '
               || coalesce(l.redeemed, 0) || ' redeemed; the transfers give ' || coalesce(a.pending, 0) || ', '
               || coalesce(a.active, 0) || ', ' || coalesce(a.expired, 0) || ', ' || coalesce(a.taken, 0) || ', '
               || coalesce(a.reserved, 0) || ', ' || coalesce(a.redeemed, 0) || '.'
        from <ledger_lots> l full join audit_lots a on l.lot_id = a.lot_id
        where (l.amount, l.pending, l.active, l.expired, l.taken, l.reserved, l.redeemed)
              is distinct from (a.granted, a.pending, a.active, a.expired, a.taken, a.reserved, a.redeemed)
        union all
        select 3, 'Position ' || coalesce(p.business_key, k.business_key)
               || ' does not follow from its transfers: granted ' || coalesce(p.granted, 0) || ' against '
               || coalesce(k.granted, 0) || ', given back ' || coalesce(p.granted - p.net, 0) || ', debt '
               || coalesce(p.debt, 0) || ' against ' || coalesce(k.debt, 0) || '.'
        from <ledger_positions> p full join audit_keys k on p.business_key = k.business_key
        where p.business_key is null
           or p.granted <> coalesce(k.granted, 0)
           or p.granted - p.net <> coalesce(k.given_back, 0) + p.lapsed + p.forgiven
           or p.debt <> coalesce(k.debt, 0)
           or p.repayments <> coalesce(k.repayments, 0)
           or p.revision < coalesce(k.revision, 0)
           or (p.revision = k.asked_revision and p.asked is distinct from k.asked)
           or least(p.asked, p.granted, p.net, p.lapsed, p.forgiven, p.cut_by_pool, p.debt) < 0
    ) order by place, what limit 1
"""

_L13 = """
    select 'The statement of ' || coalesce(s.account, b.account) || ' adds up to ' || coalesce(s.amount, 0) || ' '
           || coalesce(s.asset, b.asset) || ', its balance is ' || coalesce(b.balance, 0) || '.'
    from (select account, asset, sum(amount) as amount from (<lines>) group by account, asset) s
    full join (select * from <ledger_balances> where <party:account>) b
        on b.account = s.account and b.asset = s.asset
    where s.amount is distinct from b.balance order by coalesce(s.account, b.account) limit 1
""".replace("<lines>", LINES)

_L15 = """
    select what from (
        select 'Lot ' || lot_id || ' had ' || pending || ' pending on ' || until || ', and matured on ' || matures_on
               || '.' as what, until
        from audit_lot_faults where unripened
        union all
        select 'Lot ' || lot_id || ' had ' || active || ' active on ' || until || ', and its last day was '
               || last_counted || '.', until
        from audit_lot_faults where unexpired
    ) order by until, what limit 1
"""

LAWS = {
    "L1": _L1,
    "L2": _L2,
    "L3": _L3,
    "L4": _L4,
    "L5": _L5,
    "L6": _L6,
    "L7": _L7,
    "L8": _L8,
    "L9": _L9,
    "L12": _L12,
    "L13": _L13,
    "L15": _L15,
}
