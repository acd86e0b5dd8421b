"""score_potentials: what each merchant's users are expected to do, by models fitted as of the close's day.

A slower clock than the other jobs, and no Spark: ``build`` reads its inputs as views of a DuckDB connection.
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from ccare.potential.outlooks import outlooks

if TYPE_CHECKING:
    import duckdb

    from ccare.runtime.close import Close


def build(inputs: "duckdb.DuckDBPyConnection", close: "Close") -> pa.Table:
    """One row for each merchant with a paying user by ``close.day``."""
    return outlooks(inputs, close.day, max(close.day, close.first_day))


if __name__ == "__main__":
    from ccare.runtime.potentials import show

    raise SystemExit(show())
