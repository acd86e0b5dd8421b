"""Users that a day may change, as they were: what the fold of state_users starts from, looked up by DuckDB."""

from datetime import timedelta
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from ccare.runtime.rowstore import arrow_schema
from ccare.tables import table
from ccare.tables.state import LAG_DAYS, RELATIONS

if TYPE_CHECKING:
    from ccare.runtime.close import Close


def known_users(con: duckdb.DuckDBPyConnection, close: "Close") -> pa.Table:
    """Rows of state_users of whom something came in, or whose change of a relation is LAG_DAYS old now."""
    turned = close.day - timedelta(days=LAG_DAYS)
    changed = ", ".join(f"{relation}_at" for relation in RELATIONS)
    found = con.execute(
        f"""
select * from state_users semi join (
    select merchant_id, user_key from state_changes
    union all
    select merchant_id, user_key from state_user_days
    where business_date = $turned and coalesce({changed}) is not null
) using (merchant_id, user_key)""",
        {"turned": turned},
    )
    return found.to_arrow_table().cast(arrow_schema(table("state_known_users")))
