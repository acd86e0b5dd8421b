"""ledger_user_counts: users who count for a rule, by merchant and effective date.

No Spark: ``build`` reads its inputs as views of a DuckDB connection.
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from ccare.ledger.user_counts import user_counts

if TYPE_CHECKING:
    import duckdb

    from ccare.runtime.close import Close


def build(inputs: "duckdb.DuckDBPyConnection", close: "Close") -> pa.Table:
    """A row for every measure of a rule that counts users and touched key that counts, or is booked."""
    return user_counts(inputs, close)


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("ledger_user_counts"))
