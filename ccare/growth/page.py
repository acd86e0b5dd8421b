"""The reference page of the catalogue, written from the declarations: ``python -m ccare.growth.page`` prints it."""

from collections.abc import Iterable

from ccare.growth.catalogue import QUERIES, SNAPSHOT
from ccare.growth.derived import macros, views
from ccare.growth.questions import Question, questions
from ccare.tables import LAYERS, Column, Table, stored_tables

_HEAD = """# Catalogue

Written by `python -m ccare.growth.page` from `ccare/tables`, `ccare/growth` and `sql/growth`; a test keeps them equal.

`ccare.duckdb` under the exports folder shows one published run: every table as a view over exactly the Parquet files of
that run, each view and column with its comment. It needs no extension and opens read only in DuckDB from 1.2 on, its
command line included; `ccare export` and `ccare catalogue` write a new file and rename it into place, and one that
somebody holds open goes on showing its own run for as long as the lake keeps the files (35 days at least). How to ask:
[ask questions](../how-to/ask-questions.md).

A column that was declared after a row was written is null in that row.
"""
_LAYER = {
    "raw": "Deliveries",
    "core": "Rows as delivered, typed",
    "state": "State folded from them",
    "metric": "Metrics",
    "score": "Scores",
    "ledger": "Points",
    "run": "Published runs",
}


def page() -> str:
    """The page as Markdown."""
    parts = [
        _HEAD,
        "## Questions by name\n",
        "`ccare sql NAME --param key=value`; also rows of the table `queries`.\n",
    ]
    parts += [_asked(q) for q in questions().values()]
    parts.append("\n## Views and macros over the tables\n")
    parts += [f"- **`{v.name}`**: {v.about}" for v in views()]
    parts += [f"- **`{m.call}`**: {m.about}" for m in macros()]
    for layer in LAYERS:
        declared = [t for t in stored_tables() if t.layer == layer]
        if declared:
            parts.append(f"\n## {_LAYER[layer]}\n")
            parts += [_table(t) for t in declared]
    parts.append("\n## The catalogue's own tables\n")
    parts.append(_entry("snapshot", "The published run that every view is pinned to: one row.", SNAPSHOT))
    parts.append(_entry("queries", "Named questions. Grain: one row for each.", QUERIES))
    return "\n".join(parts) + "\n"


def _asked(q: Question) -> str:
    given = "; ".join(
        f"`{p.name}` ({p.type.lower()}, {'none' if p.default is None else p.default}): {p.description}"
        for p in q.parameters
    )
    return f"- **`{q.name}`**: {q.question} {q.grain[0].upper()}{q.grain[1:]}. {given}. `{q.run}`"


def _table(declared: Table) -> str:
    about = f"{declared.description} Grain: {declared.grain}."
    key = f" Key: {', '.join(f'`{name}`' for name in declared.key)}."
    by = (
        f" Partitioned by {', '.join(f'`{name}`' for name in declared.partition_by)}."
        if declared.partition_by
        else ""
    )
    caveats = f" {declared.caveats}" if declared.caveats else ""
    return _entry(declared.name, about + key + by + caveats, declared.columns)


def _entry(name: str, about: str, columns: Iterable[Column]) -> str:
    lines = [f"### {name}\n", f"{about}\n", "| column | type | unit | what it is |", "|---|---|---|---|"]
    return "\n".join([*lines, *map(_line, columns)]) + "\n"


def _line(c: Column) -> str:
    kind = c.type if c.nullable else f"{c.type}, required"
    about = c.description.replace("|", "\\|")
    return f"| `{c.name}` | {kind} | {c.unit} | {about} |"


if __name__ == "__main__":
    print(page(), end="")
