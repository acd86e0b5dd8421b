"""Benchmarks, drivers and scores against a recomputation in plain Python on seeded random markets."""

import math

import pytest

from tests.oracle.scores import COUNTS, WEIGHTS, Benchmarks, score
from tests.scoring.metric_rows import DAY, FROZEN, market
from tests.scoring.scored import frozen, scored

METRICS = [name for names in WEIGHTS.values() for name in names]


@pytest.fixture(scope="module")
def world():
    """Rows of the frozen day and of the day scored, benchmarks, drivers and scores."""
    then, today = market(1, 420), market(2, 430, DAY)
    today[7]["industry"] = "opened after the freeze"
    benchmarks = frozen(then + today)
    drivers, merchants = scored(then + today, benchmarks)
    return then, today, benchmarks, drivers, merchants


def test_benchmarks_agree(world) -> None:
    then, _, benchmarks, _, _ = world
    bench = Benchmarks([row | {"industry": row["industry"] or "*"} for row in then])
    assert {row["frozen_on"] for row in benchmarks} == {FROZEN}
    assert {row["status"] for row in benchmarks} == {"monthly"}
    assert {row["compared_with"] for row in benchmarks} == {"group", "industry", "all"}
    for row in benchmarks:
        mean, k, q = bench.pool(row["peer_group"], row["metric_id"])
        assert row["prior_mean"] == mean
        if mean is not None:
            assert math.isclose(row["prior_strength"], k, rel_tol=1e-9)
        if q is None:
            assert row["quantiles"] is None and row["peers"] == 0
        else:
            assert row["quantiles"] == pytest.approx(q, rel=1e-9, abs=1e-12)


def test_drivers_agree(world) -> None:
    _, today, _, drivers, _ = world
    bench, by_id = _oracle(world), {row["merchant_id"]: row for row in today}
    assert len(drivers) == len(today) * len(METRICS)
    told = {}
    for row in drivers:
        source = by_id[row["merchant_id"]]
        if row["merchant_id"] not in told:
            told[row["merchant_id"]] = score(bench, bench.group(source), source)
        want = told[row["merchant_id"]]["drivers"][row["metric_id"]]
        assert row["peer_group"] == bench.group(source)
        assert row["n"] == want["n"]
        assert (row["denominator"] is None) == (row["metric_id"] in COUNTS)
        if want["shrunk"] is None:
            assert row["shrunk_value"] is None
        else:
            assert row["shrunk_value"] == pytest.approx(want["shrunk"], rel=1e-9)
        assert row["percentile"] == pytest.approx(want["percentile"], abs=1e-4)
        assert row["contribution"] == row["weight"] * row["percentile"]
        assert row["percentile_low"] <= row["percentile"] <= row["percentile_high"]
        assert (row["driver_status"] != "none") == (want["known"] and source["events_56d"] > 0)


def test_scores_agree_to_the_last_digit(world) -> None:
    _, today, _, _, merchants = world
    bench, found = _oracle(world), {row["merchant_id"]: row for row in merchants}
    assert set(found) == {row["merchant_id"] for row in today}
    for source in today:
        got, want = found[source["merchant_id"]], score(bench, bench.group(source), source)
        assert got["score_status"] == want["status"]
        for dimension in WEIGHTS:
            assert got[f"{dimension}_coverage"] == pytest.approx(want[f"{dimension}_coverage"], abs=1e-6)
            assert got[f"{dimension}_score"] == want[f"{dimension}_score"]
        assert got["total_score"] == want["total_score"]
    statuses = {row["score_status"] for row in merchants}
    assert statuses >= {"full", "partial", "inactive"}


def test_bounds_hold_the_score(world) -> None:
    for row in world[4]:
        for name in (*WEIGHTS, "total"):
            value, low, high = (row[f"{name}_score{part}"] for part in ("", "_low", "_high"))
            if value is None:
                assert low is None and high is None
            else:
                assert 0 <= low <= value <= high <= 100


def _oracle(world) -> Benchmarks:
    return Benchmarks([row | {"industry": row["industry"] or "*"} for row in world[0]])
