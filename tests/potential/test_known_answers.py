"""The models give what their authors published, and what the package lifetimes gives on its own data."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ccare.potential import bg_nbd, gamma_gamma
from ccare.potential.bg_nbd import BgNbd
from ccare.potential.gamma_gamma import GammaGamma, Spends
from ccare.potential.histories import Histories

PAPER = BgNbd(0.243, 4.414, 0.793, 2.426)


@pytest.fixture(scope="module")
def lifetimes() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lifetimes

        yield lifetimes


@pytest.fixture(scope="module")
def cdnow(lifetimes: Any) -> Any:
    from lifetimes.datasets import load_cdnow_summary

    return load_cdnow_summary(index_col=[0])


@pytest.fixture(scope="module")
def spenders(lifetimes: Any) -> Any:
    from lifetimes.datasets import load_cdnow_summary_data_with_monetary_value

    all_of_them = load_cdnow_summary_data_with_monetary_value()
    return all_of_them[all_of_them["frequency"] > 0]


@pytest.fixture(scope="module")
def histories(cdnow: Any) -> Histories:
    return Histories.of(cdnow["frequency"], cdnow["recency"], cdnow["T"])


@pytest.fixture(scope="module")
def fitted(histories: Histories) -> BgNbd:
    found = bg_nbd.fit(histories)
    assert found.converged
    assert -found.loss == pytest.approx(-9582.425560567, abs=1e-6)
    return BgNbd.from_log(found.theta)


def test_cdnow_parameters(fitted: BgNbd) -> None:
    told = [fitted.r, fitted.alpha, fitted.a, fitted.b]
    assert told == pytest.approx([0.24259291, 4.41353155, 0.7928861, 2.42575363], rel=1e-5)


def test_cdnow_parameters_from_users_alike(histories: Histories, fitted: BgNbd) -> None:
    alike = histories.grouped()
    assert alike.x.size < histories.x.size / 2 and alike.total == histories.x.size
    assert bg_nbd.fit(alike).theta == pytest.approx(fitted.log, abs=1e-5)


def test_one_buyer_of_the_paper(fitted: BgNbd) -> None:
    buyer = Histories.of(2, 30.43, 38.86)
    assert bg_nbd.expected_repeats(fitted, 39, buyer)[0] == pytest.approx(1.2259104, abs=1e-6)
    assert bg_nbd.probability_alive(fitted, buyer)[0] == pytest.approx(0.72660914, abs=1e-6)


def test_expected_days_of_a_new_user() -> None:
    fitted = BgNbd(0.24259291, 4.41353155, 0.7928861, 2.42575363)
    told = bg_nbd.expected_from_start(fitted, [0.1429, 1.0, 3.0, 31.8571, 32.0, 78.0])
    assert told == pytest.approx([0.0078, 0.0532, 0.1506, 1.0405, 1.0437, 1.8576], abs=5e-4)


def test_probabilities_of_counts() -> None:
    assert bg_nbd.probability_of(PAPER, 10, 2) == pytest.approx(1.07869e-07, rel=1e-5)
    assert bg_nbd.probability_of(PAPER, 0, 39) == pytest.approx(0.5737864, abs=5e-8)
    published = [
        0.0019995214,
        0.0015170236,
        0.001163315,
        0.0009003148,
        0.0007023638,
        0.0005517902,
        0.0004361913,
        0.0003467171,
        0.0002769613,
        0.000222226,
    ]
    assert [bg_nbd.probability_of(PAPER, n, 30) for n in range(11, 21)] == pytest.approx(published, abs=5e-11)


def test_long_histories_do_not_overflow() -> None:
    model = BgNbd(0.25, 4.0, 0.8, 2.5)
    assert bg_nbd.log_likelihood(model, Histories.of(0, 0, 40)) == pytest.approx(-0.59947382, abs=5e-9)
    assert bg_nbd.log_likelihood(model, Histories.of(200, 38, 40)) == pytest.approx(100.7957, abs=5e-5)
    assert np.isfinite(bg_nbd.expected_repeats(model, 90, Histories.of(3000, 3600, 3650))).all()


def test_spend_parameters(spenders: Any) -> None:
    found = gamma_gamma.fit(Spends.of(spenders["frequency"], spenders["monetary_value"]))
    model = GammaGamma.from_log(found.theta)
    assert found.converged
    assert -found.loss == pytest.approx(-4055.9232435, abs=1e-6)
    assert [model.p, model.q, model.v] == pytest.approx([6.24880386, 3.74458832, 15.44774361], rel=1e-5)
    assert model.population_mean == pytest.approx(35.171, abs=5e-4)


def test_expected_spend_of_the_first_buyers(spenders: Any, lifetimes: Any) -> None:
    from lifetimes.datasets import load_cdnow_summary_data_with_monetary_value

    first = load_cdnow_summary_data_with_monetary_value().head(10)
    x, z = (first[name].to_numpy(dtype=float) for name in ("frequency", "monetary_value"))
    told = gamma_gamma.expected_spend(GammaGamma(6.25, 3.74, 15.44), x, z)
    published = [24.65, 18.91, 35.17, 35.17, 35.17, 71.46, 18.91, 35.17, 27.28, 35.17]
    assert told == pytest.approx(published, abs=0.1)


def test_lifetimes_agrees_on_its_own_data(
    lifetimes: Any, cdnow: Any, spenders: Any, histories: Histories, fitted: BgNbd
) -> None:
    theirs = lifetimes.BetaGeoFitter(penalizer_coef=0.0)
    theirs.fit(cdnow["frequency"], cdnow["recency"], cdnow["T"])
    assert [fitted.r, fitted.alpha, fitted.a, fitted.b] == pytest.approx(
        [float(theirs.params_[n]) for n in ("r", "alpha", "a", "b")], rel=1e-5
    )
    columns = (cdnow["frequency"], cdnow["recency"], cdnow["T"])
    same = BgNbd(*(float(theirs.params_[n]) for n in ("r", "alpha", "a", "b")))
    expected = theirs.conditional_expected_number_of_purchases_up_to_time(39, *columns)
    assert bg_nbd.expected_repeats(same, 39, histories) == pytest.approx(np.asarray(expected), rel=1e-8)
    alive = theirs.conditional_probability_alive(*columns)
    assert bg_nbd.probability_alive(same, histories) == pytest.approx(np.asarray(alive), rel=1e-10)
    spend = lifetimes.GammaGammaFitter(penalizer_coef=0.0)
    spend.fit(spenders["frequency"], spenders["monetary_value"])
    model = GammaGamma.from_log(
        gamma_gamma.fit(Spends.of(spenders["frequency"], spenders["monetary_value"])).theta
    )
    assert [model.p, model.q, model.v] == pytest.approx([float(v) for v in spend.params_], rel=1e-5)
