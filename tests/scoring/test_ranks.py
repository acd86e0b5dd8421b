"""ccare backtest-ranks on a published lake: against rows counted one by one and SciPy, on both roads; refusals."""

import csv
import json
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from typer.testing import CliRunner

from ccare.cli import app
from ccare.errors import CcareError
from ccare.growth.snapshot import connect
from ccare.runtime import manifest
from ccare.runtime.settings import Settings
from ccare.scoring.benchmarks import refreeze
from ccare.scoring.past_days import Counting, replay_published
from ccare.scoring.policy import load_scoring
from ccare.scoring.published import open_lake, read_rows
from ccare.scoring.ranks import Ask, ranks
from ccare.scoring.ranks_told import COLUMNS, told
from tests.scoring.ranked_lake import (
    BEFORE,
    DAY,
    LAST,
    MERCHANTS,
    Rows,
    drawn_rows,
    metrics_at,
    net_fen,
    write_lake,
)

BOTH = ("--from", str(BEFORE), "--to", str(DAY))


@pytest.fixture(scope="module")
def rows() -> Rows:
    return drawn_rows()


@pytest.fixture(scope="module")
def lake(rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Nobody writes to it."""
    return write_lake(tmp_path_factory.mktemp("ranked"), rows)


@pytest.fixture
def said(lake: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command on the lake."""
    monkeypatch.setenv("CCARE_LAKE", str(lake.lake))
    monkeypatch.setenv("CCARE_CONF", str(lake.conf))
    return lambda *words: CliRunner().invoke(app, ["backtest-ranks", *words])


def test_every_row_and_both_correlations_come_out(
    said: Any, rows: Rows, lake: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "rows.csv"
    done = said(*BOTH, "--out", str(out), "--json")
    assert done.exit_code == 0, done.output
    found, listed = json.loads(done.stdout), list(csv.DictReader(out.open()))
    assert tuple(listed[0]) == COLUMNS and len(listed) == found["pairs"] > 60
    assert found["merchants"] == len({row["merchant_id"] for row in listed})
    for row in listed:
        day, merchant = date.fromisoformat(row["as_of_date"]), row["merchant_id"]
        ends = [day + timedelta(days=28 * n) for n in (-2, -1, 0, 1)]
        nets = [net_fen(rows, merchant, a + timedelta(days=1), b) for a, b in pairwise(ends)]
        assert [int(row[name]) for name in COLUMNS[7:10]] == nets and nets[1] > 0
        kept = [max(net, 0) for net in nets]
        for name, (b, a) in (("last_growth", kept[:2]), ("next_growth", kept[1:])):
            assert float(row[name]) == pytest.approx((a - b) / (a + b))
    values: dict[str, list[float]] = {"total_score": [], "last_growth": []}
    evenly: dict[str, list[float]] = {"total_score": [], "last_growth": []}
    for day in found["days"]:
        mine = [row for row in listed if row["as_of_date"] == day["as_of_date"]]
        assert len(mine) == day["merchants"]
        for name, of in values.items():
            pairs = [(float(row[name]), float(row["next_growth"])) for row in mine]
            of.append(spearmanr(*zip(*pairs, strict=True)).statistic)
            assert day[name] == pytest.approx(of[-1])
            p28, w28, later = ([max(int(row[c]), 0) for row in mine] for c in COLUMNS[7:10])
            over = [(a - (p + w) / 2) / (a + (p + w) / 2) for p, w, a in zip(p28, w28, later, strict=True)]
            evenly[name].append(spearmanr([pair[0] for pair in pairs], over).statistic)
    for name, of in values.items():
        assert found[name]["value"] == pytest.approx(np.mean(of))
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]
        assert found["against_growth_over_56_days"][name]["value"] == pytest.approx(np.mean(evenly[name]))
    assert found["difference"]["value"] == pytest.approx(
        found["total_score"]["value"] - found["last_growth"]["value"]
    )
    assert [day["scores"] for day in found["days"]] == ["counted", "published"]
    assert 0.1 < found["simulated_share"] < 0.3 and "simulated" in said(*BOTH).stdout


def test_published_totals_are_judged_as_they_were_published(lake: Settings) -> None:
    opened, policy = open_lake(lake), load_scoring(lake.conf).for_day(DAY)
    published = read_rows(
        lake.lake, "score_merchants", opened.last.table_versions["score_merchants"], [str(DAY)]
    )
    replayed = replay_published(opened, DAY, published, policy)
    totals = [row["total_score"] for row in published]
    assert list(replayed.totals()) == totals and len(set(totals)) > 20
    other = replayed.totals({"scale": 0.625, "activity": 0.125, "potential": 0.125, "efficiency": 0.125})
    assert not np.array_equal(other, replayed.totals())
    with connect(lake.lake, opened.last) as con:
        counted = Counting(con, lake.conf, policy, DAY).score(DAY)
    # The month before has fewer active merchants than a freeze needs, so both froze the day itself.
    assert dict(zip(counted.merchants, counted.totals(), strict=True)) == dict(
        zip([row["merchant_id"] for row in published], totals, strict=True)
    )


def test_the_months_benchmarks_are_counted_where_enough_were_active(lake: Settings, rows: Rows) -> None:
    """Frozen as of the month before: then a merchant is placed among what its peers were."""
    policy = replace(load_scoring(lake.conf).for_day(DAY), min_active_merchants=20)
    with connect(lake.lake, manifest.latest(lake.lake)) as con:
        counting = Counting(con, lake.conf, policy, DAY)
        counted = counting.score(DAY)
        assert list(counting._months) == [date(2026, 2, 28)]
    benchmarks = refreeze(metrics_at(rows, date(2026, 2, 28)), policy)
    for name, placed in counted.placed.items():
        assert {b.mean for b in placed.benches} <= {b.mean for (_, m), b in benchmarks.items() if m == name}


def test_weights_are_chosen_before_they_are_judged(said: Any) -> None:
    done = said(*BOTH, "--train-to", str(BEFORE), "--json")
    found = json.loads(done.stdout)
    assert [d["as_of_date"] for d in found["training"]["days"]] == [str(BEFORE)]
    assert [d["as_of_date"] for d in found["days"]] == [str(DAY)]
    weights = found["weights"]
    assert sum(weights["best_in_training"].values()) == 1 and weights["candidates"] == 35
    assert weights["gain_in_training"] >= 0 and weights["gain_in_unseen_merchants"]["low"] is not None
    assert weights["move"] in (True, False)
    words = said(*BOTH, "--train-to", str(BEFORE)).stdout
    assert "training justifies" in words and "by size, whichever way round" in words


def test_the_future_reaches_no_score(lake: Settings, rows: Rows, tmp_path: Path) -> None:
    """Rows after the day, gone or ten times as dear, change what came and no score, place or weight chosen before."""
    changed = [
        row | {"amount_fen": row["amount_fen"] * 10} if i % 3 and row["business_date"] > DAY else row
        for i, row in enumerate(rows["core_payments"])
        if i % 2 or row["business_date"] <= DAY
    ]
    ask = Ask(BEFORE, DAY, train_to=BEFORE)
    one, other = (
        ranks(lake, ask, 50),
        ranks(write_lake(tmp_path, {**rows, "core_payments": changed}), ask, 50),
    )
    for a, b in zip(one.judged.days, other.judged.days, strict=True):
        assert a.merchants == b.merchants and not np.array_equal(a.came, b.came)
        assert all(np.array_equal(a.scores[name], b.scores[name]) for name in a.scores)
    assert one.choice is not None and other.choice is not None
    assert one.choice.best == other.choice.best
    assert told(one)["training"] == told(other)["training"]


def test_the_same_again_and_fewer_where_more_is_asked(said: Any, lake: Settings) -> None:
    assert said(*BOTH, "--json").stdout == said(*BOTH, "--json").stdout
    few = json.loads(said(*BOTH, "--least-orders", "30", "--json").stdout)
    real = json.loads(said(*BOTH, "--real-only", "--json").stdout)
    assert 10 < few["pairs"] < real["pairs"] <= 2 * MERCHANTS
    assert [day["scores"] for day in real["days"]] == ["counted", "counted"]
    assert real["simulated_share"] == 0


def test_without_simulated_rows_nothing_of_them_is_left(lake: Settings, rows: Rows, tmp_path: Path) -> None:
    kept = {name: [row for row in of if row["origin"] == "real"] for name, of in rows.items()}
    alone = ranks(write_lake(tmp_path, kept), Ask(BEFORE, BEFORE), 20)
    asked = ranks(lake, Ask(BEFORE, BEFORE, real_only=True), 20)
    assert told(alone) | {"real_only": True} == told(asked)


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (("--from", str(DAY), "--to", str(BEFORE)), 2, "is before"),
        ((*BOTH, "--step", "0"), 2, "--step is 0"),
        ((*BOTH, "--least-orders", "0"), 2, "--least-orders is 0"),
        ((*BOTH, "--train-to", str(DAY)), 2, "leaves no day to train on"),
        ((*BOTH, "--train-to", str(BEFORE), "--step", "20"), 2, "leaves no day to train on"),
        ((*BOTH, "--out", "/no/such/folder/a.csv"), 2, "is no folder"),
        ((*BOTH, "--least-orders", "100000"), 20, "No merchant has a total and sold"),
        (("--from", str(DAY), "--to", str(LAST)), 20, f"{LAST + timedelta(days=28)}, 28 days after {LAST}"),
        (("--from", "2026-02-01", "--to", str(DAY)), 20, "Payments begin on"),
        ((*BOTH, "--policy", "/no/such/scoring.toml"), 20, "/no/such/scoring.toml"),
    ],
)
def test_refusals(said: Any, words: tuple[str, ...], code: int, expected: str) -> None:
    done = said(*words)
    assert isinstance(done.exception, CcareError) and done.exception.exit_code == code
    assert expected in str(done.exception) and done.stdout == ""


def test_no_lake_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCARE_LAKE", str(tmp_path))
    done = CliRunner().invoke(app, ["backtest-ranks", *BOTH])
    assert isinstance(done.exception, CcareError) and done.exception.exit_code == 20
