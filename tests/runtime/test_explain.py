"""A closed lake's scores explained, compared between runs, and replayed under other policies; a month frozen."""

import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable
from typer.testing import CliRunner

from ccare.cli import app
from ccare.errors import InputMissing, IntegrityBroken, UsageError
from ccare.growth.snapshot import connect
from ccare.runtime import deltalog, manifest
from ccare.runtime.freeze import freeze_month
from ccare.runtime.lease import read_record
from ccare.runtime.rowstore import write_rows
from ccare.runtime.settings import Settings
from ccare.scoring.diff import diff
from ccare.scoring.explain import explain
from ccare.scoring.published import open_lake, read_rows
from ccare.scoring.told import as_json, driver_lines, words
from ccare.scoring.what_if import what_if
from ccare.tables import table
from tests.runtime.test_closing import DAYS, ROOT, close, settings_in
from tests.runtime.test_rebuild import append, event, paid
from tests.small_landing import MERCHANTS, write_day

pytestmark = [pytest.mark.spark, pytest.mark.slow]
SCORING = ROOT / "conf" / "demo" / "scoring.toml"
SOME = [f"m{n}" for n in range(0, MERCHANTS, 6)]


@pytest.fixture
def copy(three_days: Settings, tmp_path: Path) -> Settings:
    """A lake of the test's own."""
    for name in ("lake", "landing"):
        shutil.copytree(getattr(three_days, name), tmp_path / name)
    return settings_in(tmp_path)


def test_every_published_score_comes_out(three_days: Settings) -> None:
    for merchant in SOME:
        for day in DAYS[1:]:
            found = explain(three_days, merchant, day)
            told = as_json(found)
            assert told["agrees"] and found.values_checked > 23 * 15
            assert len(told["drivers"]) == len(driver_lines(found)[1]) == 23
            change = told["change"]
            assert change["since"] == DAYS[0] if day == DAYS[1] else change["since"] in DAYS
            for d in ("scale", "potential"):
                mine = [row for row in told["drivers"] if row["dimension"] == d]
                made = round(sum(round(row["change_of_dimension"] * 100) for row in mine))
                assert made == round(change["scores"][d] * 100)
            said = words(found)
            assert all(en and zh and en != zh for en, zh in (*said.head, *said.change, said.checked))
            assert len(found.actions) <= 3


def test_the_commands_tell_it(three_days: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LAKE", three_days.lake), ("CONF", three_days.conf), ("BUSINESS_TIMEZONE", "UTC")):
        monkeypatch.setenv(f"CCARE_{name}", str(value))

    def said(*words: str) -> str:
        result = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    text = said("explain", "m6", "--day", str(DAYS[2]))
    assert "every one agrees" in text and "全部一致" in text and "a_stickiness" in text
    assert "全部一致" not in said("explain", "m6", "--day", str(DAYS[2]), "--language", "en")
    told = json.loads(said("explain", "m6", "--day", str(DAYS[2]), "--json"))
    assert (told["merchant_id"], told["agrees"], len(told["drivers"])) == ("m6", True, 23)
    assert "no score differs" in said("diff", "m6", "--day", str(DAYS[1]), "--runs", "2", "3")
    assert (
        json.loads(said("diff", "m6", "--day", str(DAYS[1]), "--runs", "2", "3", "--json"))["late_rows"] == []
    )
    days = ("--from", str(DAYS[1]), "--to", str(DAYS[2]))
    assert "it costs +0" in said("what-if", "--policy", str(SCORING), *days)
    assert json.loads(said("what-if", "--policy", str(SCORING), *days, "--json"))["cost_points"] == 0


def test_what_a_model_expected_is_derived_again_too(copy: Settings) -> None:
    """Payments of weeks ago come late; the model stood by then, as a fit of a longer history would have left it."""
    day, start = DAYS[2] + timedelta(days=1), DAYS[2] - timedelta(days=27)
    write_day(copy.landing, day, history=0)
    old = [
        paid(f"old-{n}-{k}", start - timedelta(days=9 * k), "m6", f"u{n}") for n in range(4) for k in (1, 2)
    ]
    append(copy, "payments", day, [*old, paid("new", day, "m6", "u1")])
    _add_model(copy, {"merchant_id": "m6", "as_of_date": start})
    close(copy, day)
    with connect(copy.lake, manifest.latest(copy.lake)) as con:
        parts = ", ".join(f"r_realised_ratio{part}" for part in ("", "_num", "_den", "_users"))
        told = con.execute(
            f"select {parts} from metric_merchants where as_of_date = '{day}' and merchant_id = 'm6'"
        )
        ratio, num, den, users = told.fetchone()
        known = con.execute(
            "select count(*) from (select user_key from core_payments where merchant_id = 'm6' and event_type = 'paid' "
            f"group by user_key having user_key is not null and min(business_date) <= '{start}')"
        ).fetchone()
    assert users == known[0] >= 4 and num >= 1_000 and ratio == num / den
    found = explain(copy, "m6", day)
    driver = next(row for row in as_json(found)["drivers"] if row["metric_id"] == "r_realised_ratio")
    assert (driver["value"], driver["numerator"], driver["denominator"], driver["n"]) == (
        ratio,
        num,
        den,
        users,
    )


def _add_model(settings: Settings, row: dict[str, Any]) -> None:
    """Publish one merchant's parameters, as ccare fit-potential does."""
    last = manifest.latest(settings.lake)
    numbers = {"r": 0.9, "alpha_days": 26.0, "a": 0.5, "b": 3.0, "calibration": 1.0, "p_alive_mean": 0.5}
    spend = {
        "spend_p": 4.0,
        "spend_q": 3.2,
        "spend_v": 900.0,
        "spend_status": "fitted",
        "model_status": "fitted",
    }
    zeros = dict.fromkeys(("users", "repeaters", "expected_value_fen", "expected_value_90d_fen"), 0)
    zeros |= {"horizon_days": 28, "expected_orders": 0.0, "expected_orders_90d": 0.0, "realised_value_fen": 0}
    told = row | numbers | spend | zeros | {"model_version": "test"}
    version = write_rows(settings.lake, table("score_potentials"), [told], "fit-test")
    manifest.append(
        settings.lake,
        last,
        run_id="fit-test",
        business_date=last.business_date,
        revision=last.revision + 1,
        kind="fit",
        table_versions={**last.table_versions, "score_potentials": version},
        control_totals=last.control_totals,
        inputs_digest="0" * 64,
        code_version="test",
        policy_version=last.policy_version,
        published_at=last.published_at,
    )


def _spoil(settings: Settings, table: str, day: date, change: str) -> None:
    """Rewrite a published data file in place, as somebody with a text editor for Parquet would."""
    version = deltalog.latest_version(settings.lake, table)
    for path in deltalog.data_files(settings.lake, table, version, [str(day)]):
        with duckdb.connect() as con:
            con.execute(f"create table t as select * replace ({change}) from read_parquet($1)", [path])
            con.execute(f"copy t to '{path}' (format parquet)")


@pytest.mark.parametrize(
    ("table", "change", "named"),
    [
        (
            "score_drivers",
            "if(metric_id = 'a_stickiness', value + 1e-12, value) as value",
            "a_stickiness.value",
        ),
        ("score_drivers", "if(metric_id = 'c_mau28', target + 1, target) as target", "c_mau28.target"),
        (
            "score_drivers",
            "if(metric_id = 'r_arpu', percentile + 0.0001, percentile) as percentile",
            "r_arpu.percentile",
        ),
        ("score_drivers", "value as value", ""),
        ("score_merchants", "scale_score + 0.1 as scale_score", "scale_score"),
    ],
)
def test_one_edited_value_is_found_and_named(copy: Settings, table: str, change: str, named: str) -> None:
    _spoil(copy, table, DAYS[2], change)
    if not named:
        explain(copy, "m6", DAYS[2])
        return
    with pytest.raises(IntegrityBroken, match=f"Table {table}: .*{named}"):
        explain(copy, "m6", DAYS[2])
    assert explain(copy, "m6", DAYS[1]), "another day is as it was"


def test_a_commit_that_no_run_made_is_found(copy: Settings) -> None:
    opened = DeltaTable(str(copy.lake / "score_drivers"))
    opened.update(
        updates={"percentile": "0.0"}, predicate="metric_id = 'a_stickiness' and merchant_id = 'm6'"
    )
    with pytest.raises(IntegrityBroken, match="score_drivers stands at version"):
        explain(copy, "m6", DAYS[2])


def test_what_cannot_be_explained(three_days: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="No merchant nobody is scored"):
        explain(three_days, "nobody", DAYS[2])
    with pytest.raises(InputMissing, match="is not scored; scored days go from"):
        explain(three_days, "m6", DAYS[2] + timedelta(days=9))
    with pytest.raises(InputMissing, match="Nothing is published"):
        explain(settings_in(tmp_path), "m6", DAYS[2])
    other = tmp_path / "conf"
    other.mkdir()
    text = SCORING.read_text().replace('id = "demo-2"', 'id = "demo-3"')
    (other / "scoring.toml").write_text(text)
    with pytest.raises(InputMissing, match="scoring policy demo-2 is not in"):
        explain(three_days.with_(conf=other), "m6", DAYS[2])


def test_late_rows_are_named_with_what_they_moved(copy: Settings) -> None:
    """Two rows of the day before come a day late: a new user's visit, and one that changes nothing."""
    day, late = DAYS[2], DAYS[2] + timedelta(days=1)
    write_day(copy.landing, late)
    append(copy, "mini_program", late, [event("late-visit", "launch", day, "m6", "somebody-new")])
    append(copy, "life_account", late, [event("late-expose", "expose", day, "m6", "somebody-new")])
    append(copy, "payments", late, [paid("late-7", day, "m7", "u1")])
    close(copy, late)
    rows = manifest.published(copy.lake)
    found = diff(copy, "m6", day, rows[-2].run_id, str(rows[-1].seq))
    told = {row.event_id: row for row in found.late_rows}
    assert set(told) == {"late-visit", "late-expose"}
    assert {"c_mau28", "c_new_users"} <= set(told["late-visit"].moved)
    assert told["late-expose"].moved == ()
    assert (told["late-visit"].delivery_date, told["late-visit"].taken_on) == (late + timedelta(days=1), late)
    changed = {m.metric_id: (m.before, m.after) for m in found.metrics}
    assert changed["c_new_users"][1] == changed["c_new_users"][0] + 1
    before, after = found.scores["scale"]
    assert before == read_scale(copy, day, "m6") and after >= before
    assert diff(copy, "m6", day, rows[-1].run_id, rows[-2].run_id) == found, (
        "the order of the two says nothing"
    )
    assert not diff(copy, "m12", day, rows[-2].run_id, rows[-1].run_id).late_rows
    assert explain(copy, "m6", day), "the day as it was published still comes out"
    assert explain(copy, "m6", late)
    with pytest.raises(UsageError, match="No run 99"):
        diff(copy, "m6", day, "99", "1")
    with pytest.raises(UsageError, match="before"):
        diff(copy, "m6", day, "1", rows[-1].run_id)


def read_scale(settings: Settings, day: date, merchant: str) -> float:
    lake = open_lake(settings)
    version = lake.last.table_versions["score_merchants"]
    (row,) = read_rows(settings.lake, "score_merchants", version, [str(day)], merchant=merchant)
    return row["scale_score"]


def _policy(folder: Path, name: str, source: Path, *changes: tuple[str, str]) -> Path:
    text = source.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / name
    path.write_text(text)
    return path


def test_another_policy_is_replayed(three_days: Settings, tmp_path: Path) -> None:
    same = what_if(three_days, SCORING, DAYS[0], DAYS[2])
    assert (same.winners, same.losers, same.cost_points, same.merchants) == (0, 0, 0, [])
    assert same.points_before > 0 and same.looked_at >= MERCHANTS
    booked = _booked(three_days)
    assert same.points_before == booked, "a replay of the policy in force earns what the ledger booked"
    assert "fanxing/returning_payer" in same.left_out and "fanxing/trade_net" not in same.left_out
    softer = _policy(tmp_path, "s.toml", SCORING, ("coverage_floor = 0.55", "coverage_floor = 0.1"))
    found = what_if(three_days, softer, DAYS[0], DAYS[2])
    assert (
        found.scored_after > found.scored_before
        and found.cost_points > 0
        and found.winners
        and not found.losers
    )
    pooled = _policy(tmp_path, "p.toml", SCORING, ("min_peers = 50", "min_peers = 5000"))
    assert what_if(three_days, pooled, DAYS[2], DAYS[2]).looked_at == same.looked_at
    programmes = ROOT / "conf" / "demo" / "programmes.toml"
    double = _policy(tmp_path, "d.toml", programmes, ("points = 1", "points = 2"))
    twice = what_if(three_days, double, DAYS[0], DAYS[2])
    assert (twice.kind, twice.losers) == ("programmes", 0)
    assert twice.points_before == booked and twice.cost_points >= booked
    told = json.loads(json.dumps(twice.as_json(), default=str))
    assert told["from"] == str(DAYS[0]) and told["cost_points"] == twice.cost_points


def _booked(settings: Settings) -> int:
    lake = open_lake(settings)
    rows = read_rows(settings.lake, "ledger_positions", lake.last.table_versions["ledger_positions"])
    return sum(row["asked"] for row in rows if row["rule"] == "trade_net" and row["programme"] == "fanxing")


def test_a_policy_with_mistakes_and_days_that_are_not_closed(three_days: Settings, tmp_path: Path) -> None:
    bad = _policy(tmp_path, "b.toml", SCORING, ("c_reachable = 0.16667", "c_reached = 0.5"))
    with pytest.raises(UsageError, match=r"(?s)2 mistakes.*unknown metric c_reached.*sum to"):
        what_if(three_days, bad, DAYS[0], DAYS[0])
    with pytest.raises(InputMissing, match="is not closed"):
        what_if(three_days, SCORING, DAYS[0], DAYS[2] + timedelta(days=1))
    with pytest.raises(UsageError, match="is before"):
        what_if(three_days, SCORING, DAYS[2], DAYS[0])


def test_a_month_is_frozen_once(copy: Settings) -> None:
    said: list[str] = []
    first = DAYS[0].replace(day=1)
    assert freeze_month(copy, first, said.append).seq is None, "its first close froze it"
    with pytest.raises(InputMissing, match="which is not closed"):
        freeze_month(copy, date(2026, 4, 1), said.append)
    assert manifest.published(copy.lake)[-1].kind == "close"


def test_a_month_is_frozen_before_its_first_close(spark: Any, tmp_path: Path) -> None:
    settings, day, said = settings_in(tmp_path), date(2026, 2, 28), []
    write_day(settings.landing, day, history=70)
    close(settings, day)
    found = freeze_month(settings, date(2026, 3, 1), said.append)
    row = manifest.published(settings.lake)[-1]
    assert (found.seq, row.kind, row.business_date) == (row.seq, "freeze", day) and found.groups == 9
    assert read_record(settings.lake) is None
    version = row.table_versions["score_benchmarks"]
    frozen = read_rows(settings.lake, "score_benchmarks", version, ["2026-03"])
    assert {(r["frozen_on"], r["status"], r["policy_version"]) for r in frozen} == {
        (day, "monthly", "demo-2")
    }
    assert freeze_month(settings, date(2026, 3, 1), said.append).seq is None
    assert explain(settings, "m6", day)
