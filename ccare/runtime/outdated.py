"""State that another ccare wrote is refused: a column that it lacks would be read as nobody having done anything, and
bits that meant something else would be read as what they mean here."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from ccare.errors import StateOutdated
from ccare.runtime import deltalog
from ccare.runtime.rowstore import layout_of
from ccare.tables import Table, stored_tables
from ccare.tables.state import LAYOUT

LOST = 0
"""Layout of a state table that ``ccare repair`` emptied: whatever stands in it, it must be derived again."""


def fault_of(lake: Path, declared: Table, version: int) -> str:
    """What the table is not at ``version``: declared columns that it lacks, or another layout; "" where it is whole."""
    opened = deltalog.open_table(lake, declared.name, version)
    kept = {field.name for field in opened.schema().fields}
    missing = [name for name in declared.column_names if name not in kept]
    if missing:
        return f"it lacks {', '.join(missing)}"
    if declared.layer != "state" or (layout := layout_of(opened)) == LAYOUT:
        return ""
    return "it was lost" if layout == LOST else f"its layout is {layout}, this one's is {LAYOUT}"


def outdated_tables(lake: Path, versions: Mapping[str, int]) -> dict[str, str]:
    """State tables among ``versions`` that are not as this ccare folds them -> what they are not."""
    state = [each for each in stored_tables() if each.layer == "state" and each.name in versions]
    found = {each.name: fault_of(lake, each, versions[each.name]) for each in state}
    return {name: fault for name, fault in found.items() if fault}


def require_current_state(lake: Path, versions: Mapping[str, int], told_again: date | None = None) -> None:
    """StateOutdated where a state table lacks a declared column, or is of another layout, at its version.

    ``told_again``: the versions are those that this closed day left, which no rebuild changes.
    """
    for name, fault in outdated_tables(lake, versions).items():
        written = f"{name} was written by another ccare: {fault}."
        if told_again is not None:
            raise StateOutdated(
                f"{told_again} cannot be told again: its {written}",
                remedy="What is published of it stays. The last closed day can be told again after a rebuild.",
            )
        raise StateOutdated(
            f"Table {written}",
            remedy="Nothing was changed. Derive it again from the core tables: ccare state --rebuild.",
        )
