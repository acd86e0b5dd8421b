"""Control totals: sums that a publication must reproduce. Computed by DuckDB over the pinned files."""

from pathlib import Path

import duckdb

from ccare.runtime import deltalog

FORGOTTEN_ROWS = ".forgotten_rows"
"""A forget tells the rows that it touched beside the sums, as ``table.forgotten_rows``."""
REBUILT_ROWS = ".rebuilt_rows"
"""A rebuild tells the rows that differed, as ``table.rebuilt_rows``."""
REPAIRED = ".repaired_rows"
"""A repair tells the rows of each table that it made again: versions before it are not what they were."""
MISSING_ALLOWED = ".missing_allowed"
"""A close that went on without a required stream tells it, as ``stream.missing_allowed``: 1."""
TOLD = (FORGOTTEN_ROWS, REBUILT_ROWS, REPAIRED, MISSING_ALLOWED)
_TOTALS = {
    "core_payments": {"amount_fen": "sum(amount_fen)"},
    "state_merchant_days": {"gmv_fen": "sum(gmv_fen)", "events": "sum(events)"},
    "state_users": {"gmv_fen": "sum(gmv_fen)"},
    "raw_files": {
        "rows_read": "sum(rows_read)",
        "rows_accepted": "sum(rows_accepted)",
        "rows_duplicate": "sum(rows_duplicate)",
        "rows_rejected": "sum(rows_rejected)",
    },
    "ledger_transfers": {"amount": "sum(amount)"},
    "ledger_balances": {"credits": "sum(credits)", "balance": "sum(balance)"},
}


def control_totals(lake: Path, versions: dict[str, int]) -> dict[str, int]:
    """``table.measure`` -> exact integer, for the tables that exist."""
    con = duckdb.connect()
    totals: dict[str, int] = {}
    for name, measures in _TOTALS.items():
        if name not in versions:
            continue
        files = deltalog.data_files(lake, name, versions[name])
        for measure, expression in measures.items():
            totals[f"{name}.{measure}"] = _one(con, files, expression)
    return totals


def _one(con: duckdb.DuckDBPyConnection, files: list[str], expression: str) -> int:
    if not files:
        return 0
    row = con.read_parquet(files).aggregate(f"coalesce({expression}, 0)::hugeint").fetchone()
    return int(row[0]) if row else 0
