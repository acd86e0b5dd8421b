"""What the day being closed adds to each merchant, user and business date.

No Spark: ``build`` reads its inputs as views of a DuckDB connection.
"""

from typing import TYPE_CHECKING

from ccare.state.facts import facts
from ccare.state.folds import pair_days

if TYPE_CHECKING:
    import duckdb

    from ccare.runtime.close import Close


def build(inputs: "duckdb.DuckDBPyConnection", close: "Close") -> "duckdb.DuckDBPyRelation":
    """One pass over the new rows of all streams."""
    return inputs.sql(pair_days(f"({facts(close.day, close.first_day, close.slots)})"))


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("state_changes"))
