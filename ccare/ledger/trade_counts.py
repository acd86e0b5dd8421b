"""What rules count of trades, by the day and by the month: the rows of ledger_trade_counts, counted by DuckDB.

docs/decisions/0018 says why not in Spark.
"""

from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from ccare.ledger.monthly import monthly
from ccare.ledger.rules import TradeNet
from ccare.ledger.trades import trade_nets
from ccare.runtime.rowstore import arrow_schema
from ccare.tables import table

if TYPE_CHECKING:
    from ccare.runtime.close import Close


def trade_counts(con: duckdb.DuckDBPyConnection, close: "Close") -> pa.Table:
    """Grain: measure of a rule that counts trades, merchant or service provider, and effective date.

    ``units`` in fen; ``refusal``: why they count for nothing. A measure by the day has a row for every
    touched key that is booked.
    """
    schema = arrow_schema(table("ledger_trade_counts"))
    parts = list(monthly(con, close))
    found = con.execute("select distinct effective_date from ledger_touched_keys order by all").fetchall()
    if found and any(isinstance(rule, TradeNet) for rule in close.ledger.rules):
        parts.append(trade_nets(close, tuple(row[0] for row in found)))
    if not parts:
        return schema.empty_table()
    told = " union all ".join(f"({part})" for part in parts)
    return con.sql(told).to_arrow_table().cast(schema)
