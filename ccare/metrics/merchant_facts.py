"""The rows of metric_merchant_facts: what no state keeps, read from core rows by DuckDB."""

from datetime import date
from itertools import chain

import duckdb
import pyarrow as pa

from ccare.metrics.points_lift import points_lift
from ccare.potential.realised import realised
from ccare.runtime.rowstore import arrow_schema
from ccare.tables import table


def merchant_facts(con: duckdb.DuckDBPyConnection, day: date) -> pa.Table:
    """metric_merchant_facts of one day from core tables taken by ``day`` and the models fitted before its window."""
    found: dict[str, dict[str, object]] = {}
    for row in chain(realised(con, day), points_lift(con, day)):
        found.setdefault(str(row["merchant_id"]), {}).update(row)
    rows = [found[merchant] for merchant in sorted(found)]
    return pa.Table.from_pylist(rows, schema=arrow_schema(table("metric_merchant_facts")))
