"""Registry of every table. Importable with neither Spark nor Airflow."""

from difflib import get_close_matches

from ccare.tables import core, ledger, metric, raw, run, score, state
from ccare.tables.model import LAYERS, Column, Table, WriteStyle

_ALL = (
    *raw.TABLES,
    *core.TABLES,
    *state.TABLES,
    *metric.TABLES,
    *score.TABLES,
    *ledger.TABLES,
    *run.TABLES,
)
REGISTRY: dict[str, Table] = {table.name: table for table in _ALL}


def all_tables() -> tuple[Table, ...]:
    """Every declared table, left to right."""
    return _ALL


def stored_tables() -> tuple[Table, ...]:
    """Tables that reach disk."""
    return tuple(table for table in _ALL if table.write is not WriteStyle.TRANSIENT)


def table(name: str) -> Table:
    """The table called ``name``; KeyError suggests the nearest names."""
    try:
        return REGISTRY[name]
    except KeyError:
        near = get_close_matches(name, REGISTRY) or sorted(REGISTRY)
        raise KeyError(f"unknown table {name}; did you mean {', '.join(near)}?") from None


__all__ = ["LAYERS", "REGISTRY", "Column", "Table", "WriteStyle", "all_tables", "stored_tables", "table"]
