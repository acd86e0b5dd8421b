"""score_drivers: every weighted metric of every merchant, placed among its peers.

No Spark: ``build`` reads its inputs as views of a DuckDB connection (docs/decisions/0015).
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from ccare.scoring.drivers import drivers

if TYPE_CHECKING:
    import duckdb

    from ccare.runtime.close import Close


def build(inputs: "duckdb.DuckDBPyConnection", close: "Close") -> pa.Table:
    """One row for each merchant of the day's metrics and each metric that the policy weighs."""
    return drivers(inputs, close.day, close.scoring, close.benchmarks_of, close.run_id)


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("score_drivers"))
