"""metric_merchant_facts: what is told of a merchant from core rows by the hour and by the model in force.

No Spark: ``build`` reads its inputs as views of a DuckDB connection.
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from ccare.metrics.merchant_facts import merchant_facts

if TYPE_CHECKING:
    import duckdb

    from ccare.runtime.close import Close


def build(inputs: "duckdb.DuckDBPyConnection", close: "Close") -> pa.Table:
    """One row for each merchant that a model expects something of or whose points paid for hours."""
    return merchant_facts(inputs, close.day)


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("metric_merchant_facts"))
