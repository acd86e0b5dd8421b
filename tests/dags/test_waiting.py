"""Days in order: what waits, on what, and when it goes on; what a late run says."""

import asyncio
import json
import logging
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow.sdk.serde import deserialize, serialize

from ccare.orchestration import DayBeforeOperator, by_month, deadline
from ccare.orchestration.alerts import on_failure, run_is_late
from ccare.orchestration.waiting import DayIsDue, is_due
from ccare.runtime import manifest
from ccare.runtime.rowstore import write_rows
from ccare.tables import table
from tests.dags.test_operator import logged, run_of

CLOSED = date(2026, 3, 2)


@pytest.fixture
def lake(child: Path, tmp_path: Path) -> Path:
    """A lake with 2 March closed; the tasks' commands reach the child that stands for ccare."""
    lake = tmp_path / "lake"
    version = write_rows(lake, table("run_releases"), [], "r")
    told = {"revision": 0, "table_versions": {"run_releases": version}, "control_totals": {}}
    told |= {
        "inputs_digest": "",
        "code_version": "1",
        "policy_version": "1",
        "published_at": datetime.now(UTC),
    }
    last = manifest.append(lake, None, run_id="a", business_date=CLOSED, kind="close", **told)
    manifest.append(
        lake, last, run_id="b", business_date=CLOSED - timedelta(days=1), kind="republish", **told
    )
    return lake


def test_the_head_says_what_is_closed(lake: Path, tmp_path: Path) -> None:
    for n, due in ((-5, True), (0, True), (1, True), (2, False)):
        assert (
            is_due(str(lake), CLOSED + timedelta(days=n))
            is is_due(lake.as_uri(), CLOSED + timedelta(days=n))
            is due
        )
    none, day = str(tmp_path / "none"), timedelta(days=1)
    assert is_due(none, CLOSED), "a first close waits for nothing"
    assert is_due(none, CLOSED, CLOSED) and not is_due(none, CLOSED + day, CLOSED), (
        "but for the lake's first day"
    )
    manifest.head_file(lake).write_text("{")
    assert is_due(str(lake), date(2030, 1, 1)), "what cannot be read here is refused by the lake itself"


def test_a_day_whose_predecessor_is_open_waits_without_a_slot(
    lake: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CCARE_DAY_BEFORE", raising=False)
    operator = DayBeforeOperator(task_id="day_before")
    operator.execute({"dag_run": run_of("2026-03-03")})
    with pytest.raises(TaskDeferred) as waits:
        operator.execute({"dag_run": run_of("2026-03-04")})
    path, told = waits.value.trigger.serialize()
    assert path == "ccare.orchestration.waiting.DayIsDue" and deserialize(serialize(told)) == told
    assert told == {"lake": str(lake), "day": "2026-03-04", "first": None, "seconds": 20.0}
    with pytest.raises(AirflowFailException, match="A day before 2026-03-04 is open"):
        operator.execute({"dag_run": run_of("2026-03-04", user="dag_test")})
    assert not [line for line in logged(capsys) if line.startswith("saw ")]


def test_or_it_closes_the_days_before(
    lake: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CCARE_DAY_BEFORE", "close")
    DayBeforeOperator(task_id="day_before").execute({"dag_run": run_of("2026-03-06")})
    month = DayBeforeOperator(task_id="month_closed", reads=by_month, whole=True)
    month.execute({"dag_run": run_of("2026-03-01")})
    month.execute({"dag_run": run_of("2026-02-01")})
    saw = [line for line in logged(capsys) if line.startswith("saw ")]
    assert saw == [
        f"saw {json.dumps(['run', '--if-open', '--day', day, '--json'])}"
        for day in ("2026-03-05", "2026-03-31")
    ]


def test_the_trigger_fires_when_the_day_before_is_closed(lake: Path) -> None:
    """On the file that a publication writes, while another thread publishes."""
    head = manifest.head_file(lake)
    told = json.loads(head.read_text()) | {"last_closed": "2026-03-03"}
    publisher = threading.Timer(0.5, lambda: manifest.write_atomically(head, json.dumps(told)))

    async def first() -> Any:
        async for event in DayIsDue(str(lake), "2026-03-04", seconds=0.05).run():
            return event.payload

    publisher.start()
    assert asyncio.run(asyncio.wait_for(first(), 20)) == {"day": "2026-03-04"}
    publisher.join()


def test_a_late_run_is_told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CCARE_ALERT_TO", raising=False)
    monkeypatch.setenv("CCARE_DEADLINE_HOURS", "2")
    alert = deadline("merchant_daily")
    assert (
        alert.interval == timedelta(hours=2)
        and alert.callback.path == "ccare.orchestration.alerts.run_is_late"
    )
    with caplog.at_level(logging.WARNING):
        asyncio.run(
            run_is_late(**alert.callback.kwargs, context={"dag_run": {"partition_key": "2026-03-02"}})
        )
    assert "merchant_daily of 2026-03-02 is late: it takes 2:00:00 longer" in caplog.text
    assert on_failure() == []


def test_mail_where_somebody_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCARE_ALERT_TO", "night@example.com, lead@example.com")
    (mail,) = on_failure()
    assert mail.to == ["night@example.com", "lead@example.com"] and "failed" in mail.subject
