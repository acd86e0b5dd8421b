"""Three days on a real scheduler: a late file, repeated ones, a refused gate, a task and the scheduler killed.

At the end the lake, its ledger and its manifest are those of plain ``ccare run`` over the same deliveries.
"""

import json
import os
import re
import signal
import sqlite3
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from ccare.orchestration.exits import EXIT_RULES, FAILED
from ccare.runtime import deltalog, manifest
from ccare.runtime.digest import lake_digest
from ccare.runtime.lease import read_record
from ccare.runtime.settings import Settings
from ccare.runtime.verify import verify_lake
from ccare.tables import stored_tables, table
from tests.dags.scheduler import Scheduler, airflow_at
from tests.dags.three_days import (
    DAYS,
    KEY,
    PHONE,
    REASON,
    RULE,
    close_plainly,
    deliver,
    environment,
    settings,
)
from tests.forks import Forks

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.spark]

DAG = "merchant_daily"


def test_three_days_and_two_kills_end_in_the_lake_of_plain_runs(
    tmp_path: Path, alone: None, forks: Forks
) -> None:
    night, plain = tmp_path / "night", tmp_path / "plain"
    with airflow_at(night / "airflow", environment(night)) as airflow:
        deliver(night / "landing", DAYS[0])
        airflow.until_healthy(DAG)
        first = airflow.trigger(DAG, str(DAYS[0]))
        airflow.until_done(first)
        assert len(list(night.glob("jvm-*.log"))) == 2, "ingest and close start a JVM, nothing else does"
        deliver(night / "landing", DAYS[1])
        second = airflow.trigger(DAG, str(DAYS[1]))
        kill_the_close(airflow, second, night)
        deliver(night / "landing", DAYS[2])
        third = airflow.trigger(DAG, str(DAYS[2]))
        the_third_day_waits(airflow, third)
        hurry_the_retry(airflow)
        airflow.until_done(second)
        approve_what_the_gate_refuses(airflow, third, night)
        kill_the_scheduler(airflow, night)
        airflow.until_done(third)
        for run in (first, second, third):
            report(airflow, run)
    the_events_tell_all_tries(airflow, night)
    nothing_secret_stands_in(airflow.home)
    close_plainly(plain, night, forks)
    the_lakes_are_the_same(settings(night), settings(plain))


def kill_the_close(airflow: Scheduler, run: str, root: Path) -> None:
    """SIGKILL of the second day's process and its JVM, half way; readers still see the first day."""
    airflow.until(lambda: is_half_closed(root, DAYS[1]), "the close did not get half way", every=0.1)
    (close,) = airflow.processes("ccare.cli", "--from-step", str(DAYS[1]))
    os.killpg(close.pid, signal.SIGKILL)
    airflow.until(lambda: airflow.states(run)["close"] == "up_for_retry", "the kill was not noticed")
    assert manifest.published(root / "lake")[-1].business_date == DAYS[0]


def is_half_closed(root: Path, day: date) -> bool:
    """Whether the run of ``day`` is open and has told state."""
    record = read_record(root / "lake")
    return record is not None and record.day == day and "state" in record.steps_done


def the_third_day_waits(airflow: Scheduler, run: str) -> None:
    """Its run came while the second day is open: it holds no slot, and starts nothing."""
    airflow.until(lambda: airflow.states(run)["day_before"] == "deferred", "the third day did not wait")
    assert airflow.states(run)["ingest"] is None


def hurry_the_retry(airflow: Scheduler) -> None:
    """The only thing that is not real: the wait before the retry, as Airflow's database keeps it, is over at once."""
    with closing(sqlite3.connect(airflow.database, timeout=60)) as con, con:
        waiting = "from task_instance where state = 'up_for_retry'"
        found = con.execute(f"select task_id, retry_delay_override {waiting}").fetchall()
        wait = EXIT_RULES[FAILED].first_wait
        assert wait is not None and found == [("close", wait.total_seconds())]
        con.execute("update task_instance set retry_delay_override = 0 where state = 'up_for_retry'")


def approve_what_the_gate_refuses(airflow: Scheduler, run: str, root: Path) -> None:
    """A person's word, given as the page gives it; until then readers see the day before."""
    airflow.until(lambda: airflow.states(run)["ingest"] == "awaiting_input", "nobody was asked")
    assert manifest.published(root / "lake")[-1].business_date == DAYS[1]
    path = f"{run}/taskInstances/ingest/-1/hitlDetails"
    asked = airflow.ask("GET", path)
    assert asked["subject"] == f"Gates refuse {DAYS[2]}: {RULE}"
    assert "bad_amount_fen 100" in asked["body"] and PHONE not in asked["body"]
    # Nobody reads as fast as a program: an answer before Airflow has heard that the asking process ended makes it take
    # the answered one for killed, and costs five minutes.
    heard = rf"executor event with state success .*task_id='ingest', run_id='{DAYS[2]}'"
    airflow.until(lambda: airflow.has_said(heard), "the asking process did not end")
    airflow.ask("PATCH", path, {"chosen_options": ["Approve"], "params_input": {"reason": REASON}})


def kill_the_scheduler(airflow: Scheduler, root: Path) -> None:
    """SIGKILL while the third day's close works; another scheduler takes over."""

    def closes() -> list[Any]:
        return airflow.processes("ccare.cli", "--from-step", str(DAYS[2]))

    airflow.until(closes, "the third day's close did not start", every=0.2)
    airflow.kill_scheduler()
    assert closes() and manifest.published(root / "lake")[-1].business_date == DAYS[1]
    airflow.start("scheduler")


def the_events_tell_all_tries(airflow: Scheduler, root: Path) -> None:
    """One event a table and day; of the second day's too, half of whose tables a killed process wrote."""
    with closing(sqlite3.connect(airflow.database)) as con:
        query = "select e.partition_key, a.name, e.extra from asset_event e join asset a on a.id = e.asset_id"
        events = {(day, name): json.loads(extra) for day, name, extra in con.execute(query)}
    assert set(events) == {(str(day), t.name) for day in DAYS for t in stored_tables()}
    for row in manifest.published(root / "lake"):
        day = str(row.business_date)
        told = {name: events[day, name] for name in ("state_users", "score_merchants", "ledger_transfers")}
        assert {name: extra["version"] for name, extra in told.items()} == {
            name: row.table_versions[name] for name in told
        }
        assert all(extra["rows"] > 0 for extra in told.values())
        assert events[day, "run_manifest"]["rows"] == 1


def the_lakes_are_the_same(night: Settings, plain: Settings) -> None:
    """Digest, manifest and transfers row by row; and what the days were made of is there."""
    assert lake_digest(night) == lake_digest(plain)
    told = [
        [
            (r.seq, r.business_date, r.kind, r.revision, r.rows, r.control_totals)
            for r in manifest.published(lake.lake)
        ]
        for lake in (night, plain)
    ]
    assert told[0] == told[1]
    assert [row[1:4] for row in told[0]] == [(day, "close", 0) for day in DAYS]
    transfers = rows_of(night, "ledger_transfers")
    assert transfers and transfers == rows_of(plain, "ledger_transfers")
    (release,) = rows_of(night, "run_releases")
    assert (release["rule"], release["reason"]) == ("refused_share", REASON)
    again = [row["file_status"] for row in rows_of(night, "raw_files") if "sent-again" in row["path"]]
    assert again == ["repeated", "repeated"]
    (late,) = [row for row in rows_of(night, "core_payments") if row["event_id"] == "late"]
    assert (late["business_date"], late["taken_on"]) == (DAYS[0], DAYS[2])
    assert verify_lake(night, lambda line: None).ok


def rows_of(lake: Settings, name: str) -> list[dict[str, Any]]:
    """Published rows of one table in the order of its key, but for run, wall clock, file and line."""
    version = manifest.published(lake.lake)[-1].table_versions[name]
    rows = deltalog.rows(lake.lake, name, version, table(name).durable_columns)
    return sorted(rows, key=lambda row: [str(row.get(column)) for column in table(name).key])


def nothing_secret_stands_in(home: Path) -> None:
    """Neither the key nor a user in what Airflow keeps: logs, database, rendered fields."""
    secret = re.compile(rb"\buser-[0-9]{1,2}\b|" + f"{PHONE}|{KEY}".encode())
    files = [path for path in home.rglob("*") if path.is_file()]
    assert home / "airflow.db" in files and any("task_id=close" in str(path) for path in files)
    assert {str(path): found for path in files if (found := secret.findall(path.read_bytes()))} == {}


def report(airflow: Scheduler, run: str) -> None:
    """Print what a run took, and what of it its ccare processes did."""
    told = airflow.ask("GET", run)
    whole = datetime.fromisoformat(told["end_date"]) - datetime.fromisoformat(told["start_date"])
    logs = sorted(airflow.home.glob(f"logs/dag_id={DAG}/run_id={told['dag_run_id']}/*/*.log"))
    own = [
        (log.parent.name.removeprefix("task_id="), float(seconds))
        for log in logs
        for seconds in re.findall(r"ccare ended after ([0-9.]+) s", log.read_text())
    ]
    seconds = sum(each for _, each in own)
    print(
        f"run of {told['dag_run_id']}: {whole.total_seconds():.1f} s, of it {seconds:.1f} s in ccare: {own}"
    )
