"""Metrics of a merchant from its core rows, as explain works them out, against the metrics' oracle on a random lake."""

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import pytest

from ccare.metrics.definitions import SCORED_METRICS
from ccare.runtime.settings import default_conf
from ccare.scoring.remeasure import CORES, metrics_of, metrics_of_all, take_rows
from tests.metrics.random_lake import FIRST, LAST, random_lake
from tests.oracle.from_core import Oracle

DAYS = (FIRST + timedelta(days=29), LAST)
EVERY = 2
"""Every second merchant is enough to tell each metric apart, and half the time."""
TOLD = [m for m in SCORED_METRICS if m.id != "r_realised_ratio"]


@pytest.fixture(scope="module")
def cores() -> dict:
    return random_lake()


@pytest.fixture(scope="module")
def con(cores: dict) -> Iterator[duckdb.DuckDBPyConnection]:
    """The core tables of the random lake."""
    with duckdb.connect() as opened:
        opened.execute("set TimeZone = 'UTC'")
        for name in CORES:
            opened.register(f"_{name}", cores[name])
            opened.execute(f"create table {name} as from _{name}")
        yield opened


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_every_scored_metric_is_what_the_oracle_counts(
    cores: dict, con: duckdb.DuckDBPyConnection, day: date
) -> None:
    oracle = Oracle(cores, FIRST)
    oracle.stand_at(day)
    wanted, seen = oracle.metrics(), set()
    for merchant in sorted(oracle.merchants())[::EVERY]:
        take_rows(con, default_conf(), merchant, day, day)
        got = metrics_of(con, day, day)
        for m in TOLD:
            num, den = wanted.get((merchant, m.id), (0, None))
            pair = (got[f"{m.id}_num"], got[f"{m.id}_den"]) if m.is_ratio else (got[m.id], None)
            assert pair == (num, (den or 0) if m.is_ratio else None), (merchant, m.id)
            seen.add((m.id, pair[0]))
    assert {name for name, value in seen if value} == {m.id for m in TOLD}


def test_rows_taken_later_and_rows_left_out_do_not_count(con: duckdb.DuckDBPyConnection) -> None:
    """What a run knew: leaving out what came after it gives what it told."""
    day, differing = LAST - timedelta(days=3), 0
    for (merchant,) in con.execute("select distinct merchant_id from core_payments order by 1").fetchall()[
        ::EVERY
    ]:
        take_rows(con, default_conf(), merchant, day, day)
        then = metrics_of(con, day, day)
        take_rows(con, default_conf(), merchant, day, LAST)
        assert metrics_of(con, day, day) == then
        now = metrics_of(con, day, LAST)
        late = con.execute("select stream, event_id from taken where taken_on > $1", [day]).fetchall()
        late += con.execute(
            "select 'core_traffic_hours', event_id from shown where taken_on > $1", [day]
        ).fetchall()
        staff = con.execute("select count(*) from staff where taken_on > $1", [day]).fetchone()
        if staff == (0,):
            assert metrics_of(con, day, LAST, late) == then
        for name in ("taken", "shown", "staff"):
            con.execute(f"update {name} set taken_on = least(taken_on, $1::date)", [day])
        assert metrics_of(con, day, day) == now, "late rows count as rows in time would have"
        differing += now != then
    assert differing > 3, "hardly any late row moved anything"


def test_all_merchants_at_once_are_each_alone(con: duckdb.DuckDBPyConnection) -> None:
    day = LAST - timedelta(days=3)
    take_rows(con, default_conf(), None, day, day)
    names, columns = metrics_of_all(con, day, day)
    assert names == sorted(names) and len(names) > 15
    for i in range(0, len(names), 3):
        take_rows(con, default_conf(), names[i], day, day)
        assert metrics_of(con, day, day) == {name: of[i] for name, of in columns.items()}
    take_rows(con, default_conf(), "nobody", day, day)
    assert set(metrics_of(con, day, day).values()) == {0}
