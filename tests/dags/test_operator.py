"""Each exit code of a real process ends in the task state that the runbook tells."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import DagRun
from airflow.sdk.definitions.retry_policy import RetryAction
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors

from ccare import errors
from ccare.orchestration import (
    EXIT_RULES,
    RETRIES,
    ApproveAskOperator,
    CcareOperator,
    CloseFailed,
    OpenAsksOperator,
    RetryByExitCode,
    assets,
    by_clock,
    by_month,
    by_range,
    exit_rule,
    runbook,
)
from ccare.orchestration.report import event_extra

MORNING = datetime(2026, 3, 3, 6, tzinfo=UTC)


def run_of(
    partition_key: str | None = "2026-03-02", conf: dict[str, Any] | None = None, user: str = ""
) -> DagRun:
    """A scheduled run as the execution API hands it to a task."""
    return DagRun(
        dag_id="merchant_daily",
        run_id="r",
        logical_date=None,
        data_interval_start=None,
        data_interval_end=None,
        run_after=MORNING,
        start_date=MORNING,
        end_date=None,
        run_type="scheduled",
        state="running",
        conf=conf,
        consumed_asset_events=[],
        partition_key=partition_key,
        triggering_user_name=user,
    )


def execute(operator: CcareOperator, run: DagRun) -> OutletEventAccessors:
    """Run the task's process; returns what its assets were told."""
    events = OutletEventAccessors()
    operator.execute({"dag_run": run, "outlet_events": events})
    return events


def logged(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The messages that reached the task's log."""
    return re.findall(r"\[info *\] (.*?) *\[airflow\.task", capsys.readouterr().out)


def ingest() -> CcareOperator:
    return CcareOperator(
        task_id="ingest", command=["ingest"], waits_for_delivery=True, outlets=assets("raw", "core")
    )


def test_done(child: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    key = "a key of more than thirty-two bytes"
    monkeypatch.setenv("CCARE_PSEUDONYM_KEY", key)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    operator = ingest()
    events = execute(operator, run_of(conf={"allow_missing": ["life_account"]}))
    lines = logged(capsys)
    words = ["ingest", "--day", "2026-03-02", "--allow-missing", "life_account", "--json"]
    assert f"saw {json.dumps(words)}" in lines
    assert "key ***" in lines and key not in "".join(lines)
    assert "airflow" in lines
    assert re.fullmatch(r"ccare ended after [0-9.]+ s, exit code 0", lines[-5])
    assert lines[-4].split() == ["step", "table", "rows", "files", "version", "seconds", "jobs"]
    assert lines[-3].split() == ["ingest", "core_payments", "7", "1", "3", "0.5", "2"]
    assert lines[-2] == "published: run 1 of 2026-03-02 (r1)"
    assert lines[-1] == 'manifest row: ccare sql -c "from run_manifest where seq = 1"'
    told = {outlet.name: events[outlet] for outlet in operator.outlets}
    assert told["core_payments"].extra == {"day": "2026-03-02", "rows": 7, "version": 3, "rejected": 0}
    assert told["core_merchants"].extra == {"day": "2026-03-02", "rows": 0, "rejected": 0}
    assert {tuple(event.partition_keys) for event in told.values()} == {("2026-03-02",)}


def test_events_tell_what_a_killed_try_wrote() -> None:
    """The process that went on has a line of what it wrote itself; the rest stands in the published run."""
    line = {"table": "ledger_lots", "rows": 7, "version": 3}
    wrote = {"ledger_lots": {"rows": 7, "version": 3}, "state_users": {"rows": 61, "version": 2}}
    result = {"written": [line], "published": {"business_date": "2026-03-02", "wrote": wrote}}
    day = MORNING.date() - timedelta(days=1)
    told = {name: event_extra(name, day, result) for name in (*wrote, "state_user_days")}
    assert told == {
        "ledger_lots": {"day": "2026-03-02", "rows": 7, "version": 3},
        "state_users": {"day": "2026-03-02", "rows": 61, "version": 2},
        "state_user_days": {"day": "2026-03-02", "rows": 0},
    }
    assert event_extra("state_users", MORNING.date(), result) == {"day": "2026-03-03", "rows": 0}


def test_allow_missing_reaches_only_the_task_that_takes_deliveries(
    child: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(CcareOperator(task_id="export", command=["export"]), run_of(conf={"allow_missing": ["payments"]}))
    lines = logged(capsys)
    assert 'saw ["export", "--day", "2026-03-02", "--json"]' in lines
    assert lines[-1] == "wrote /exports/scores.csv"


@pytest.mark.parametrize(
    ("code", "elsewhere", "in_ingest"),
    [
        (1, "retry", "retry"),
        (2, "fail", "fail"),
        (3, "retry", "retry"),
        (10, "fail", "fail"),
        (20, "fail", "retry"),
        (30, "fail", "fail"),
        (99, "retry", "retry"),
        (-9, "retry", "retry"),
    ],
)
def test_exit_codes(
    child: Path, monkeypatch: pytest.MonkeyPatch, code: int, elsewhere: str, in_ingest: str
) -> None:
    kinds = {"fail": AirflowFailException, "retry": CloseFailed}
    monkeypatch.setenv("CHILD_EXIT_INGEST", str(code))
    monkeypatch.setenv("CHILD_EXIT_RUN", str(code))
    told = "killed by signal 9" if code < 0 else "Payments are late. Wait."
    with pytest.raises(kinds[in_ingest], match=told) as raised:
        execute(ingest(), run_of())
    assert str(raised.value).endswith(f"(exit code {code})")
    with pytest.raises(kinds[elsewhere], match=told):
        execute(CcareOperator(task_id="close", command=["run"]), run_of())


def test_what_no_retry_mends_fails_at_once(child: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for run in (run_of("2026-3-2"), run_of(None), run_of(conf={"day": "2026-03-03"}), run_of(conf={"x": 1})):
        with pytest.raises(AirflowFailException):
            execute(ingest(), run)
    monkeypatch.setenv("CCARE_COMMAND", "/no/such/ccare")
    with pytest.raises(AirflowFailException, match="/no/such/ccare cannot be started"):
        execute(ingest(), run_of())
    monkeypatch.setenv("CCARE_LAKE", "lake")
    with pytest.raises(AirflowFailException, match="absolute path"):
        execute(ingest(), run_of())


def answer(option: str, **more: Any) -> dict[str, Any]:
    """A person's answer as Airflow hands it to a parked task."""
    who = {"id": "7", "name": "Wu"}
    event = {"chosen_options": [option], "params_input": {"reason": "seen"}, "responded_at": MORNING}
    return event | {"responded_by_user": who} | more


BLOCKED = {"day": "2026-03-01", "rules": ["core_payments.fresh", "core_staff.bad_origin"]}


def test_an_approval_releases_what_was_shown_and_runs_again(
    child: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    operator, events = ingest(), OutletEventAccessors()
    context = {"dag_run": run_of(), "outlet_events": events}
    operator.execute_complete(context, answer("Approve"), **BLOCKED)
    saw = [json.loads(line.removeprefix("saw ")) for line in logged(capsys) if line.startswith("saw ")]
    named = ["--by", "Wu", "--reason", "seen", "--json"]
    assert saw == [
        *(["release", "--day", "2026-03-01", "--rule", rule, *named] for rule in BLOCKED["rules"]),
        ["ingest", "--day", "2026-03-02", "--json"],
    ]
    assert {tuple(events[o].partition_keys) for o in operator.outlets} == {("2026-03-02",)}


def test_a_refusal_and_silence_run_nothing(child: Path, capsys: pytest.CaptureFixture[str]) -> None:
    context = {"dag_run": run_of()}
    with pytest.raises(AirflowFailException, match="Wu refused: nothing was published"):
        ingest().execute_complete(context, answer("Reject"), **BLOCKED)
    with pytest.raises(AirflowFailException, match="Nobody answered in time"):
        ingest().execute_complete(context, {"error": "late", "error_type": "timeout"}, **BLOCKED)
    assert not [line for line in logged(capsys) if line.startswith("saw ")]


def test_what_is_asked_of_the_ledger_is_approved_by_name(
    child: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHILD_ASKS", "1")
    context = {"dag_run": run_of(None)}
    assert OpenAsksOperator(task_id="open_asks").execute(context) == ["a"]
    approves = ApproveAskOperator(task_id="approve", reference="a")
    approves.execute_complete(context, answer("Approve", params_input={}))
    assert 'saw ["approve", "a", "--by", "Wu", "--json"]' in logged(capsys)
    approves.execute_complete(context, answer("Reject", params_input={}))
    with pytest.raises(AirflowSkipException):
        approves.execute_complete(context, {"error": "late", "error_type": "timeout"})
    ApproveAskOperator(task_id="approve", reference="b").execute(
        context
    )  # approved meanwhile: nobody is asked
    assert not [line for line in logged(capsys) if line.startswith('saw ["approve"')]
    monkeypatch.setenv("CHILD_EXIT_APPROVE", "2")
    with pytest.raises(AirflowFailException, match="exit code 2"):
        approves.execute_complete(context, answer("Approve", params_input={}))


def test_a_range_a_month_and_the_clock(child: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = {"from": "2026-03-01", "to": "2026-03-03", "reason": "a new policy"}
    operator = CcareOperator(
        task_id="restate", command=["restate"], reads=by_range, option="range", outlets=assets("run")
    )
    events = execute(operator, run_of(None, conf))
    (event,) = {tuple(sorted(events[o].partition_keys)) for o in operator.outlets}
    assert event == ("2026-03-01", "2026-03-02", "2026-03-03")
    for option in ("month_after", "as_of"):
        execute(
            CcareOperator(task_id="m", command=["m"], reads=by_month, option=option), run_of("2026-02-01")
        )
    execute(CcareOperator(task_id="v", command=["verify"], reads=by_clock, option="nothing"), run_of(None))
    saw = [json.loads(line.removeprefix("saw ")) for line in logged(capsys) if line.startswith("saw ")]
    assert saw == [
        ["restate", "--from", "2026-03-01", "--to", "2026-03-03", "--reason", "a new policy", "--json"],
        ["m", "--month", "2026-03", "--json"],
        ["m", "--as-of", "2026-02-28", "--json"],
        ["verify", "--json"],
    ]


def test_waits() -> None:
    def waits(error: Exception) -> list[float]:
        found = []
        for attempt in range(1, RETRIES + 2):
            decision = RetryByExitCode().evaluate(error, attempt, RETRIES)
            if decision.action is RetryAction.FAIL:
                break
            assert decision.retry_delay is not None
            found.append(decision.retry_delay / timedelta(minutes=1))
        return found

    assert waits(CloseFailed("", 3)) == [1, 2, 4, 8, 16, *[30] * 7]
    assert waits(CloseFailed("", 20)) == [30] * 12
    assert waits(CloseFailed("", 1)) == waits(TimeoutError()) == waits(CloseFailed("", -9)) == [5, 10]


def test_a_cleared_task_counts_its_failures_anew() -> None:
    first = RetryByExitCode().evaluate(CloseFailed("", 1), try_number=4, max_tries=3 + RETRIES)
    assert first.retry_delay == timedelta(minutes=5)


def test_dags_test_does_not_wait() -> None:
    context = {"dag_run": run_of(user="dag_test")}
    assert RetryByExitCode().evaluate(CloseFailed("", 3), 1, RETRIES, context).action is RetryAction.FAIL


def test_every_exit_code_has_its_line_in_the_runbook() -> None:
    codes = {e.exit_code for e in vars(errors).values() if isinstance(e, type)}
    assert set(EXIT_RULES) == codes
    text = runbook()
    for code in codes:
        assert f"\n| {code} | {EXIT_RULES[code].meaning} |" in text
    assert exit_rule(20, waits_for_delivery=False).wait(1) is None
