"""Which state is refused as an older version's, and what `ccare state` may be asked; no Spark."""

from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from ccare.cli import app
from ccare.errors import StateOutdated, UsageError
from ccare.runtime import outdated, rowstore
from ccare.runtime.outdated import outdated_tables, require_current_state
from ccare.runtime.rowstore import LAYOUT_PROPERTY, arrow_schema, layout_of, properties, write_rows
from ccare.state import facts
from ccare.tables import table
from ccare.tables.state import FUNNEL_SLOTS, FUNNEL_STEPS, LAG_DAYS, LAYOUT, MARKS, RELATIONS, SUMS, TASKS

DAY = date(2026, 3, 1)
DAYS = table("state_merchant_days")
ROW = {"merchant_id": "m1", "business_date": DAY, "dau": 2}


def test_a_state_table_that_lacks_a_column_is_named_with_the_remedy(tmp_path: Path) -> None:
    current = write_rows(tmp_path, DAYS, [ROW], "r", [DAY])
    older = DeltaTable(str(tmp_path / DAYS.name)).to_pyarrow_table().drop_columns(["payers", "clicks"])
    write_deltalake(str(tmp_path / DAYS.name), older, mode="overwrite", schema_mode="overwrite")
    require_current_state(tmp_path, {DAYS.name: current})
    now = {DAYS.name: current + 1, "core_payments": 7}
    assert outdated_tables(tmp_path, now) == {DAYS.name: "it lacks payers, clicks"}
    with pytest.raises(StateOutdated, match=r"Table state_merchant_days .* lacks payers, clicks") as refused:
        require_current_state(tmp_path, now)
    assert "ccare state --rebuild" in refused.value.remedy
    with pytest.raises(StateOutdated, match="2026-03-01 cannot be told again: its state_merchant_days"):
        require_current_state(tmp_path, now, told_again=DAY)


def test_state_of_another_layout_is_refused_and_none_means_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = write_rows(tmp_path, DAYS, [ROW], "r", [DAY])
    opened = DeltaTable(str(tmp_path / DAYS.name))
    assert layout_of(opened) == LAYOUT
    # A lake made before layouts were counted: no number, the same columns.
    old = tmp_path / "old"
    names = {k: v for k, v in properties(DAYS).items() if k != LAYOUT_PROPERTY}
    DeltaTable.create(str(old / DAYS.name), arrow_schema(DAYS), configuration=names)
    assert layout_of(DeltaTable(str(old / DAYS.name))) == 1
    assert bool(outdated_tables(old, {DAYS.name: 0})) == (LAYOUT != 1)

    for module in (outdated, rowstore):
        monkeypatch.setattr(module, "LAYOUT", LAYOUT + 1)
    told = f"state_merchant_days was written by another ccare: its layout is {LAYOUT}, this one's is {LAYOUT + 1}"
    with pytest.raises(StateOutdated, match=told) as refused:
        require_current_state(tmp_path, {DAYS.name: version})
    assert "ccare state --rebuild" in refused.value.remedy
    again = write_rows(tmp_path, DAYS, [ROW], "rebuilt", [DAY])
    require_current_state(tmp_path, {DAYS.name: again})
    assert outdated_tables(tmp_path, {DAYS.name: version}), "what was published stays what it was"


def test_what_bits_mean_is_pinned_to_the_layout() -> None:
    """Where this fails, raise LAYOUT (ccare/tables/state.py) and pin the new hash beside the old ones."""
    meaning = (
        *(MARKS, FUNNEL_STEPS, FUNNEL_SLOTS, TASKS, sorted(RELATIONS.items()), LAG_DAYS),
        *(sorted(facts._ALWAYS_ACTIVE.items()), facts.PAGE_VIEW_MS, sorted(facts._STEPS.items())),
        *(
            [(name, sorted(told.items())) for name, told in sorted(facts._MARKED.items())],
            facts.PRIVATE_SLOTS,
        ),
        *([(name, sorted(told.items())) for name, told in sorted(facts._TASKS.items())], facts.GUIDE),
        *(facts._GUIDED, sorted(facts._RELATION_TABLES.items()), [column.name for column in SUMS]),
    )
    assert sha256(repr(meaning).encode()).hexdigest() == MEANING[LAYOUT]


MEANING = {1: "c7e6aa1ff05e4ccdea10a4a13d88d132a34894dc94e2349a9d97529d6c69c371"}
"""Layout -> hash of what its bits and sums mean; never change one that is written."""


def test_a_lake_without_state_lacks_nothing(tmp_path: Path) -> None:
    require_current_state(tmp_path, {})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "No day was given"),
        (["--from", "2026-03-01"], "belong to --rebuild"),
        (["--reason", "why"], "belong to --rebuild"),
        (["--rebuild", "--day", "2026-03-01"], "exclude each other"),
    ],
)
def test_state_is_asked_for_a_day_or_for_a_rebuild(options: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["state", *options])
    assert isinstance(result.exception, UsageError) and said in result.exception.message
