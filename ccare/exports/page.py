"""The reference page of merchants' files, from the declarations: ``python -m ccare.exports.page`` prints it."""

from importlib.resources import files

from ccare.exports import drivers, merchants, statement
from ccare.exports.suppression import MIN_PEERS, MIN_USERS, WIDTH
from ccare.scoring.places import MIDDLE
from ccare.tables.model import Column

_TABLES = {
    "scores.csv": (
        merchants.SCORES_SCHEMA,
        (*merchants.SCORE_COLUMNS, merchants.ORIGIN),
        f"One row for each of the last {merchants.SCORE_DAYS} days with a score, newest first.",
    ),
    "drivers.csv": (
        drivers.SCHEMA,
        (*drivers.COLUMNS, merchants.ORIGIN),
        "One row for each metric of the policy.",
    ),
    "statement.csv": (
        statement.SCHEMA,
        (*statement.COLUMNS, merchants.ORIGIN),
        "Opening balance, transfers and closing balance of each asset from the first of the month that 30 days ago "
        "lies in, then what else concerns points and traffic. Opening + transfers = closing = `ledger_balances`, "
        "checked before anything is written.",
    ),
}


def page() -> str:
    """The page as Markdown."""
    head = files("ccare.exports").joinpath("templates", "exports_page.md").read_text(encoding="utf-8")
    numbers = {"MIN_USERS": MIN_USERS, "MIN_PEERS": MIN_PEERS, "WIDTH": WIDTH, "MIDDLE": MIDDLE}
    parts = [head.format(**numbers)]
    for name, (schema, columns, about) in _TABLES.items():
        parts.append(f"\n## `{name}` (`{schema}`)\n\n{about}\n\n| column | type | what |\n|---|---|---|\n")
        parts += [_row(column) for column in columns]
    return "".join(parts)


def _row(column: Column) -> str:
    unit = f" Unit: {column.unit}." if column.unit else ""
    return f"| `{column.name}` | {column.type} | {column.description}{unit} |\n"


if __name__ == "__main__":
    print(page(), end="")
