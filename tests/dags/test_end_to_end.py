"""Three days, a late file, a delivery that comes twice, a blocked gate and two kills, on a real scheduler.

At the end the lake, its ledger and its manifest are those of plain ``ccare run`` over the same deliveries.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ccare.growth.snapshot import connect
from ccare.runtime import manifest
from ccare.runtime.digest import lake_digest
from ccare.runtime.lease import read_record
from ccare.runtime.settings import Settings, default_conf
from ccare.runtime.verify import verify_lake
from tests.dags.scheduler import ROOT, Scheduler, processes_with

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.spark]
DAYS = [date(2026, 3, 2) + timedelta(days=n) for n in range(3)]
KEY = "0123456789abcdef0123456789abcdef-a-key-for-tests"
DAG = "merchant_daily"
RULE = "core_payments.refused_share"


def environment(root: Path) -> dict[str, str]:
    """The lake's settings as a unit file would give them."""
    folders = {f"CCARE_{n.upper()}": str(root / n) for n in ("lake", "landing", "exports")}
    told = {
        "CCARE_PSEUDONYM_KEY": KEY,
        "CCARE_SPARK_MASTER": "local[2]",
        "CCARE_CONF": str(default_conf() / "demo"),
    }
    # No run of today's clock while the test lasts.
    at = datetime.now(UTC) + timedelta(hours=12)
    return folders | told | {"CCARE_BUSINESS_TIMEZONE": "UTC", "CCARE_SCHEDULE_AT": f"{at:%H:%M}"}


def deliver(landing: Path, day: date) -> None:
    """What comes on the day after ``day``; the second day's has a late file, a repeated one and bad rows."""
    lines: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("payments", "mini_program", "life_account")
    }
    for n in range(120):
        common = {"merchant_id": f"m{n % 4}", "user_id": f"u{n % 30}", "origin": "simulated"}
        common["occurred_at"] = f"{day}T10:{n % 60:02d}:00Z"
        paid = {"event_id": f"p{day}-{n}", "event_type": "paid", "trade_no": f"t{day}-{n}", **common}
        bad = day == DAYS[1] and n < 30
        lines["payments"].append({**paid, "amount_fen": -1 if bad else 1000 + n})
        lines["mini_program"].append(
            {"event_id": f"v{day}-{n}", "event_type": "launch", "scene": "1005", **common}
        )
        lines["life_account"].append({"event_id": f"f{day}-{n}", "event_type": "view", **common})
    if day == DAYS[0]:
        told = {"industry": "food", "own_brand": False, "joined_on": "2026-01-01", "valid_from": "2026-01-01"}
        lines["merchants"] = [{"merchant_id": f"m{n}", "name": f"Shop {n}", **told} for n in range(4)]
    for stream, rows in lines.items():
        put(landing, stream, day, "part-0.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    if day == DAYS[1]:
        first = landing / "payments" / str(DAYS[1]) / "part-0.jsonl"
        put(landing, "payments", day, "sent-again.jsonl", first.read_text())
        late = {
            "event_id": "late",
            "event_type": "paid",
            "trade_no": "late",
            "merchant_id": "m1",
            "user_id": "u1",
        }
        late |= {"occurred_at": f"{DAYS[0]}T23:00:00Z", "amount_fen": 5000, "origin": "simulated"}
        put(landing, "payments", day, "late.jsonl", json.dumps(late) + "\n")


def put(landing: Path, stream: str, day: date, name: str, text: str) -> None:
    folder = landing / stream / str(day + timedelta(days=1))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[Scheduler]:
    started = Scheduler.over(tmp_path / "airflow", environment(tmp_path))
    try:
        started.start()
        yield started
    finally:
        started.stop()


def done(airflow: Scheduler, run: str, seconds: float = 900) -> None:
    airflow.until(lambda: airflow.run_state(DAG, run) in ("success", "failed"), seconds, f"{run} did not end")
    assert airflow.run_state(DAG, run) == "success", airflow.states(DAG, run)


def test_a_week_of_nights_in_three_days(airflow: Scheduler, tmp_path: Path) -> None:
    landing, lake = tmp_path / "landing", tmp_path / "lake"
    for day in DAYS:
        deliver(landing, day)
    airflow.trigger(DAG, "first", {"day": str(DAYS[0])})
    done(airflow, "first")
    # The last one first: days close in order all the same, and a day that waits holds nobody up.
    airflow.trigger(DAG, "third", {"day": str(DAYS[2])})
    airflow.until(
        lambda: airflow.states(DAG, "third")["day_before"] == "deferred", 300, "the third day did not wait"
    )
    airflow.trigger(DAG, "second", {"day": str(DAYS[1])})
    airflow.until(
        lambda: "awaiting_input" in airflow.states(DAG, "second").values(),
        240,
        "nobody was asked about the gate",
    )
    blocked_gate_is_approved(airflow, lake)
    task_is_killed(airflow, tmp_path)
    scheduler_is_killed(airflow, tmp_path)
    done(airflow, "second")
    done(airflow, "third", 1200)
    airflow.stop()
    the_lake_is_that_of_plain_runs(tmp_path)


def blocked_gate_is_approved(airflow: Scheduler, lake: Path) -> None:
    """The facts are on the page, readers see the day before, and nothing else is let go."""
    assert manifest.published(lake)[-1].business_date == DAYS[0]
    (task,) = [name for name, state in airflow.states(DAG, "second").items() if state == "awaiting_input"]
    path = f"/api/v2/dags/{DAG}/dagRuns/second/taskInstances/{task}/-1/hitlDetails"
    asked = airflow.ask("GET", path)
    assert task == "ingest" and asked["subject"] == f"Gates refuse {DAYS[1]}: {RULE}"
    assert "30 of" in asked["body"] and not any(f"u{n} " in asked["body"] for n in range(30))
    answer = {"chosen_options": ["Approve"], "params_input": {"reason": "the till's test rows"}}
    airflow.ask("PATCH", path, answer)


def task_is_killed(airflow: Scheduler, root: Path) -> None:
    """SIGKILL of the close while it works; then somebody clears the task rather than wait for its retry."""
    words = ("ccare.cli", "--from-step", "--day", str(DAYS[2]))
    airflow.until(
        lambda: half_closed(root) and bool(processes_with(str(root), *words)), 900, "no close to kill"
    )
    for pid in processes_with(str(root), *words):
        os.killpg(os.getpgid(pid), signal.SIGKILL)
    airflow.until(
        lambda: airflow.states(DAG, "third")["close"] == "up_for_retry", 300, "the kill was not noticed"
    )
    assert manifest.published(root / "lake")[-1].business_date == DAYS[1]
    airflow.clear(DAG, "third", "close")


def half_closed(root: Path) -> bool:
    record = read_record(root / "lake")
    return record is not None and record.day == DAYS[2] and "state" in record.steps_done


def scheduler_is_killed(airflow: Scheduler, root: Path) -> None:
    """SIGKILL of the scheduler while the close runs; another one takes over."""
    words = ("ccare.cli", "--from-step", "--day", str(DAYS[2]))
    airflow.until(lambda: bool(processes_with(str(root), *words)), 300, "the cleared close did not start")
    schedulers = processes_with(str(airflow.home), "airflow", "scheduler")
    assert schedulers
    for pid in schedulers:
        os.kill(pid, signal.SIGKILL)
    airflow.start_scheduler()


def the_lake_is_that_of_plain_runs(root: Path) -> None:
    plain = root / "plain"
    plain.mkdir()
    shutil.copytree(root / "landing", plain / "landing")
    command = [sys.executable, "-m", "ccare.cli", "run", "--from", str(DAYS[0]), "--to", str(DAYS[-1])]
    ran = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment(plain)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    ours, theirs = (
        Settings(r / "lake", r / "landing", r / "exports", timezone="UTC", conf=default_conf() / "demo")
        for r in (root, plain)
    )
    assert lake_digest(ours) == lake_digest(theirs) | {"seq": len(DAYS)}
    rows = [
        [(r.business_date, r.kind, r.revision, r.rows) for r in manifest.published(s.lake)]
        for s in (ours, theirs)
    ]
    assert rows[0] == rows[1] and [row[:3] for row in rows[0]] == [(day, "close", 0) for day in DAYS]
    assert verify_lake(ours, lambda line: None).ok
    with connect(ours.lake, manifest.latest(ours.lake)) as con:
        told = con.execute("select rule, released_by, reason from run_releases").fetchall()
        assert [row[0] for row in told] == ["refused_share"] and told[0][2] == "the till's test rows"
        statuses = dict(
            con.execute("select path, file_status from raw_files where path like '%sent-again%'").fetchall()
        )
        assert set(statuses.values()) == {"repeated"}
