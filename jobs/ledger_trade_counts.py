"""ledger_trade_counts: what trades count for a rule, by merchant or service provider and effective date.

No Spark: ``build`` reads its inputs as views of a DuckDB connection.
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from ccare.ledger.trade_counts import trade_counts

if TYPE_CHECKING:
    import duckdb

    from ccare.runtime.close import Close


def build(inputs: "duckdb.DuckDBPyConnection", close: "Close") -> pa.Table:
    """A row for touched keys that sold or are booked, and on a month's last day for whoever earns by the month."""
    return trade_counts(inputs, close)


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("ledger_trade_counts"))
