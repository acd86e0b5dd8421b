"""State that an older ccare wrote is refused: a column that it lacks would be read as nobody having done anything."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from ccare.errors import StateOutdated
from ccare.runtime import deltalog
from ccare.tables import Table, stored_tables


def lacking(lake: Path, declared: Table, version: int) -> list[str]:
    """Declared columns that the table does not have at ``version``."""
    kept = {field.name for field in deltalog.open_table(lake, declared.name, version).schema().fields}
    return [name for name in declared.column_names if name not in kept]


def outdated_tables(lake: Path, versions: Mapping[str, int]) -> dict[str, list[str]]:
    """State tables among ``versions`` that lack declared columns -> the columns."""
    state = [each for each in stored_tables() if each.layer == "state" and each.name in versions]
    found = {each.name: lacking(lake, each, versions[each.name]) for each in state}
    return {name: missing for name, missing in found.items() if missing}


def require_current_state(lake: Path, versions: Mapping[str, int], told_again: date | None = None) -> None:
    """StateOutdated where a state table lacks a declared column at its version.

    ``told_again``: the versions are those that this closed day left, which no rebuild changes.
    """
    for name, missing in outdated_tables(lake, versions).items():
        lacks = f"{name} was written by an older ccare: it lacks {', '.join(missing)}."
        if told_again is not None:
            raise StateOutdated(
                f"{told_again} cannot be told again: its {lacks}",
                remedy="What is published of it stays. The last closed day can be told again after a rebuild.",
            )
        raise StateOutdated(
            f"Table {lacks}",
            remedy="Nothing was changed. Derive it again from the core tables: ccare state --rebuild.",
        )
