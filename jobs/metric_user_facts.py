"""metric_user_facts: users of each merchant counted by what is told of them on the day.

No Spark: ``build`` reads its inputs as views of a DuckDB connection.
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from ccare.metrics.user_facts import user_facts
from ccare.metrics.windows import AsOf

if TYPE_CHECKING:
    import duckdb

    from ccare.runtime.close import Close


def build(inputs: "duckdb.DuckDBPyConnection", close: "Close") -> pa.Table:
    """One pass over state_users."""
    return user_facts(inputs, AsOf(close.day, close.timezone))


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("metric_user_facts"))
