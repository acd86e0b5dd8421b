"""Refunds by the day their trade was paid.

No Spark: ``build`` reads its inputs as views of a DuckDB connection.
"""

from typing import TYPE_CHECKING

from ccare.state.refunds import matched_refunds, merged_refunds

if TYPE_CHECKING:
    import duckdb

    from ccare.runtime.close import Close


def build(inputs: "duckdb.DuckDBPyConnection", close: "Close") -> "duckdb.DuckDBPyRelation":
    """All refund days, with the pairs that became whole in this close."""
    pairs = matched_refunds(inputs, close.day, close.first_day, close.refunds_wait)
    return inputs.sql(merged_refunds("state_refund_days", pairs))


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("state_refund_days"))
