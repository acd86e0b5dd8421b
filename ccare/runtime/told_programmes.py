"""What a close granted and did not grant, programme by programme, as lines of its summary."""

from typing import TYPE_CHECKING

import duckdb

from ccare.ledger.reasons import REFUSALS
from ccare.runtime.staging import staged_files

if TYPE_CHECKING:
    from ccare.runtime.run import Run

_GRANTED = """
select programme, asset, sum(amount)::bigint, count(distinct coalesce(merchant_id, service_provider_id))
from read_parquet($files) where code = 'earn' group by all order by all
"""
_REFUSED = """
select programme, asset, reason, sum(amount)::bigint, count(distinct business_key)
from read_parquet($files) group by all order by all
"""


def programme_lines(run: "Run") -> list[str]:
    """One line a programme and asset that granted, one a reason that something was not, out of the run's staging."""
    lines = [
        f"  {programme} granted {amount:,} {asset} to {parties:,}"
        for programme, asset, amount, parties in _rows(run, "ledger_transfers", _GRANTED)
    ]
    for programme, asset, reason, amount, keys in _rows(run, "ledger_refusals", _REFUSED):
        words = REFUSALS[reason]["en"]
        lines.append(f"  {programme} did not grant {amount:,} {asset} of {keys:,} keys: {reason} ({words})")
    return lines


def _rows(run: "Run", name: str, query: str) -> list[tuple[str, ...]]:
    files = staged_files(run, name)
    if not files:
        return []
    with duckdb.connect() as con:
        return con.execute(query, {"files": files}).fetchall()
