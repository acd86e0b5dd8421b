"""Which state is refused as an older version's, and what `ccare state` may be asked; no Spark."""

from datetime import date
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from ccare.cli import app
from ccare.errors import StateOutdated, UsageError
from ccare.runtime.outdated import outdated_tables, require_current_state
from ccare.runtime.rowstore import write_rows
from ccare.tables import table

DAY = date(2026, 3, 1)
DAYS = table("state_merchant_days")
ROW = {"merchant_id": "m1", "business_date": DAY, "dau": 2}


def test_a_state_table_that_lacks_a_column_is_named_with_the_remedy(tmp_path: Path) -> None:
    current = write_rows(tmp_path, DAYS, [ROW], "r", [DAY])
    older = DeltaTable(str(tmp_path / DAYS.name)).to_pyarrow_table().drop_columns(["payers", "clicks"])
    write_deltalake(str(tmp_path / DAYS.name), older, mode="overwrite", schema_mode="overwrite")
    require_current_state(tmp_path, {DAYS.name: current})
    now = {DAYS.name: current + 1, "core_payments": 7}
    assert outdated_tables(tmp_path, now) == {DAYS.name: ["payers", "clicks"]}
    with pytest.raises(StateOutdated, match=r"Table state_merchant_days .* lacks payers, clicks") as refused:
        require_current_state(tmp_path, now)
    assert "ccare state --rebuild" in refused.value.remedy
    with pytest.raises(StateOutdated, match="2026-03-01 cannot be told again: its state_merchant_days"):
        require_current_state(tmp_path, now, told_again=DAY)


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
