"""Scores replayed in memory against what the jobs store, and the laws of their arithmetic."""

import math
import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ccare.metrics.definitions import DIMENSIONS
from ccare.runtime.settings import default_conf
from ccare.scoring import arithmetic as a
from ccare.scoring.benchmarks import refreeze
from ccare.scoring.change import Day, parts, split
from ccare.scoring.places import as_columns, columns_of
from ccare.scoring.policy import load_scoring
from ccare.scoring.score import replay
from tests.oracle.scores import place
from tests.scoring.metric_rows import DAY, market
from tests.scoring.scored import frozen, scored

POLICY = load_scoring(default_conf()).for_day(DAY)
SCORES = [f"{name}_score{end}" for name in (*DIMENSIONS, "total") for end in ("", "_low", "_high")]


def test_what_if_and_explain_score_as_the_jobs_do() -> None:
    """Rows as dictionaries, scored in memory, give what the tables hold."""
    then, today = market(31, 260), market(32, 200, DAY)
    benchmarks = frozen(then)
    drivers, merchants = scored(today, benchmarks)
    result = replay(
        as_columns(today, columns_of(list(POLICY.weights))),
        [row["peer_group"] for row in merchants],
        refreeze(then[::-1], POLICY),
        POLICY,
    )
    at = {row["merchant_id"]: i for i, row in enumerate(today)}
    for row in drivers:
        placed, i = result.drivers[row["metric_id"]], at[row["merchant_id"]]
        assert _same(placed.shrunk[i], row["shrunk_value"])
        for mine, name in (
            ("percentile", "percentile"),
            ("low", "percentile_low"),
            ("high", "percentile_high"),
        ):
            assert getattr(placed, mine)[i] == row[name], (row, name)
        assert bool(placed.known[i]) == (row["driver_status"] != "none")
    for row in merchants:
        i = at[row["merchant_id"]]
        assert result.status[i] == row["score_status"]
        assert all(_same(result.scores[name][i], row[name]) for name in SCORES), row


def _same(mine: float, published: float | None) -> bool:
    return math.isnan(mine) if published is None else bool(mine == published)


finite = st.floats(-12, 12)


def _ladder(seed: int) -> list[float]:
    """101 ascending values, some of them equal, now and then all of them."""
    rng = random.Random(seed)
    few = [0.0, 0.5, 1.0, 2.0, 7.5][: rng.randrange(1, 6)]
    return sorted(rng.choice(few) if rng.random() < seed % 3 / 2 else rng.uniform(-9, 9) for _ in range(101))


ladder = st.integers(0, 10**6).map(_ladder)


@given(ladder, finite, finite)
def test_places_are_bounded_rise_with_the_value_and_are_the_oracle_s(
    q: list[float], x: float, y: float
) -> None:
    low, high = sorted((x, y))
    places = a.place(np.array([low, high, *q[::25]]), np.array(q))
    assert all(0 <= p <= 100 for p in places) and places[0] <= places[1]
    assert [float(p) for p in places] == [place(q, v) for v in (low, high, *q[::25])]


@given(ladder, st.sampled_from([20.0, 50.0, 80.0, 95.0]), st.booleans())
def test_a_target_is_the_least_value_that_reaches_its_place(q: list[float], at: float, lower: bool) -> None:
    reaching = [v for v in q if (100 - place(q, v) if lower else place(q, v)) >= at]
    wanted = (max(reaching) if lower else min(reaching)) if reaching else None
    assert a.target(np.array(q), at, lower=lower) == wanted


@given(st.floats(0, 100), st.integers(1, 5))
def test_rounding_is_half_even_of_what_is_written(x: float, places: int) -> None:
    assert float(a.rounded(np.array([x]), places)[0]) == a.round_one(x, places)


@given(
    st.dictionaries(st.text("abcdef", min_size=1), st.floats(-40, 40), max_size=23), st.integers(-9000, 9000)
)
def test_parts_sum_to_the_whole(exact: dict[str, float], whole: int) -> None:
    told = split(exact, whole)
    assert sum(told.values()) == (whole if exact else 0)
    assert set(told) == set(exact)


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_a_change_is_decomposed_without_remainder(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = (_day(rng.integers(0, 1_000_001, len(POLICY.weights)) / 1e4) for _ in range(2))
    told = parts(before, after, POLICY)
    change = round((after.scores["total_score"] - before.scores["total_score"]) * 100)
    assert sum(part.of_total for part in told) == change
    for d in DIMENSIONS:
        mine = sum(part.of_dimension for part in told if part.dimension == d)
        assert mine == round((after.scores[f"{d}_score"] - before.scores[f"{d}_score"]) * 100)
    # Before it is rounded the split leaves nothing over: each part lies within the rounding of its exact value.
    assert abs(change) < 500 or any(part.of_total * change > 0 for part in told)


def _day(percentiles) -> Day:
    drivers, scores, total = {}, {}, 1.0
    for name, p in zip(POLICY.weights, percentiles, strict=True):
        dimension = next(d for d in DIMENSIONS if name in POLICY.metrics_of(d))
        drivers[name] = {"dimension": dimension, "contribution": POLICY.weights[name] * float(p)}
    for d in DIMENSIONS:
        value = sum(row["contribution"] for row in drivers.values() if row["dimension"] == d)
        scores[f"{d}_score"] = round(value, 1)
        total *= max(value, 1.0) ** POLICY.dimensions[d]
    return Day(scores | {"total_score": round(total, 1)}, drivers)
