"""Lifetime of one user at one merchant.

No Spark: ``build`` reads its inputs as views of a DuckDB connection.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from ccare.metrics.windows import AsOf
from ccare.state.folds import on_dates
from ccare.state.lifetimes import Lag, first_users, users
from ccare.tables.state import LAG_DAYS

if TYPE_CHECKING:
    import duckdb

    from ccare.runtime.close import Close


def build(inputs: "duckdb.DuckDBPyConnection", close: "Close") -> "duckdb.DuckDBPyRelation":
    """Everyone, with what the day adds folded in; relations of LAG_DAYS ago move on by that day."""
    first = min(close.touched, default=close.day)
    if close.day == close.first_day:
        return inputs.sql(first_users("state_changes", close.day, first))
    leaving = on_dates("state_user_days", [close.day - timedelta(days=LAG_DAYS)])
    lag = Lag(leaving, AsOf(close.day, close.timezone).start(LAG_DAYS - 1))
    return inputs.sql(users(inputs, "state_users", "state_changes", close.day, first, lag))


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("state_users"))
