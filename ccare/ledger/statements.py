"""What an account book says of one party: the lines of a statement, and balances as of a day.

``<ledger_transfers>`` stands for the relation. A line is one side of one transfer; its value date is the day
from which it counts, whenever it was booked: a lot matures and expires on its own days, and what is spent, given
back or repaid counts on the day that books it.
"""

import re

PARTY_ACCOUNT = re.compile(r"<party:(\w+)>")
OF_PARTY = r"(\1 like 'merchant:%' or \1 like 'provider:%')"
"""What ``<party:x>`` in a query stands for: whether account x is a merchant's or a service provider's."""

VALUE_DATE = """case code when 'activate' then matures_on when 'expire' then expires_on + 1
    when 'repay' then booked_date else effective_date end"""

_ORDER = (
    *("fund", "adjust", "settle", "void", "fall", "debt", "activate", "repay", "expire", "reserve", "earn"),
)
"""The order of a close."""

LINES = """
    select regexp_replace(account, ':[a-z]+$', '') as party, split_part(account, ':', 3) as part, account, asset,
           booked_date, value_date, code, reason, programme, business_key, lot_id, expires_on,
           moved::bigint as amount, transfer_id, leg
    from (
        select *, credit_account as account, amount as moved, <value_date> as value_date from <ledger_transfers>
        union all
        select *, debit_account, -amount, <value_date> from <ledger_transfers>
    ) t
    where <party:account>
""".replace("<value_date>", VALUE_DATE)
LINES = PARTY_ACCOUNT.sub(OF_PARTY, LINES)

STATEMENT = """
    select * exclude (party, transfer_id, leg), sum(amount) over (
        partition by account, asset order by booked_date, place)::bigint as balance
    from (
        select *, row_number() over (order by booked_date, array_position(<codes>, code), business_key, leg,
            transfer_id, amount) as place
        from (<lines>) where party = $party
    ) order by asset desc, place
""".replace("<lines>", LINES).replace("<codes>", str(list(_ORDER)))

BALANCES = """
    select account, asset, sum(moved)::bigint as balance from (
        select credit_account as account, asset, amount as moved, booked_date, <value_date> as value_date
        from <ledger_transfers>
        union all
        select debit_account, asset, -amount, booked_date, <value_date> from <ledger_transfers>
    ) where value_date <= $as_of and booked_date <= $known_on
    group by account, asset having sum(moved) <> 0 order by asset, account
""".replace("<value_date>", VALUE_DATE)
