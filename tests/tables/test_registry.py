"""Laws that every declared table keeps."""

import re
from pathlib import Path

import pytest

from ccare.tables import LAYERS, Table, WriteStyle, all_tables, stored_tables, table
from ccare.tables.model import TYPES
from ccare.tables.streams import STREAMS

ROOT = Path(__file__).resolve().parents[2]
NAMES = {t.name for t in all_tables()}


@pytest.mark.parametrize("declared", all_tables(), ids=lambda t: t.name)
class TestEveryTable:
    def test_name_is_layer_and_plural_noun(self, declared: Table) -> None:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", declared.name)
        assert declared.layer in LAYERS
        assert not re.search(r"_v\d", declared.name), "no versions in names"

    def test_columns_are_described_and_typed_once(self, declared: Table) -> None:
        names = declared.column_names
        assert len(set(names)) == len(names)
        for column in declared.columns:
            assert column.type in TYPES, column
            assert column.description.rstrip()[-1] in ".;", f"{column.name}: a description is a sentence"

    def test_grain_is_a_sentence_and_key_stands_in_the_columns(self, declared: Table) -> None:
        assert declared.grain.startswith("one row for each")
        assert declared.key
        assert set(declared.key) <= set(declared.column_names)

    def test_partitions_are_columns(self, declared: Table) -> None:
        assert set(declared.partition_by) <= set(declared.column_names)
        if declared.write is WriteStyle.REPLACE_DAY:
            assert len(declared.partition_by) == 1, "replace_day replaces the values of one partition column"

    def test_inputs_exist_and_point_left(self, declared: Table) -> None:
        for name in declared.inputs:
            assert name in NAMES, name
            assert LAYERS.index(table(name).layer) <= LAYERS.index(declared.layer), (
                f"{name} stands to the right"
            )
        for name in declared.previous:
            assert name in NAMES, name

    def test_units_stand_last_in_the_name(self, declared: Table) -> None:
        for column in declared.columns:
            if column.name.endswith("_fen"):
                assert column.type == "bigint", f"{column.name} must be exact"
            if column.name.endswith("_at"):
                assert column.type == "timestamp"
            if column.name.endswith(("_date", "_on")) and column.type not in ("boolean",):
                assert column.type == "date", column.name

    def test_has_one_producer(self, declared: Table) -> None:
        made_by_harness = {
            "raw_files",
            "core_rejected_events",
            "core_forgotten",
            "run_manifest",
            "run_releases",
            "run_rebuilds",
            "run_restatements",
        }
        if declared.name in made_by_harness:
            return
        assert (ROOT / "jobs" / f"{declared.job}.py").is_file(), (
            f"jobs/{declared.job}.py makes {declared.name}"
        )


def test_every_job_makes_a_declared_table() -> None:
    jobs = {path.stem for path in (ROOT / "jobs").glob("*.py")} - {"__init__"}
    assert jobs <= NAMES


def test_inputs_have_no_cycle() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"cycle {' -> '.join((*path, name))}"
        if name not in done:
            for before in table(name).inputs:
                if before != name:
                    visit(before, (*path, name))
            done.add(name)

    for name in NAMES:
        visit(name, ())


def test_one_word_has_one_type_everywhere() -> None:
    types: dict[str, set[str]] = {}
    for declared in all_tables():
        for column in declared.columns:
            types.setdefault(column.name, set()).add(column.type)
    assert {name: kinds for name, kinds in types.items() if len(kinds) > 1} == {}


def test_an_unknown_table_is_answered_with_near_names() -> None:
    with pytest.raises(KeyError, match="core_payments"):
        table("core_payment")


def test_every_stream_feeds_a_stored_core_table() -> None:
    stored = {t.name for t in stored_tables()}
    assert {stream.table for stream in STREAMS.values()} <= stored


def test_layers_know_nothing_of_sources() -> None:
    """No job and no state, metric, score or ledger code names a source of data."""
    for folder in ("jobs", "ccare/state", "ccare/metrics", "ccare/scoring", "ccare/ledger", "ccare/events"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "journey" not in path.read_text().lower(), path


def test_declarations_import_no_engine() -> None:
    for folder in ("ccare/tables",):
        for path in (ROOT / folder).rglob("*.py"):
            assert not re.search(
                r"^\s*(import|from) (pyspark|airflow|duckdb|deltalake)", path.read_text(), re.M
            ), path
