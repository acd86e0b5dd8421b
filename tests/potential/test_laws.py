"""What must hold for any histories and any parameters."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import betaln

from ccare.potential import bg_nbd, gamma_gamma
from ccare.potential.bg_nbd import BgNbd
from ccare.potential.fitting import Prior
from ccare.potential.gamma_gamma import GammaGamma, Spends
from ccare.potential.histories import Histories

STEP = 1e-6
LAW = settings(deadline=None, max_examples=60)
_log = st.floats(-2.0, 3.0)
models = st.builds(BgNbd, *(_log.map(lambda v: float(np.exp(v))) for _ in range(4)))
spend_models = st.builds(
    lambda p, q, v: GammaGamma(*(float(np.exp(k)) + more for k, more in ((p, 0), (q, 1.0), (v, 0)))),
    st.floats(-1, 3),
    st.floats(-1, 2),
    st.floats(-2, 8),
)


@st.composite
def histories(draw: st.DrawFn, most: int = 12) -> Histories:
    """Up to ``most`` rows in whole days."""
    rows = []
    for _ in range(draw(st.integers(1, most))):
        age = draw(st.integers(0, 400))
        x = draw(st.integers(0, min(age, 60)))
        rows.append((x, draw(st.integers(x, age)) if x else 0, age, draw(st.integers(1, 5))))
    return Histories.of(*np.array(rows, dtype=float).T)


@st.composite
def spends(draw: st.DrawFn) -> Spends:
    rows = draw(
        st.lists(st.tuples(st.integers(1, 50), st.floats(1, 1e5), st.integers(1, 4)), min_size=1, max_size=8)
    )
    return Spends.of(*np.array(rows, dtype=float).T)


def _steep(value, at, slope) -> None:
    """A gradient equals central differences of its function."""
    for i in range(len(at)):
        away = np.zeros_like(at)
        away[i] = STEP
        rise = (value(at + away) - value(at - away)) / (2 * STEP)
        assert slope[i] == pytest.approx(rise, rel=1e-4, abs=1e-4 * (1 + abs(value(at))))


@LAW
@given(models, histories())
def test_gradient_of_paying(model: BgNbd, of: Histories) -> None:
    _steep(
        lambda theta: bg_nbd.log_likelihood(BgNbd.from_log(theta), of), model.log, bg_nbd.gradient(model, of)
    )


@LAW
@given(spend_models, spends())
def test_gradient_of_spend(model: GammaGamma, of: Spends) -> None:
    _steep(
        lambda theta: gamma_gamma.log_likelihood(GammaGamma.from_log(theta), of),
        model.log,
        gamma_gamma.gradient(model, of),
    )


@LAW
@given(models, histories(), st.randoms(use_true_random=False))
def test_order_of_users_changes_nothing(model: BgNbd, of: Histories, random: object) -> None:
    order = list(range(len(of.x)))
    random.shuffle(order)  # type: ignore[attr-defined]
    mixed = Histories.of(of.x[order], of.t_x[order], of.T[order], of.users[order])
    assert bg_nbd.log_likelihood(model, mixed) == pytest.approx(bg_nbd.log_likelihood(model, of), rel=1e-12)
    assert bg_nbd.expected_repeats(model, 28, mixed) == pytest.approx(
        bg_nbd.expected_repeats(model, 28, of)[order], rel=1e-12
    )


@LAW
@given(models, histories())
def test_users_alike_in_one_row_or_one_each(model: BgNbd, of: Histories) -> None:
    n = of.users.astype(int)
    each = Histories.of(*(np.repeat(part, n) for part in (of.x, of.t_x, of.T)))
    assert bg_nbd.log_likelihood(model, each.grouped()) == pytest.approx(
        bg_nbd.log_likelihood(model, each), rel=1e-12
    )
    assert bg_nbd.gradient(model, each.grouped()) == pytest.approx(
        bg_nbd.gradient(model, each), rel=1e-9, abs=1e-9
    )


@LAW
@given(models, histories(), st.floats(0.1, 200), st.floats(0.1, 200))
def test_more_time_never_means_fewer_days(model: BgNbd, of: Histories, t: float, more: float) -> None:
    short, long = (bg_nbd.expected_repeats(model, span, of) for span in (t, t + more))
    assert (short >= 0).all() and (long >= short * (1 - 1e-12)).all()


@LAW
@given(models, st.integers(1, 30), st.integers(30, 200), st.integers(0, 200))
def test_longer_silence_never_means_likelier_alive(model: BgNbd, x: int, t_x: int, silence: int) -> None:
    of = Histories.of([x, x], [t_x, t_x], [t_x + silence, t_x + silence + 7])
    sooner, later = bg_nbd.probability_alive(model, of)
    assert 0 <= later <= sooner <= 1


@settings(LAW, max_examples=25)
@given(models, st.integers(0, 40), st.integers(40, 300), st.floats(1, 120))
def test_the_sum_is_the_integral_over_leaving(model: BgNbd, x: int, T: int, t: float) -> None:
    """Apart from the product's sum: E = P(alive) E_p[(1 - (1 + p s)^-(r + x)) / p], p ~ Beta(a, b + x)."""
    of = Histories.of(x, 30 if x else 0, T)
    s, shape, b = t / (model.alpha + T), model.r + x, model.b + x

    def days(p: float) -> float:
        return float(-np.expm1(-shape * np.log1p(p * s)) / p) if p > 1e-280 else shape * s

    # Each half by the power that takes the pole of the density at its end away.
    def low(u: float) -> float:
        p = u ** (1 / model.a)
        return days(p) * float(np.exp((b - 1) * np.log1p(-p) - betaln(model.a, b))) / model.a

    def high(v: float) -> float:
        p = 1 - v ** (1 / b)
        return days(p) * float(np.exp((model.a - 1) * np.log(p) - betaln(model.a, b))) / b

    edges = [0.0, *(10.0 ** (-k * model.a) for k in range(9, 0, -1)), 0.5**model.a]
    whole = sum(quad(low, first, last, epsrel=1e-9)[0] for first, last in pairwise(edges))
    whole += quad(high, 0, 0.5**b, epsrel=1e-9)[0]
    alive = bg_nbd.probability_alive(model, of)[0]
    assert bg_nbd.expected_repeats(model, t, of)[0] == pytest.approx(alive * whole, rel=1e-5)


@LAW
@given(spend_models, st.integers(1, 50), st.floats(1, 1e5), st.floats(1, 1e4))
def test_who_spent_more_is_expected_to(model: GammaGamma, x: int, z: float, more: float) -> None:
    low, high = (gamma_gamma.expected_spend(model, np.array([x]), np.array([v]))[0] for v in (z, z + more))
    assert low <= high
    between = sorted((z, model.population_mean))
    assert between[0] * (1 - 1e-9) <= low <= between[1] * (1 + 1e-9)


@settings(LAW, max_examples=30)
@given(histories(most=4), models)
def test_few_users_stay_near_their_peers(of: Histories, model: BgNbd) -> None:
    """With a prior a fit always ends at a finite place; infinitely sharp, it is the prior's."""
    found = bg_nbd.fit(of, Prior(model.log, np.full(4, 4.0)))
    assert np.isfinite(found.theta).all()
    sharp = bg_nbd.fit(of, Prior(model.log, np.full(4, 1e9)))
    assert sharp.theta == pytest.approx(model.log, abs=1e-3)


@pytest.mark.parametrize(
    "row", [(1, 5, 3, 1), (0, 2, 3, 1), (-1, 0, 3, 1), (1, 1, np.nan, 1), (1, 1, 3, 0)], ids=str
)
def test_histories_that_cannot_be_are_refused(row: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="histor"):
        Histories.of(*row)


def test_without_repeaters_or_prior_the_fit_says_that_it_failed() -> None:
    assert not bg_nbd.fit(Histories.of([0, 0, 0], [0, 0, 0], [10, 20, 30])).converged
