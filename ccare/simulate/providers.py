"""Simulated service providers for the demo: three with a solution each, adopted by some of the shops that sell most.

The purchases are real, so what the adopters grew is; that they adopted anything is simulated.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from ccare.simulate.files import write_lines

PROVIDERS = 3
ADOPTERS_EACH = 6
ADOPTED_BEFORE = 30
"""Days before go-live on which the solutions were adopted: within what chengfeng looks at in the demo's week."""
_FILE = "simulated-providers.jsonl"
_SELLERS = """
select merchant_id from (
    select merchant_id, sum(amount_fen) as fen
    from read_json($files, format = 'newline_delimited', ignore_errors = true, columns = {
        merchant_id: 'varchar', event_type: 'varchar', amount_fen: 'bigint', origin: 'varchar'})
    where event_type = 'paid' and origin = 'real' and merchant_id <> 'unknown'
    group by merchant_id order by fen desc, merchant_id limit $most
) order by md5(merchant_id)
"""


def write_providers(landing: Path, go_live: date) -> int:
    """Write providers, solutions and adoptions beside the landing files of the history; gives the adoptions.

    Adopters are drawn from those that sold most in three days of the go-live week. The same landing gives the same
    bytes.
    """
    days = [go_live + timedelta(days=n) for n in (1, 2, 3)]
    files = [str(path) for day in days for path in sorted((landing / "payments" / str(day)).glob("*.jsonl"))]
    if not files:
        return 0
    wanted = PROVIDERS * ADOPTERS_EACH
    sellers = [
        row[0] for row in duckdb.connect().execute(_SELLERS, {"files": files, "most": 3 * wanted}).fetchall()
    ]
    adoptions = list(_adoptions(sellers[:wanted], go_live - timedelta(days=ADOPTED_BEFORE)))
    providers = [_provider(n, go_live) for n in range(PROVIDERS)]
    solutions = [_solution(n) for n in range(PROVIDERS)]
    told = {"service_providers": providers, "solutions": solutions, "solution_adoptions": adoptions}
    for stream, rows in told.items():
        write_lines(landing / stream / str(go_live) / _FILE, rows)
    return len(adoptions)


def provider_id(number: int) -> str:
    """Id of the provider that joined as number ``number``, counted from 0."""
    return f"sim-isv-{number}"


def _provider(number: int, go_live: date) -> dict[str, Any]:
    row = {"service_provider_id": provider_id(number), "name": f"Simulated provider {number}"}
    return {**row, "joined_on": str(go_live - timedelta(days=200 - number)), "origin": "simulated"}


def _solution(number: int) -> dict[str, Any]:
    row = {"solution_id": f"sim-solution-{number}", "service_provider_id": provider_id(number)}
    return {**row, "name": f"Simulated solution {number}", "origin": "simulated"}


def _adoptions(sellers: list[str], on: date) -> Iterator[dict[str, Any]]:
    for place, merchant in enumerate(sellers):
        row = {"solution_id": f"sim-solution-{place % PROVIDERS}", "merchant_id": merchant}
        yield {**row, "adopted_on": str(on), "origin": "simulated"}
