"""ccare.duckdb: opens bare, counts like the manifest, and says what every column is."""

import subprocess
import sys
from datetime import date
from pathlib import Path
from types import ModuleType

import duckdb
import pytest

from ccare.growth.catalogue import write_catalogue
from ccare.growth.derived import macros, views
from ccare.growth.questions import questions
from ccare.runtime import manifest
from ccare.runtime.manifest import Published
from ccare.runtime.rowstore import write_rows
from ccare.runtime.settings import Settings
from ccare.tables import stored_tables, table


@pytest.fixture
def path(settings: Settings, row: Published) -> Path:
    return write_catalogue(settings, row)


@pytest.fixture
def con(path: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(path), read_only=True)


def test_counts_are_the_manifests(con: duckdb.DuckDBPyConnection, row: Published) -> None:
    for stored in stored_tables():
        counted = con.execute(f"select count(*) from {stored.name}").fetchone()
        expected = 1 if stored.name == "run_manifest" else row.rows.get(stored.name, 0)
        assert counted == (expected,), stored.name


def test_every_view_and_column_is_described(con: duckdb.DuckDBPyConnection) -> None:
    shown = dict(con.sql("select view_name, comment from duckdb_views() where not internal").fetchall())
    assert set(shown) == {t.name for t in stored_tables()} | {v.name for v in views()}
    assert all(shown.values())
    made = dict(
        con.sql("select function_name, comment from duckdb_functions() where not internal").fetchall()
    )
    assert set(made) == {m.name for m in macros()}
    assert all(made.values())
    columns = con.sql(
        "select table_name, column_name, comment from duckdb_columns() where not internal"
    ).fetchall()
    assert [c[:2] for c in columns if not c[2]] == []
    described = {(t, c): text for t, c, text in columns}
    for stored in stored_tables():
        for column in stored.columns:
            assert described[stored.name, column.name].startswith(column.description)
    assert described["core_payments", "amount_fen"].endswith("Unit: fen.")


def test_views_and_the_macro_answer(con: duckdb.DuckDBPyConnection) -> None:
    assert con.sql("select merchant_id, name, total_score from latest_scores order by 1").fetchall()[1] == (
        "m2",
        '=HYPERLINK("http://x")',
        None,
    )
    assert con.sql("select count(*), max(as_of_date) from latest_drivers").fetchone() == (
        20,
        date(2017, 12, 31),
    )
    names = dict(con.sql("select merchant_id, name from merchants_current").fetchall())
    assert len(names) == 4 and names["m1"].startswith("Corner")
    for day, as_of in (("2017-12-31", 31), ("2017-12-30", 24), ("2017-12-24", 24)):
        found = con.execute(
            "select distinct as_of_date from scores_asof($day::date)", {"day": day}
        ).fetchall()
        assert found == [(date(2017, 12, as_of),)]
    assert con.sql("select count(*) from scores_asof('2017-12-23')").fetchone() == (0,)


def test_each_table_told_day_by_day_has_its_latest_day_and_any_day(con: duckdb.DuckDBPyConnection) -> None:
    for stored in stored_tables():
        if "as_of_date" in stored.key:
            short = {"score_merchants": "scores", "metric_merchants": "metrics"}.get(
                stored.name, stored.name.split("_", 1)[1]
            )
            for day, source in (
                ("2017-12-31", f"latest_{short}"),
                ("2017-12-24", f"{short}_asof('2017-12-30')"),
            ):
                expected = con.sql(
                    f"select count(*) from {stored.name} where as_of_date = '{day}'"
                ).fetchone()
                assert con.sql(f"select count(*) from {source}").fetchone() == expected, source
    assert con.sql("select name from merchants_asof('2017-11-30') where merchant_id = 'm1'").fetchone() == (
        "Old <b>Corner</b> Bakery",
    )


def test_balances_of_any_day_come_from_the_transfers(con: duckdb.DuckDBPyConnection) -> None:
    cached = con.sql("select account, asset, balance from ledger_balances order by 1, 2").fetchall()
    assert con.sql("from balances_asof('2017-12-31') order by 1, 2").fetchall() == cached
    asked = "select balance from balances_asof('2017-12-27') where account = 'merchant:m1:active'"
    assert con.sql(asked).fetchone() == (100,)


def test_the_snapshot_and_the_questions_stand_in_it(con: duckdb.DuckDBPyConnection, row: Published) -> None:
    found = con.sql(
        "select seq, run_id, business_date, hash, currency, policy_version from snapshot"
    ).fetchall()
    assert found == [(row.seq, row.run_id, row.business_date, row.hash, "USD", row.policy_version)]
    queries = con.sql("select name, question, grain, parameters, sql from queries order by name").fetchall()
    assert [q[0] for q in queries] == sorted(questions())
    assert all(all(q) for q in queries)


def test_it_opens_in_a_bare_duckdb(path: Path) -> None:
    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True);"
        "c.execute('set autoinstall_known_extensions=false; set autoload_known_extensions=false');"
        "print(c.sql('select count(*) from score_merchants').fetchone()[0])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script, str(path)], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("6", "")


def test_it_is_renamed_into_place_and_pins_its_version(small_lake: ModuleType, tmp_path: Path) -> None:
    settings = small_lake.build(tmp_path)
    first = manifest.latest(settings.lake)
    assert first
    path = write_catalogue(settings, first)
    extra = {"merchant_id": "m9", "name": "New", "industry": "X", "own_brand": True}
    extra |= {"joined_on": date(2018, 1, 1), "valid_from": date(2018, 1, 1)}
    extra |= {n: small_lake.provenance()[n] for n in ("delivery_date", "taken_on", "origin")}
    version = write_rows(settings.lake, table("core_merchants"), [extra], "later")
    with duckdb.connect(str(path), read_only=True) as con:
        assert con.sql("select count(*) from core_merchants").fetchone() == (4,), (
            "unpublished rows stay unseen"
        )
    second = small_lake.publish(settings, {**first.table_versions, "core_merchants": version})
    with duckdb.connect(str(path), read_only=True) as con:
        assert con.sql("select count(*) from core_merchants").fetchone() == (4,), (
            "an old file keeps its version"
        )
    write_catalogue(settings, second)
    with duckdb.connect(str(path), read_only=True) as con:
        assert con.sql("select count(*) from core_merchants").fetchone() == (5,)
        assert con.sql("select max(seq) from run_manifest").fetchone() == (2,)
    write_catalogue(settings, first)
    with duckdb.connect(str(path), read_only=True) as con:
        assert con.sql("select max(seq) from run_manifest").fetchone() == (1,)
    assert [p.name for p in settings.exports.iterdir()] == ["ccare.duckdb"]


def test_min_and_max_of_a_partition_survive_a_filter_that_leaves_one_file(
    con: duckdb.DuckDBPyConnection,
) -> None:
    asked = (
        "select max(as_of_date), min(as_of_date) from score_merchants where as_of_date < date '2017-12-25'"
    )
    assert con.sql(asked).fetchone() == (date(2017, 12, 24), date(2017, 12, 24))
    plan = con.execute(f"explain analyze {asked}").fetchall()[0][1]
    assert "Scanning Files: 1/2" in plan, "partitions are still pruned"
