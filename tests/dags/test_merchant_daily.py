"""The DAG itself: it loads, it is light, it owns every table of the day, and a run closes the day before."""

import ast
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction

from ccare.errors import UsageError
from ccare.orchestration import RetryByExitCode, asset, daily_schedule, first_run
from ccare.tables import stored_tables

ROOT = Path(__file__).resolve().parents[2]
DAG_FILES = sorted((ROOT / "dags").glob("*.py"))


@pytest.fixture
def dagbag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DagBag:
    for name in ("CCARE_SCHEDULE_FROM", "CCARE_SCHEDULE_AT", "CCARE_AIRFLOW_POOL", "CCARE_BUSINESS_TIMEZONE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CCARE_LAKE", str(tmp_path / "lake"))
    # Who parses DAGs may not be allowed to read the key.
    monkeypatch.setenv("CCARE_PSEUDONYM_KEY_FILE", "/no/such/key")
    return DagBag(ROOT / "dags")


def test_imports(dagbag: DagBag) -> None:
    assert dagbag.import_errors == {}
    assert set(dagbag.dags) == {"merchant_daily"}


def test_habits(dagbag: DagBag) -> None:
    for dag in dagbag.dags.values():
        dag.check_cycle()
        assert dag.max_active_runs == 1
        assert {"ccare", "daily"} <= dag.tags
        assert dag.doc_md and "| 30 |" in dag.doc_md and dag.description
        for task in dag.tasks:
            assert task.owner == "data-engineering"
            assert task.retries >= 1 and isinstance(task.retry_policy, RetryByExitCode)
            assert task.execution_timeout is not None
            assert task.doc_md
            assert not task.template_fields and not task.do_xcom_push


def test_three_processes_one_after_the_other(dagbag: DagBag) -> None:
    dag = dagbag.dags["merchant_daily"]
    assert {t.task_id: sorted(t.downstream_task_ids) for t in dag.tasks} == {
        "ingest": ["close"],
        "close": ["export"],
        "export": [],
    }


def test_every_table_of_the_day_has_its_asset(dagbag: DagBag, tmp_path: Path) -> None:
    outlets = [(o.name, o.uri) for task in dagbag.dags["merchant_daily"].tasks for o in task.outlets]
    assert sorted(name for name, _ in outlets) == sorted(t.name for t in stored_tables())
    assert all(uri == f"file://{tmp_path}/lake/{name}" for name, uri in outlets)
    for name in ("state_changes", "no_such_table"):
        with pytest.raises(KeyError):
            asset(name)


def test_dags_import_airflow_and_orchestration_only() -> None:
    for file in DAG_FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] == "airflow" or name == "ccare.orchestration", (
                    f"{file.name}: {name}"
                )


def test_loading_a_dag_is_quick_and_loads_no_engine() -> None:
    """The DAG processor loads files again and again: no engine, under a second beside Airflow's imports."""
    code = f"""
import runpy, sys, time
from airflow.sdk import DAG, Asset, BaseOperator, CronPartitionTimetable, Param, RetryDecision, RetryPolicy
started = time.process_time()
for file in {[str(f) for f in DAG_FILES]!r}:
    runpy.run_path(file)
seconds = time.process_time() - started
heavy = {{"pyspark", "delta", "deltalake", "duckdb", "pandas", "great_expectations", "scipy"}}
print(sorted(heavy & {{name.split(".")[0] for name in sys.modules}}), seconds < 1)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.splitlines()[-1] == "[] True"


def test_params_have_a_schema(dagbag: DagBag) -> None:
    params = dagbag.dags["merchant_daily"].params
    for name, good, bad in (
        ("day", [None, "2026-03-02"], ["2026-3-2", "x", 5, "2026-03-02; ls"]),
        ("allow_missing", [[], ["payments"]], ["payments", ["vouchers"], ["payments", "payments"]]),
    ):
        for value in good:
            assert params.get_param(name).resolve(value) == value
        for value in bad:
            with pytest.raises(ParamValidationError):
                params.get_param(name).resolve(value)


def test_a_run_closes_the_day_before_in_business_time(
    dagbag: DagBag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCARE_BUSINESS_TIMEZONE", "America/New_York")
    monkeypatch.setenv("CCARE_SCHEDULE_AT", "05:30")
    monkeypatch.setenv("CCARE_SCHEDULE_FROM", "2026-03-07")
    dag = DagBag(ROOT / "dags").dags["merchant_daily"]
    assert dag.catchup and dag.start_date == first_run()
    scheduled = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    assert scheduled.start_date == datetime(2026, 3, 8, 5, tzinfo=UTC)
    restriction = TimeRestriction(earliest=scheduled.start_date, latest=None, catchup=True)
    keys, last = [], None
    for _ in range(3):
        last = scheduled.timetable.next_dagrun_info_v2(last_dagrun_info=last, restriction=restriction)
        assert last is not None
        keys.append((last.partition_key, last.run_after.astimezone(UTC).isoformat()))
    # Summer time begins on 8 March: the first run is at 05:30 all the same.
    assert keys == [
        ("2026-03-07", "2026-03-08T09:30:00+00:00"),
        ("2026-03-08", "2026-03-09T09:30:00+00:00"),
        ("2026-03-09", "2026-03-10T09:30:00+00:00"),
    ]


def test_without_a_first_day_no_past_day_is_made_up_for(dagbag: DagBag) -> None:
    dag = dagbag.dags["merchant_daily"]
    assert dag.start_date is None and not dag.catchup


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CCARE_SCHEDULE_AT", "6:00"),
        ("CCARE_SCHEDULE_AT", "24:00"),
        ("CCARE_SCHEDULE_AT", "* * * * *"),
        ("CCARE_BUSINESS_TIMEZONE", "Mars/Olympus"),
        ("CCARE_SCHEDULE_FROM", "tomorrow"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_an_import_error_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=value.replace("*", r"\*")):
        (first_run if name == "CCARE_SCHEDULE_FROM" else daily_schedule)()
