"""Who of the demo's panel has a mini-program: those whose visits to one are simulated, and no others.

The panel knows of none. So each of these merchants gets a second record with origin simulated, its own one with the
number of a mini-program, that holds from go-live on, or from the day after its first sale; the real one stays as it is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from ccare.simulate.files import write_lines

_FILE = "simulated-mini-programs.jsonl"
_VISITED = """
select distinct merchant_id
from read_json($files, format = 'newline_delimited', ignore_errors = true, columns = {merchant_id: 'varchar'})
"""


def mini_program_id(merchant: str) -> str:
    """Number of a merchant's simulated mini-program."""
    return f"sim-mini-{merchant}"


def write_mini_programs(landing: Path, go_live: date) -> int:
    """Write the records beside the panel's own, delivery by delivery; gives their number.

    The same landing gives the same bytes.
    """
    visits = [str(path) for path in sorted((landing / "mini_program").rglob("*.jsonl"))]
    if not visits:
        return 0
    with duckdb.connect() as con:
        visited = {merchant for (merchant,) in con.execute(_VISITED, {"files": visits}).fetchall()}
    found: dict[Path, list[dict[str, Any]]] = defaultdict(list)
    for folder, record in _records(landing):
        if record["merchant_id"] in visited:
            since = max(go_live, date.fromisoformat(record["valid_from"]) + timedelta(days=1))
            its = {"mini_program_id": mini_program_id(record["merchant_id"]), "valid_from": str(since)}
            found[folder].append(record | its | {"origin": "simulated"})
    for folder, rows in found.items():
        write_lines(folder / _FILE, rows)
    return sum(map(len, found.values()))


def _records(landing: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The panel's real records, each with the folder it is delivered in."""
    for path in sorted((landing / "merchants").rglob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if record.get("origin", "real") == "real":
                yield path.parent, record
