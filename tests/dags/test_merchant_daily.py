"""The DAGs: they load, they are light, the daily one owns every table, and its run closes the day before."""

import ast
import os
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
from ccare.orchestration.day_before import order_setting
from ccare.orchestration.waiting import answer_within, late_after
from ccare.tables import stored_tables

ROOT = Path(__file__).resolve().parents[2]
DAG_FILES = sorted((ROOT / "dags").glob("*.py"))


@pytest.fixture
def dagbag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DagBag:
    for name in [name for name in os.environ if name.startswith("CCARE_") and name != "CCARE_CACHE"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CCARE_LAKE", str(tmp_path / "lake"))
    # Who parses DAGs may not be allowed to read the key.
    monkeypatch.setenv("CCARE_PSEUDONYM_KEY_FILE", "/no/such/key")
    return DagBag(ROOT / "dags")


DAGS = {
    "merchant_daily": "daily",
    "ledger_approvals": "daily",
    "weekly_upkeep": "weekly",
    "monthly_models": "monthly",
    "close_days": "by hand",
    "restate_days": "by hand",
}


def test_imports(dagbag: DagBag) -> None:
    assert dagbag.import_errors == {}
    assert set(dagbag.dags) == set(DAGS)


def test_habits(dagbag: DagBag) -> None:
    for name, dag in dagbag.dags.items():
        dag.check_cycle()
        assert dag.max_active_runs == (8 if name == "merchant_daily" else 1)
        assert {"ccare", DAGS[name]} == dag.tags
        assert dag.doc_md and "| 30 |" in dag.doc_md and dag.description
        for task in dag.tasks:
            assert task.owner == "data-engineering"
            assert task.retries >= 1 and isinstance(task.retry_policy, RetryByExitCode)
            assert task.execution_timeout is not None
            assert task.doc_md
            # A reference alone goes through XCom, to the task that puts it before a person.
            assert task.is_mapped or task.do_xcom_push == (task.task_id == "open_asks")
            assert not task.template_fields


def test_the_order_of_tasks(dagbag: DagBag) -> None:
    roads = {
        "merchant_daily": ["day_before", "ingest", "close", "export", "data_docs"],
        "close_days": ["day_before", "close"],
        "restate_days": ["propose", "restate", "export"],
        "weekly_upkeep": ["verify_everything", "maintain_tables"],
        "monthly_models": ["month_closed", "freeze_benchmarks", "fit_potential"],
        "ledger_approvals": ["open_asks", "approve"],
    }
    for name, road in roads.items():
        found = {t.task_id: sorted(t.downstream_task_ids) for t in dagbag.dags[name].tasks}
        assert found == {task: road[n + 1 : n + 2] for n, task in enumerate(road)}


def test_days_and_months_have_a_deadline_where_one_is_set(
    dagbag: DagBag, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [name for name, dag in dagbag.dags.items() if dag.deadline]
    monkeypatch.setenv("CCARE_DEADLINE_HOURS", "4")
    dags = DagBag(ROOT / "dags").dags
    assert {name for name, dag in dags.items() if dag.deadline} == {"merchant_daily", "monthly_models"}


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
import airflow.providers.standard.operators.hitl, airflow.triggers.base
from airflow.sdk import AsyncCallback, DAG, Asset, CronPartitionTimetable, DeadlineAlert, Param, RetryPolicy
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
    for dag, name, good, bad in (
        ("merchant_daily", "day", [None, "2026-03-02"], ["2026-3-2", "x", 5, "2026-03-02; ls"]),
        (
            "merchant_daily",
            "allow_missing",
            [[], ["payments"]],
            ["payments", ["vouchers"], ["payments", "payments"]],
        ),
        ("close_days", "from", ["2026-03-02"], [None, "2026-3-2", 5]),
        ("restate_days", "to", ["2026-03-02"], [None, "$(date)"]),
        ("restate_days", "reason", ["a new policy"], [None, "", "x" * 501]),
    ):
        params = dagbag.dags[dag].params
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
        ("CCARE_DAY_BEFORE", "skip"),
        ("CCARE_DEADLINE_HOURS", "0"),
        ("CCARE_ANSWER_HOURS", "soon"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_an_import_error_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    readers = {
        "CCARE_SCHEDULE_FROM": first_run,
        "CCARE_DAY_BEFORE": order_setting,
        "CCARE_DEADLINE_HOURS": late_after,
        "CCARE_ANSWER_HOURS": answer_within,
    }
    with pytest.raises(UsageError, match=value.replace("*", r"\*")):
        readers.get(name, daily_schedule)()
