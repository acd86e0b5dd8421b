"""What a merchant's programmes did not grant lately, and what daily promotion gives it next."""

from dataclasses import dataclass
from datetime import date

import duckdb

from ccare.exports import words
from ccare.exports.query import rows_of
from ccare.exports.words import Words, same
from ccare.ledger.reasons import REFUSALS

SHOWN = 8
_LATELY = """
select effective_date, programme, reason, asset, sum(amount)::bigint as amount
from (
    from ledger_refusals where merchant_id = $merchant and decided_on > $day::date - 28
    qualify decided_on = max(decided_on) over (partition by business_key)
)
group by all order by effective_date desc, programme, reason, asset limit $shown
"""
_NEXT = """
select slot, impressions from ledger_promotions
where merchant_id = $merchant and decided_on = $day order by impressions desc, slot
"""


@dataclass(frozen=True)
class NotGranted:
    """Units of a date that a programme did not grant, for one reason."""

    about: date
    programme: Words
    reason: Words
    amount: int
    asset: str


def not_granted(con: duckdb.DuckDBPyConnection, merchant_id: str, day: date) -> tuple[NotGranted, ...]:
    """The last dates of which something was refused or cut by closes of 28 days up to ``day``."""
    return tuple(
        NotGranted(
            row["effective_date"],
            words.PROGRAMME.get(row["programme"], same(row["programme"])),
            Words(**REFUSALS[row["reason"]]),
            row["amount"],
            row["asset"],
        )
        for row in rows_of(con, _LATELY, merchant=merchant_id, day=day, shown=SHOWN)
    )


def promotion(con: duckdb.DuckDBPyConnection, merchant_id: str, day: date) -> tuple[tuple[Words, str], ...]:
    """Slots and impressions that the close of ``day`` gave for nothing on the day after."""
    return tuple(
        (words.SLOT.get(row["slot"], same(row["slot"])), f"{row['impressions']:,}")
        for row in rows_of(con, _NEXT, merchant=merchant_id, day=day)
    )
