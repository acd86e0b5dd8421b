"""How merchants' net GMV grew over the 28 days after a day, and over the 28 days up to it."""

from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np

from ccare.scoring.arithmetic import Floats

HORIZON = 28
"""Days of a window, as W28 and P28 of the metrics have."""
LOOKS_BACK = 2 * HORIZON - 1
"""Days before the as-of day that a growth up to it reaches."""

# Net GMV of three windows, as r_net_gmv counts it: paid less refunded by the refund's own day, everybody's.
_NETS = """
select merchant_id,
    coalesce(sum(net) filter (business_date < $day::date - 27), 0)::bigint as earlier,
    coalesce(sum(net) filter (business_date between $day::date - 27 and $day), 0)::bigint as until,
    coalesce(sum(net) filter (business_date > $day), 0)::bigint as coming,
    count(*) filter (event_type = 'paid' and business_date between $day::date - 27 and $day) as orders
from (
    select merchant_id, event_type, business_date, if(event_type = 'paid', amount_fen, -amount_fen) as net
    from core_payments
    where event_type in ('paid', 'refunded') and business_date between $day::date - 55 and $day::date + 28
) group by merchant_id order by merchant_id
"""


@dataclass(frozen=True)
class Nets:
    """A merchant's net GMV in fen: P28, W28 and the 28 days after; paid trades in W28."""

    earlier: int
    until: int
    coming: int
    orders: int


def nets(con: duckdb.DuckDBPyConnection, day: date) -> dict[str, Nets]:
    """Merchant -> its net GMV around ``day``, from core_payments as they are known now."""
    return {merchant: Nets(*of) for merchant, *of in con.execute(_NETS, {"day": day}).fetchall()}


def growth(before: Floats, after: Floats) -> Floats:
    """(after - before) / (after + before), from -1 (nothing any more) to 1 (from nothing); null where both are nothing.

    It orders merchants as after / before does, without running away where ``before`` is next to nothing. A net below
    0, more refunded than paid, counts as nothing.
    """
    a, b = np.maximum(after, 0.0), np.maximum(before, 0.0)
    with np.errstate(invalid="ignore"):
        return (a - b) / (a + b)
