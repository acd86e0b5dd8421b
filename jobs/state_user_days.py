"""Counts and amounts of one user at one merchant on one day: the touched days, as they are now.

No Spark: ``build`` reads its inputs as views of a DuckDB connection.
"""

from typing import TYPE_CHECKING

from ccare.state.folds import merged_pair_days, on_dates

if TYPE_CHECKING:
    import duckdb

    from ccare.runtime.close import Close


def build(inputs: "duckdb.DuckDBPyConnection", close: "Close") -> "duckdb.DuckDBPyRelation":
    """The touched business dates, whole: a late row adds to its own day."""
    if close.day == close.first_day:
        return inputs.table("state_changes")
    return inputs.sql(merged_pair_days(on_dates("state_user_days", close.touched), "state_changes"))


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("state_user_days"))
