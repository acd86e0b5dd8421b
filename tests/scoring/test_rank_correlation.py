"""Rank correlations by hand, by an oracle in plain Python, by SciPy, and their laws; growth by hand."""

import math
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from ccare.scoring.dimension_weights import NOW, candidates, choose
from ccare.scoring.growth import growth, nets
from ccare.scoring.rank_correlation import (
    Ranked,
    correlations,
    draw_counts,
    partial,
    samples,
    spearman,
)
from tests.held_lake import held_lake

few = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=40)


def _oracle(x: list[float], y: list[float]) -> float | None:
    """Middle ranks by counting who is below and who is equal, then Pearson's sums."""

    def ranks(of: list[float]) -> list[float]:
        return [sum(o < v for o in of) + (sum(o == v for o in of) + 1) / 2 for v in of]

    a, b = ranks(x), ranks(y)
    ma, mb = sum(a) / len(a), sum(b) / len(b)
    above = sum((p - ma) * (q - mb) for p, q in zip(a, b, strict=True))
    below = sum((p - ma) ** 2 for p in a) * sum((q - mb) ** 2 for q in b)
    return above / math.sqrt(below) if below else None


def _floats(values: list) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_by_hand() -> None:
    # Ranks 1, 2.5, 2.5, 4 against 2, 1, 3, 4: 3 / sqrt(4.5 x 5).
    assert spearman(_floats([5, 7, 7, 9]), _floats([2, 1, 3, 4])) == pytest.approx(3 / math.sqrt(22.5))
    assert spearman(_floats([1, 2, 3]), _floats([3, 2, 1])) == -1


@given(few)
def test_it_is_the_oracle_s(pairs: list[tuple[int, int]]) -> None:
    x, y = (list(map(float, of)) for of in zip(*pairs, strict=True))
    mine, wanted = spearman(_floats(x), _floats(y)), _oracle(x, y)
    assert (mine is None) == (wanted is None) and mine == pytest.approx(wanted)


@given(few, st.randoms(use_true_random=False))
def test_neither_order_nor_a_rising_scale_changes_it(pairs: list[tuple[int, int]], draw: object) -> None:
    x, y = (_floats(list(of)) for of in zip(*pairs, strict=True))
    found = spearman(x, y)
    mixed = list(range(len(pairs)))
    draw.shuffle(mixed)  # type: ignore[attr-defined]
    assert spearman(x[mixed], y[mixed]) == pytest.approx(found)
    assert spearman(np.exp(x / 3) + 7, y**3) == pytest.approx(found)
    turned = spearman(-x, y)
    assert turned == pytest.approx(None if found is None else -found)


@given(st.lists(st.integers(-50, 50), min_size=3, max_size=30, unique=True))
def test_scores_that_order_by_what_comes_give_one(came: list[int]) -> None:
    assert spearman(np.log1p(_floats(came) + 50), _floats(came)) == pytest.approx(1)
    assert spearman(np.zeros(len(came)), _floats(came)) is None
    assert spearman(_floats(came), np.full(len(came), 0.1)) is None


def test_a_draw_is_what_repeating_its_rows_gives() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 12, 80).astype(float), rng.normal(size=80)
    counts = draw_counts(80, 25, 5)
    assert (counts.sum(axis=1) == 80).all() and np.array_equal(counts, draw_counts(80, 25, 5))
    for one, drawn in zip(correlations({"x": x}, y, counts)["x"], counts, strict=True):
        again = np.repeat(np.arange(80), drawn)
        assert one == pytest.approx(spearmanr(x[again], y[again]).statistic)


def _day(rng: np.random.Generator, size: int, strength: float) -> Ranked:
    came = rng.normal(size=size)
    return Ranked(np.arange(size), came, {"x": strength * came + rng.normal(size=size)})


def test_the_same_day_told_again_makes_no_interval_narrower() -> None:
    """Days of one merchant are drawn together: four copies of a day know no more than it."""
    day = _day(np.random.default_rng(1), 200, 0.5)
    counts = draw_counts(200, 300, 1)
    once, four = samples([day], counts)["x"], samples([day] * 4, counts)["x"]
    assert once.interval() == pytest.approx(four.interval()) and once.value == pytest.approx(four.value)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Bivariate normals: Spearman's rho is 6/pi asin(r/2). 200 worlds, of which about 190 should be held."""
    rng, strength, held = np.random.default_rng(7), 0.6, 0
    r = strength / math.hypot(strength, 1)
    truth = 6 / math.pi * math.asin(r / 2)
    counts = draw_counts(120, 200, 2)
    for _ in range(200):
        low, high = samples([_day(rng, 120, strength)], counts)["x"].interval() or (1, -1)
        held += low <= truth <= high
    assert 180 <= held <= 198


def test_days_weigh_alike_and_small_or_constant_ones_are_left_out() -> None:
    rng = np.random.default_rng(2)
    one, other, small = _day(rng, 50, 1.0), _day(rng, 30, -1.0), _day(rng, 9, 5.0)
    constant = Ranked(np.arange(40), rng.normal(size=40), {"x": np.zeros(40)})
    counts = draw_counts(50, 10, 1)
    found = samples([one, other, small, constant], counts)["x"].value
    wanted = [spearman(day.said["x"], day.came) for day in (one, other)]
    assert found == pytest.approx(sum(wanted) / 2)  # type: ignore[arg-type]
    nothing = samples([constant, small], counts)["x"]
    assert nothing.value is None and nothing.interval() is None
    assert nothing.minus(nothing).value is None and nothing.size().interval() is None


def test_what_last_growth_says_is_taken_out() -> None:
    """Against the correlation of what is left of ranks after a straight line through the other's."""
    rng = np.random.default_rng(4)
    given_ = rng.normal(size=300)
    x, came = given_ + rng.normal(size=300), -given_ + 0.3 * rng.normal(size=300)
    day = Ranked(np.arange(300), came, {"x": x, "given": given_})
    found = partial([day], draw_counts(300, 50, 1), "x", "given")
    a, b, z = (rankdata(of) for of in (x, came, given_))
    left = [of - np.polyval(np.polyfit(z, of, 1), z) for of in (a, b)]
    assert found.value == pytest.approx(np.corrcoef(*left)[0, 1])
    alone = Ranked(np.arange(300), came, {"x": given_, "given": given_})
    assert partial([alone], draw_counts(300, 5, 1), "x", "given").value is None


def test_growth_by_hand() -> None:
    before, after = _floats([100, 100, 0, 100, 100, 0, -5]), _floats([150, 0, 30, -20, 100, 0, 4])
    found = growth(before, after)
    assert found[:5] == pytest.approx([0.2, -1, 1, -1, 0]) and np.isnan(found[5]) and found[6] == 1


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(1, 10**6))
def test_growth_rises_with_what_comes_and_ignores_the_currency(before: int, after: int, more: int) -> None:
    here, up, large = growth(
        _floats([before, before, before * 100]), _floats([after, after + more, after * 100])
    )
    assert -1 <= here <= up <= 1 and here == pytest.approx(large)
    assert growth(_floats([after + 1]), _floats([before]))[0] == pytest.approx(
        -growth(_floats([before]), _floats([after + 1]))[0]
    )


def test_windows_have_28_days_and_refunds_count_on_their_own_day() -> None:
    day, kinds = date(2026, 3, 31), []
    for back, kind, amount in (
        (56, "paid", 1),
        (55, "paid", 2),
        (28, "paid", 4),
        (27, "paid", 8),
        (0, "paid", 16),
        (0, "refunded", 3),
        (-1, "paid", 32),
        (-28, "refunded", 40),
        (-29, "paid", 64),
    ):
        kinds.append(
            {
                "merchant_id": "m",
                "event_type": kind,
                "amount_fen": amount,
                "business_date": day - timedelta(days=back),
            }
        )
    with held_lake({"core_payments": kinds}) as con:
        found = nets(con, day)["m"]
    assert (found.earlier, found.until, found.coming, found.orders) == (6, 21, -8, 2)


def _market(rng: np.random.Generator, signal: dict[str, float]) -> Ranked:
    """Totals under each candidate of four made-up dimensions, of which some know what comes."""
    came = rng.normal(size=400)
    parts = {d: signal.get(d, 0.0) * came + rng.normal(size=400) for d in candidates()["2:2:2:2"]}
    said = {name: np.sum([w * parts[d] for d, w in of.items()], axis=0) for name, of in candidates().items()}
    return Ranked(np.arange(400), came, said | {NOW: said["2:2:2:2"]})


@pytest.mark.parametrize(
    ("signal", "largest", "moved"),
    [
        ({"activity": 1.0}, "activity", True),
        ({}, None, False),
        ({"scale": -1.0, "activity": -1.0, "potential": -1.0, "efficiency": -0.4}, "efficiency", False),
    ],
    ids=["one knows", "none knows", "all the wrong way round"],
)
def test_a_move_needs_a_gain_in_merchants_not_chosen_on(
    signal: dict[str, float], largest: str | None, moved: bool
) -> None:
    rng = np.random.default_rng(11)
    found = choose([_market(rng, signal), _market(rng, signal)], draw_counts(400, 200, 1))
    assert found is not None and found.moved is moved and found.candidates == 35
    assert largest is None or max(found.best, key=found.best.__getitem__) == largest
    assert found.gain >= 0 and found.unseen.value == pytest.approx(found.gain, abs=0.05)


def test_candidates_sum_to_one_and_leave_no_dimension_out() -> None:
    assert all(sum(of.values()) == 1 and min(of.values()) >= 1 / 8 for of in candidates().values())
    assert next(iter(candidates())) == "2:2:2:2"
