"""Each named question on the small lake: its answer is what a person counts, its own line runs, its chart is sound."""

import shlex
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import altair
import duckdb
import pytest
import yaml

from ccare.errors import UsageError
from ccare.growth.catalogue import open_snapshot
from ccare.growth.plots import chart, guessed, plot_answer
from ccare.growth.queries import run_query
from ccare.growth.questions import Plot, folder, headed, parse, question, questions
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

FOLDER = Path(__file__).parent / "answers"
NAMES = sorted(questions())


@pytest.fixture(scope="session")
def con(built: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The small lake's catalogue in memory, opened once."""
    from ccare.runtime import manifest

    with open_snapshot(built, manifest.latest(built.lake)) as opened:
        yield opened


def answer(con: duckdb.DuckDBPyConnection, name: str, params: dict[str, str]) -> tuple[list[str], list[Any]]:
    asked = question(name)
    values = {p.name: p.read(params[p.name]) if p.name in params else p.default for p in asked.parameters}
    assert set(params) <= set(values)
    cursor = con.execute(asked.sql, values or None)
    return [column[0] for column in cursor.description or []], cursor.fetchall()


def test_every_question_has_an_answer() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == NAMES
    assert len(NAMES) >= 15


@pytest.mark.parametrize("name", NAMES)
def test_answers(name: str, con: duckdb.DuckDBPyConnection) -> None:
    for case in yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")):
        columns, rows = answer(con, name, case.get("params", {}))
        places = [columns.index(column) for column in case["columns"]]
        assert [[row[at] for at in places] for row in rows] == case["rows"], case["why"]


@pytest.mark.parametrize("name", NAMES)
def test_its_own_line_runs_and_its_chart_is_sound(name: str, con: duckdb.DuckDBPyConnection) -> None:
    words = shlex.split(question(name).run)
    assert words[:3] == ["ccare", "sql", name]
    given = dict(word.split("=", 1) for word in words[3:] if word != "--param")
    answer(con, name, given)
    columns, rows = answer(con, name, {})
    plot = question(name).plot
    assert plot and {plot.x, *plot.y, *([plot.by] if plot.by else [])} <= set(columns)
    altair.Chart.from_dict(chart(plot, columns, rows, question(name).question))


def test_flow_and_stages_agree(con: duckdb.DuckDBPyConnection) -> None:
    """Two roads to the same counts: user days folded here, and the metric the close told."""
    columns, rows = answer(con, "lifecycle_flow", {"merchant_id": "m1"})
    now: dict[str, int] = {}
    for row in rows:
        named = dict(zip(columns, row, strict=True))
        now[named["stage_now"]] = now.get(named["stage_now"], 0) + named["users"]
    told = con.sql("select stage, users from latest_stages where merchant_id = 'm1' and users > 0").fetchall()
    assert now == dict(told)


def test_drift_is_the_population_stability_index() -> None:
    """0.5/0.5 over two bands becomes 0.8/0.2: 0.3 ln 1.6 - 0.3 ln 0.4 = 0.4159."""
    with duckdb.connect() as con:
        con.execute("create table merchants_current (merchant_id varchar, industry varchar)")
        con.execute(
            "create table score_merchants as select d as as_of_date, i::varchar as merchant_id, 'full' as score_status,"
            " if(i < if(d = date '2017-12-30', 5, 8), 25.0, 65.0) as total_score"
            " from (values (date '2017-12-30'), (date '2017-12-31')) days(d), range(10) r(i)"
        )
        columns, rows = answer(con, "score_drift", {})
    assert [row[columns.index("psi")] for row in rows] == [0.0, 0.4159]


def test_an_answer_is_drawn_without_a_browser(settings: Settings, row: Published) -> None:
    columns, rows = run_query(settings, "l_ness", row=row)
    path = plot_answer(settings, question("l_ness"), columns, rows)
    assert path == settings.exports / "plots" / "l_ness.svg"
    drawn = path.read_text(encoding="utf-8")
    assert drawn.startswith("<svg") and "active days" in drawn and "On how many days" in drawn
    assert plot_answer(settings, question("l_ness"), columns, rows).read_text(encoding="utf-8") == drawn


def test_a_query_of_ones_own_is_drawn_by_its_columns(settings: Settings) -> None:
    day = date(2017, 12, 31)
    assert guessed(["day", "n"], [(day, 1), (day, 2)]) == Plot("line", "day", ("n",))
    assert guessed(["name", "note", "n"], [("a", "x", 1)]) == Plot("bar", "name", ("n",))
    with pytest.raises(UsageError, match="no number"):
        guessed(["a", "b"], [("x", "y")])
    with pytest.raises(UsageError, match="no row"):
        plot_answer(settings, None, ["a"], [])
    with pytest.raises(UsageError, match="too many to draw"):
        plot_answer(settings, None, ["a", "n"], [("x", 1)] * 5001)
    own = headed((folder() / "rfm.sql").read_text(encoding="utf-8"))
    assert own and own.plot and (own.name, own.plot.kind) == ("query", "heat")
    assert headed("select 1 as a, 2 as n") is None
    with pytest.raises(ValueError, match="plots 'pie"):
        parse("x", "-- Question: q\n-- Grain: g\n-- Parameters:\n-- Run: r\n-- Plot: pie x=a y=b\nselect 1")
