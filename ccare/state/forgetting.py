"""State without one user: what folding the core rows again, with that user taken out, would give. In DuckDB's SQL.

The token and the merchants stand in tables that ``know`` makes, never in a query.
"""

from collections.abc import Sequence
from datetime import date

import duckdb
import pyarrow as pa

from ccare.events.forgotten import FORGOTTEN_STAFF
from ccare.growth.snapshot import quoted
from ccare.state.folds import merchant_days, refolded
from ccare.state.lifetimes import first_users
from ccare.state.refunds import refolded_refunds
from ccare.tables import table

_IS_SUBJECT = (
    "(coalesce(user_key = (select token from subject), false)"
    " and coalesce(merchant_id = (select merchant_id from subject), (select merchant_id is null from subject)))"
)
_STAFF_OF = "merchant_id in (select merchant_id from staff_of)"
_FORGOTTEN_STAFF = f"({_STAFF_OF} and user_key = {quoted(FORGOTTEN_STAFF)})"


def know(con: duckdb.DuckDBPyConnection, token: str, merchant: str | None, staff_of: Sequence[str]) -> None:
    """Tell whom it is about: the user, the merchant (None: all), and the merchants whose staff the user is."""
    con.register("subject", pa.table({"token": [token], "merchant_id": pa.array([merchant], pa.string())}))
    con.register("staff_of", pa.table({"merchant_id": pa.array(staff_of, pa.string())}))


def touched(days: str) -> str:
    """Merchants and dates of the user's days."""
    return f"select distinct merchant_id, business_date from {days} where {_IS_SUBJECT}"


def user_days(days: str) -> str:
    """Pair days whole: the user's days join those of nobody known, or of forgotten staff; others pass as they are."""
    meets = f"({_IS_SUBJECT} or user_key is null or user_key = {quoted(FORGOTTEN_STAFF)})"
    names = ", ".join(table("state_user_days").column_names)
    again = refolded(_renamed(f"(select * from {days} where {meets})"))
    return f"select {names} from {days} where not {meets} union all select {names} from ({again})"


def refund_days(before: str) -> str:
    """Refund days whole, the user's joined to those of nobody known."""
    return refolded_refunds(_renamed(before))


def merchant_days_again(before: str, days: str, counted: str, staff: str) -> str:
    """Merchant days of whole dates: those ``counted`` again, the others as they were told."""
    names, key = ", ".join(table("state_merchant_days").column_names), "(merchant_id, business_date)"
    again = merchant_days(f"(select * from {days} semi join {counted} using {key})", staff)
    kept = f"select {names} from {before} anti join {counted} using {key}"
    return f"{kept} union all select {names} from ({again})"


def lifetimes(before: str, days: str, dates: Sequence[date]) -> str:
    """Users without the subject; forgotten staff of a merchant folded again from their days.

    ``days``: state_user_days as they are now; ``dates``: the first and last business date in them.
    """
    names = ", ".join(table("state_users").column_names)
    folded = first_users(f"(select * from {days} where {_FORGOTTEN_STAFF})", dates[-1], dates[0])
    rest = f"select {names} from {before} where not {_IS_SUBJECT} and not {_FORGOTTEN_STAFF}"
    return f"{rest} union all select {names} from ({folded})"


def _renamed(rows: str) -> str:
    """Stored rows with the subject's ``user_key`` taken out."""
    name = f"case when {_STAFF_OF} then {quoted(FORGOTTEN_STAFF)} end"
    return (
        f"(select * replace (case when {_IS_SUBJECT} then {name} else user_key end as user_key) from {rows})"
    )
