"""score_merchants: the four dimensions and the total of every merchant.

No Spark: ``build`` reads its inputs as views of a DuckDB connection (docs/decisions/0015).
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from ccare.scoring.merchants import merchants

if TYPE_CHECKING:
    import duckdb

    from ccare.runtime.close import Close


def build(inputs: "duckdb.DuckDBPyConnection", close: "Close") -> pa.Table:
    """One row for each merchant with drivers on the day."""
    return merchants(inputs, close.day, close.scoring, close.benchmarks_of, close.unreconciled, close.run_id)


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("score_merchants"))
