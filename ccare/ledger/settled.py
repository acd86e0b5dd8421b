"""Fees and net of settled trades by the month: what the resource pack gives back of them."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ccare.growth.snapshot import date_sql
from ccare.ledger.counting import staff_out
from ccare.ledger.months import first_paid, last_paid, month_of_trade

if TYPE_CHECKING:
    from ccare.runtime.close import Close


def settled_months(close: "Close", ends: Sequence[date]) -> str:
    """Grain: merchant and last day of a month in ``ends``. ``net_fen`` and ``fee_fen`` of its settled trades.

    net of a trade = paid - refunded so far; of its fee counts floor(fee x net / paid). Staff payers are out, unknown
    payers in; a trade that was delivered after the late window counts for nothing.
    """
    # Exact products are dear, and of most trades nothing is returned.
    return f"""
select merchant_id, {month_of_trade("paid_on")} as effective_date, sum(net_fen)::bigint as net_fen,
    sum(case when paid_fen = 0 then 0 when net_fen = paid_fen then fee_fen
        else (fee_fen::hugeint * net_fen // paid_fen)::bigint end)::bigint as fee_fen
from ({_trades(close, ends)}) group by all"""


SERVED_FEES = """
select service_provider_id, effective_date, sum(fee_fen)::bigint as units
from settled join core_merchants using (merchant_id)
where service_provider_id is not null and coalesce(valid_from <= effective_date, true)
    and coalesce(valid_to >= effective_date, true)
group by all"""
"""Grain: service provider and month. Fees of the merchants that it serves on the month's last day."""


def _trades(close: "Close", ends: Sequence[date]) -> str:
    """Grain: trade paid in one of the months by no staff, with its paid_on, paid_fen, net_fen and fee_fen."""
    first, last = first_paid(ends), last_paid(ends)
    late = f"delivery_date - business_date > {close.ledger.late_window_days}"
    # A folder holds nothing dated later than minutes after its own day, and is taken the day before at the earliest.
    taken = f"taken_on between {date_sql(first - timedelta(days=2))} and {date_sql(close.day)}"
    return f"""
select merchant_id, paid_on, paid_fen, fee_fen, greatest(paid_fen - coalesce(back_fen, 0), 0) as net_fen
from (
    select merchant_id, user_key, trade_no, business_date as paid_on, coalesce(amount_fen, 0) as paid_fen,
        coalesce(fee_fen, 0) as fee_fen
    from core_payments where event_type = 'paid' and {taken}
        and business_date between {date_sql(first)} and {date_sql(last)}
        and not ({late} and business_date >= {date_sql(close.earn_start)})
) {staff_out(close)}
left join (
    select merchant_id, trade_no, sum(coalesce(amount_fen, 0))::bigint as back_fen
    from core_payments where event_type = 'refunded' and {taken} group by all
) using (merchant_id, trade_no)"""
