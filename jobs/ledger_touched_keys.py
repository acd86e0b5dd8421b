"""ledger_touched_keys: merchants and effective dates whose entitlements the close looks at again.

No Spark: ``build`` reads its inputs as views of a DuckDB connection.
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from ccare.ledger.touched import touched_keys

if TYPE_CHECKING:
    import duckdb

    from ccare.runtime.close import Close


def build(inputs: "duckdb.DuckDBPyConnection", close: "Close") -> pa.Table:
    """Each key once; none where nothing may earn yet."""
    return touched_keys(inputs, close)


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("ledger_touched_keys"))
