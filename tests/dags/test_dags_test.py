"""``airflow dags test`` on a real Airflow: states and events; one real day from landing to exports."""

import csv
import json
import sqlite3
import sys
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ccare.runtime import manifest
from ccare.tables import stored_tables

pytestmark = [pytest.mark.airflow, pytest.mark.slow]
DAY = date(2026, 3, 3)
KEY = "0123456789abcdef0123456789abcdef-a-key-for-tests"
TASKS = ("day_before", "ingest", "close", "export", "data_docs")


def query(airflow: Any, sql: str) -> list[tuple[Any, ...]]:
    """Rows of Airflow's metadata database."""
    with closing(sqlite3.connect(airflow.database)) as con:
        return con.execute(sql).fetchall()


def last_states(airflow: Any) -> dict[str, str]:
    """Task states of the newest run."""
    return dict(
        query(
            airflow,
            "select task_id, state from task_instance where run_id = (select max(run_id) from dag_run)",
        )
    )


def settings(airflow: Any) -> dict[str, str]:
    """The environment that a scheduler's unit file would give. One Airflow, one lake: an asset has one URI."""
    folders = {f"CCARE_{n.upper()}": str(airflow.home / n) for n in ("lake", "landing", "exports")}
    return {**folders, "CCARE_PSEUDONYM_KEY": KEY, "CCARE_SPARK_MASTER": "local[2]"}


def test_a_day_through_airflow(airflow: Any, child: Path) -> None:
    """States, asset events, XCom and rendered fields, with a small process in ccare's place."""
    ran = airflow.run(
        "dags",
        "test",
        "merchant_daily",
        "2026-03-02",
        CCARE_COMMAND=f"{sys.executable} '{child}'",
        **settings(airflow),
    )
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert last_states(airflow) == dict.fromkeys(TASKS, "success")
    close = ["run", "--if-open", "--from-step", "state", "--to-step", "publish"]
    for words in (["ingest", "--if-open"], close, ["export"], ["data-docs"]):
        assert f"saw {json.dumps([*words, '--day', '2026-03-02', '--json'])}" in ran.stdout
    events = query(
        airflow,
        "select a.name, e.extra, e.partition_key from asset_event e join asset a on a.id = e.asset_id",
    )
    assert sorted(name for name, _, _ in events) == sorted(t.name for t in stored_tables())
    told = {name: json.loads(extra) for name, extra, _ in events}
    assert told["core_payments"] == {"day": "2026-03-02", "rows": 7, "version": 3, "rejected": 0}
    assert {key for _, _, key in events} == {"2026-03-02"}
    assert query(airflow, "select count(*) from xcom") == [(0,)]
    assert KEY not in ran.stdout
    assert KEY.encode() not in airflow.database.read_bytes()


def test_a_blocked_gate_ends_the_run_at_once(airflow: Any, child: Path) -> None:
    ran = airflow.run(
        "dags",
        "test",
        "merchant_daily",
        "2026-03-02",
        CCARE_COMMAND=f"{sys.executable} '{child}'",
        CHILD_EXIT_RUN="10",
        **settings(airflow),
    )
    assert ran.returncode != 0
    assert "Payments are late. Wait. (exit code 10)" in ran.stdout
    assert last_states(airflow) == {
        **{"day_before": "success", "ingest": "success", "close": "failed"},
        **{"export": "upstream_failed", "data_docs": "upstream_failed"},
    }


@pytest.mark.parametrize(
    ("dag", "conf", "words"),
    [
        (
            "close_days",
            {"from": "2026-03-01", "to": "2026-03-02"},
            [["run", "--if-open", "--from", "2026-03-01", "--to", "2026-03-02"]],
        ),
        (
            "restate_days",
            {"from": "2026-03-01", "to": "2026-03-02", "reason": "it's $(why)"},
            [
                ["restate", "--propose"],
                ["restate", "--from", "2026-03-01", "--to", "2026-03-02", "--reason", "it's $(why)"],
            ],
        ),
        ("weekly_upkeep", {}, [["verify"], ["maintain"]]),
        (
            "monthly_models",
            {"day": "2026-02-14"},
            [["freeze-benchmarks", "--month", "2026-03"], ["fit-potential", "--as-of", "2026-02-28"]],
        ),
        ("ledger_approvals", {}, [["ledger", "asked"]]),
    ],
)
def test_every_other_dag(airflow: Any, child: Path, dag: str, conf: dict[str, Any], words: list[Any]) -> None:
    """Each from a person's conf to the words of its commands; quotes in a reason stay one word."""
    ran = airflow.run(
        *("dags", "test", dag, "2026-03-02", "-c", json.dumps(conf)),
        CCARE_COMMAND=f"{sys.executable} '{child}'",
        **settings(airflow),
    )
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert set(last_states(airflow).values()) <= {"success", "skipped"}
    for command in words:
        assert f"saw {json.dumps([*command, '--json'])}" in ran.stdout


def test_a_conf_that_names_no_day_starts_nothing(airflow: Any, child: Path) -> None:
    ran = airflow.run(
        "dags",
        "test",
        "merchant_daily",
        "-c",
        '{"day": "2026-03-02; touch /tmp/x"}',
        CCARE_COMMAND=f"{sys.executable} '{child}'",
        **settings(airflow),
    )
    assert ran.returncode != 0
    assert "saw [" not in ran.stdout


def write_landing(landing: Path) -> dict[str, int]:
    """Simulated deliveries of two days for three merchants; returns what DAY's totals must be."""
    merchants = [f"m{n}" for n in (1, 2, 3)]
    lines: list[tuple[str, date, dict[str, Any]]] = []
    yesterday = DAY - timedelta(days=1)
    for merchant in merchants:
        entity = {"merchant_id": merchant, "name": f"Shop {merchant}", "industry": "food", "own_brand": False}
        lines.append(
            ("merchants", yesterday, {**entity, "joined_on": "2026-01-01", "valid_from": "2026-01-01"})
        )
    gmv = 0
    for day in (yesterday, DAY):
        for merchant in merchants:
            for user in range(8 + int(merchant[1])):
                common = {"merchant_id": merchant, "user_id": f"u{user}", "origin": "simulated"}
                common["occurred_at"] = f"{day}T1{user % 10}:00:00+08:00"
                number = f"{day}-{merchant}-{user}"
                amount = 1000 + 10 * user
                gmv += amount if day == DAY else 0
                trade = {"event_id": f"p-{number}", "event_type": "paid", "trade_no": f"t-{number}"}
                lines += [
                    ("payments", day, {**common, **trade, "amount_fen": amount, "merchant_discount_fen": 10}),
                    (
                        "mini_program",
                        day,
                        {**common, "event_id": f"v-{number}", "event_type": "launch", "scene": "1005"},
                    ),
                    ("life_account", day, {**common, "event_id": f"f-{number}", "event_type": "view"}),
                ]
    lines.append(
        ("payments", DAY, {**lines[3][2], "event_id": "p-bad", "trade_no": "t-bad", "amount_fen": -1})
    )
    for stream, day, line in lines:
        file = landing / stream / (day + timedelta(days=1)).isoformat() / "part-0.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as handle:
            handle.write(json.dumps(line) + "\n")
    return {"gmv_fen": gmv, "rejected": 1}


@pytest.mark.spark
def test_a_real_day_from_landing_to_exports(airflow: Any) -> None:
    expected = write_landing(airflow.home / "landing")
    ran = airflow.run(
        "dags",
        "test",
        "merchant_daily",
        "2020-01-01",
        "-c",
        json.dumps({"day": str(DAY)}),
        **settings(airflow),
    )
    assert ran.returncode == 0, ran.stdout[-6000:]
    assert last_states(airflow) == dict.fromkeys(TASKS, "success")
    assert (airflow.home / "exports" / "data_docs" / "index.html").is_file()
    assert f"Data Docs: {(airflow.home / 'exports' / 'data_docs' / 'index.html').as_uri()}" in ran.stdout
    rows = manifest.published(airflow.home / "lake")
    assert [(row.business_date, row.revision, row.kind) for row in rows] == [(DAY, 0, "close")]
    assert f"published: run 1 of {DAY} ({rows[0].run_id})" in ran.stdout
    assert KEY not in ran.stdout and "u5" not in ran.stdout
    with closing(duckdb.connect(str(airflow.home / "exports" / "ccare.duckdb"), read_only=True)) as con:
        found = con.execute(
            "select sum(gmv_fen) from state_merchant_days where business_date = ?", [DAY]
        ).fetchone()
        assert found == (expected["gmv_fen"],)
        assert con.execute("select count(*) from core_rejected_events").fetchone() == (expected["rejected"],)
        assert con.execute("select count(*) from score_merchants").fetchone() == (3,)
    (scores,) = (airflow.home / "exports").rglob("scores.csv")
    with scores.open(encoding="utf-8-sig") as handle:
        assert {row["merchant_id"] for row in csv.DictReader(handle)} == {"m1", "m2", "m3"}
