"""What counting users and counting trades share, as SQL: whom to leave out, and who is told though at nothing."""

from typing import TYPE_CHECKING

from ccare.growth.snapshot import date_sql

if TYPE_CHECKING:
    from ccare.runtime.close import Close

BOOKED_DATES = """(select distinct merchant_id, effective_date from ledger_positions
    semi join ledger_touched_keys using (merchant_id, effective_date))"""
"""Touched keys of which anything is booked: each measure has a row there, so that it is seen falling to nothing."""


def staff_out(close: "Close") -> str:
    """A join that leaves out pairs known as staff by this close, and keeps null users.

    A staff pair acts on all of its rows, old ones too, from the close that takes it.
    """
    known = f"select merchant_id, user_key from core_staff where taken_on <= {date_sql(close.day)}"
    return f"anti join ({known}) using (merchant_id, user_key)"
