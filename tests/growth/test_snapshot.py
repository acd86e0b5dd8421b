"""A lake that an older ccare wrote: columns declared since are null, everything else is as it was."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from types import ModuleType

import duckdb
import pytest

from ccare.growth.queries import run_query
from ccare.growth.snapshot import connect, gained_columns, view_sql
from ccare.runtime import manifest
from ccare.runtime.digest import lake_digest
from ccare.runtime.rowstore import write_rows
from ccare.runtime.settings import Settings
from ccare.runtime.verify import _table_check
from ccare.tables import Table, table

STAGES = table("metric_stages")
DAYS = (date(2017, 12, 24), date(2017, 12, 31))
LATER = "users"
"""A required column, as if it were declared after the first file was written."""


def rows(day: date, merchants: int) -> list[dict[str, object]]:
    return [
        {"merchant_id": f"m{n}", "as_of_date": day, "stage": "paid", "users": n + 7} for n in range(merchants)
    ]


def older() -> Table:
    kept = tuple(c for c in STAGES.columns if c.name != LATER)
    return replace(STAGES, columns=kept)


@pytest.fixture
def old_lake(small_lake: ModuleType, tmp_path: Path) -> Settings:
    """The small lake with one day of stages written without the column."""
    settings: Settings = small_lake.build(tmp_path)
    row = manifest.latest(settings.lake)
    assert row
    version = write_rows(settings.lake, older(), rows(DAYS[0], 2), "old")
    small_lake.publish(settings, {**row.table_versions, STAGES.name: version})
    return settings


def told(settings: Settings) -> list[tuple[object, ...]]:
    asked = "select as_of_date, merchant_id, users from metric_stages order by 1, 2"
    return run_query(settings, query=asked)[1]


def test_a_column_that_no_file_holds_is_null(old_lake: Settings) -> None:
    assert told(old_lake) == [(DAYS[0], "m0", None), (DAYS[0], "m1", None)]


def test_files_from_before_and_after_stand_side_by_side(old_lake: Settings, small_lake: ModuleType) -> None:
    row = manifest.latest(old_lake.lake)
    assert row
    version = write_rows(old_lake.lake, STAGES, rows(DAYS[1], 2), "new")
    row = small_lake.publish(old_lake, {**row.table_versions, STAGES.name: version})
    assert told(old_lake) == [
        (DAYS[0], "m0", None),
        (DAYS[0], "m1", None),
        (DAYS[1], "m0", 7),
        (DAYS[1], "m1", 8),
    ]
    assert gained_columns(old_lake.lake, STAGES, version) == {LATER}
    with connect(old_lake.lake, row) as con:
        plan = con.execute(
            "explain analyze select max(users), max(as_of_date) from metric_stages where as_of_date = date '2017-12-31'"
        ).fetchall()[0][1]
        assert "Scanning Files: 1/2" in plan, "partitions are still pruned"
        check = _table_check(con, old_lake.lake, STAGES, row)
        assert (check.ok, check.detail) == (True, "4 rows"), "a required column is not asked of older rows"
    assert STAGES.name in lake_digest(old_lake)["tables"]


def test_files_that_all_hold_every_column_are_not_opened_first(old_lake: Settings) -> None:
    payments = table("core_payments")
    assert gained_columns(old_lake.lake, payments, 1) == set()
    assert "union_by_name" not in view_sql(old_lake.lake, payments, 1)


def test_a_lost_file_is_told_by_whoever_reads_the_rows(old_lake: Settings) -> None:
    row = manifest.latest(old_lake.lake)
    assert row
    for file in (old_lake.lake / "core_payments").rglob("*.parquet"):
        file.unlink()
    with pytest.raises(duckdb.Error, match="core_payments"):
        duckdb.sql(view_sql(old_lake.lake, table("core_payments"), 1)).fetchall()
