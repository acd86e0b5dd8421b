"""Net sales of a merchant and date, in fen: what rule kind trade_net counts."""

from datetime import date, timedelta
from typing import TYPE_CHECKING

from ccare.growth.snapshot import date_sql, dates_sql, quoted
from ccare.ledger.counting import BOOKED_DATES, staff_out
from ccare.ledger.rules import TradeNet

if TYPE_CHECKING:
    from ccare.runtime.close import Close


def trade_nets(close: "Close", dates: tuple[date, ...]) -> str:
    """Grain: touched key that sold or is booked. ``units`` in fen = paid - refunds of those trades, on ``dates``.

    A key all of whose rows are staff's now still has to be seen falling to nothing.
    """
    listed = f"in ({dates_sql(dates)})"
    return f"""
select {quoted(str(TradeNet.model_fields["kind"].default))} as measure, merchant_id,
    null::varchar as service_provider_id, effective_date, sum(units)::bigint as units, null::varchar as refusal
from (
    select merchant_id, effective_date, units from ({net_parts(close, listed)}) {staff_out(close)}
    union all select merchant_id, effective_date, 0 from {BOOKED_DATES}
) semi join ledger_touched_keys using (merchant_id, effective_date) group by all"""


def net_parts(close: "Close", paid_on: str) -> str:
    """What adds up to the net of the trades whose payment date meets ``paid_on``, in fen.

    Columns: merchant_id, user_key (the payer), effective_date, units. Staff is in it still.
    """
    parts = [
        f"""
select merchant_id, user_key, business_date as effective_date, coalesce(gmv_fen, 0) as units
from state_user_days where orders > 0 and business_date {paid_on}""",
        f"""
select merchant_id, user_key, paid_date, -coalesce(refund_fen, 0)
from state_refund_days where paid_date {paid_on}""",
    ]
    start, late_days = close.earn_start, close.ledger.late_window_days
    # Before that day no row can be late for a key that earns, so the payments are not read at all.
    if close.day >= start + timedelta(days=late_days):
        parts.append(f"from ({_late_trades(close)}) where effective_date {paid_on}")
    return " union all ".join(parts)


def _late_trades(close: "Close") -> str:
    """Takes out again what was delivered after the late window: the trades, and their refunds.

    A refund that is late itself still counts against its trade: the window bounds what may earn.
    """
    start, late_days = date_sql(close.earn_start), close.ledger.late_window_days
    first = date_sql(close.earn_start + timedelta(days=late_days))
    taken = f"core_payments where greatest(taken_on, business_date) <= {date_sql(close.day)}"
    return f"""
with late as materialized (
    select merchant_id, user_key, business_date, trade_no, coalesce(amount_fen, 0) as fen from {taken}
        and taken_on >= {first} and event_type = 'paid' and business_date >= {start}
        and delivery_date - business_date > {late_days}
)
select merchant_id, user_key, business_date as effective_date, -fen as units from late
union all
select merchant_id, user_key, business_date, coalesce(amount_fen, 0)
from (select merchant_id, trade_no, amount_fen from {taken} and event_type = 'refunded')
join (select merchant_id, user_key, business_date, trade_no from late) using (merchant_id, trade_no)"""
