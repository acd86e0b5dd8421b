"""Additive partials of one merchant's day, for the days counted again.

No Spark: ``build`` reads its inputs as views of a DuckDB connection.
"""

from typing import TYPE_CHECKING

from ccare.state.folds import merchant_days, on_dates

if TYPE_CHECKING:
    import duckdb

    from ccare.runtime.close import Close


def build(inputs: "duckdb.DuckDBPyConnection", close: "Close") -> "duckdb.DuckDBPyRelation":
    """The touched business dates and those of new staff, whole, from their user days."""
    days = on_dates("state_user_days", (*close.touched, *close.staff_days))
    return inputs.sql(merchant_days(days, "core_staff"))


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("state_merchant_days"))
