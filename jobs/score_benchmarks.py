"""score_benchmarks: frozen by the first close of a month that needs them, and never touched again.

No Spark: ``build`` reads its inputs as views of a DuckDB connection.
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from ccare.runtime.rowstore import arrow_rows
from ccare.scoring.frozen_rows import month_frozen
from ccare.scoring.months import month_of
from ccare.tables import table

if TYPE_CHECKING:
    import duckdb

    from ccare.runtime.close import Close


def build(inputs: "duckdb.DuckDBPyConnection", close: "Close") -> pa.Table:
    """The month's benchmarks, or no rows when it has them already."""
    asked = "select 1 from score_benchmarks where month = $1 limit 1"
    if inputs.execute(asked, [month_of(close.day)]).fetchone():
        return arrow_rows(table("score_benchmarks"), ())
    return month_frozen(inputs, close.day, close.scoring)


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("score_benchmarks"))
