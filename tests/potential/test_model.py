"""Merchants' models: fitted, drawn to peers, fallen back with a status; and the factor learned from a past quarter."""

from collections.abc import Iterator
from datetime import date

import duckdb
import numpy as np
import pytest

from ccare.growth.snapshot import connect
from ccare.potential.bg_nbd import BgNbd
from ccare.potential.calibration import STRENGTH, Calibration, compare, learn
from ccare.potential.fitting import Prior
from ccare.potential.gamma_gamma import Spends
from ccare.potential.histories import Histories
from ccare.potential.model import MerchantModel, expect, fit_models, mean_alive
from ccare.potential.observed import Observed, industries, load_paid_days, observe
from ccare.potential.peers import Peers
from ccare.runtime import manifest
from tests.potential.payers import LAST, World

PLAIN = Prior(np.zeros(4), np.ones(4))


@pytest.fixture(scope="module")
def con(world: World) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(world.settings.lake, manifest.latest(world.settings.lake)) as opened:
        load_paid_days(opened, LAST)
        yield opened


@pytest.fixture(scope="module")
def seen(con: duckdb.DuckDBPyConnection) -> dict[str, Observed]:
    return observe(con, LAST)


@pytest.fixture(scope="module")
def models(con: duckdb.DuckDBPyConnection, seen: dict[str, Observed]) -> dict[str, MerchantModel]:
    return fit_models(seen, industries(con, LAST))


def _single(x: float, t_x: float, T: float, spent: float) -> Observed:
    spends = Spends.of(x, spent / x) if x and spent else None
    return Observed(Histories.of(x, t_x, T), np.array([x]), np.array([spent]), spends, 100.0)


def test_every_merchant_has_a_model_and_a_status(
    seen: dict[str, Observed], models: dict[str, MerchantModel]
) -> None:
    assert sorted(models) == sorted(seen)
    assert {models[f"m{i:02}"].orders_status for i in range(12)} == {"fitted"}
    assert {models[f"m{i:02}"].spend_status for i in range(12)} == {"fitted"}
    assert models["free"].spend is None and models["free"].spend_status == "none"
    assert expect(models["free"], seen["free"], 28).value_fen == 0
    for merchant, model in models.items():
        month, quarter = (expect(model, seen[merchant], days) for days in (28, 90))
        assert 0 <= month.orders <= quarter.orders and 0 <= month.value_fen <= quarter.value_fen
        assert 0 < mean_alive(model, seen[merchant]) <= 1


def test_fits_find_what_users_were_drawn_from(models: dict[str, MerchantModel]) -> None:
    """Mean rate r / alpha and mean leaving a / (a + b), in the middle; paying twice on a day counts once."""
    fitted = [m.orders for n, m in models.items() if n.startswith("m")]
    drawn = np.median([(0.8 + 0.05 * i) / (25.0 + i) for i in range(12)])
    assert np.median([m.r / m.alpha for m in fitted]) == pytest.approx(drawn, rel=0.3)
    assert np.median([m.a / (m.a + m.b) for m in fitted]) == pytest.approx(0.5 / 3.5, rel=0.35)


def test_a_merchant_of_one_user_forecasts_like_its_peers(seen: dict[str, Observed]) -> None:
    few = {m: seen[m] for m in ("m00", "m01", "m02")}
    told = fit_models(few | {"lucky": _single(6, 9, 10, 6000)}, {})
    rate = np.median([told[m].orders.r / told[m].orders.alpha for m in few])
    assert (
        told["lucky"].orders.r / told["lucky"].orders.alpha < 10 * rate
    )  # it paid at twenty times that rate
    assert told["lucky"].spend_status == "fitted"


def test_a_fit_that_fails_falls_back_to_the_peers(seen: dict[str, Observed]) -> None:
    few = {m: seen[m] for m in ("m00", "m01")}
    impossible = _single(1e12, 1, 1, 0.0)  # a million million paid days in one: no parameter is large enough
    told = fit_models(few | {"broken": impossible}, {})
    assert told["broken"].orders_status == "peers" and told["broken"].spend_status == "peers"
    assert np.isfinite(expect(told["broken"], impossible, 28).value_fen)
    assert {m: told[m] for m in few} == fit_models(few, {})


def test_peers_are_centred_on_medians_and_few_are_drawn_to_everyone() -> None:
    theta = np.vstack([np.full((30, 4), 1.0), np.full((10, 4), 5.0), np.full((1, 4), 99.0)])
    peers = Peers(theta, ["food"] * 30 + ["books"] * 11, 1.0, PLAIN)
    assert peers.prior("food").mean == pytest.approx(np.full(4, 1.0))
    assert peers.prior("books").mean == pytest.approx(np.full(4, (11 * 5 + 10 * 1) / 21))
    assert peers.prior("never seen").mean == pytest.approx(np.full(4, 1.0))
    assert Peers(np.empty((0, 4)), [], 1.0, PLAIN).prior("food") is not None
    assert Peers(np.empty((0, 4)), [], 1.0, PLAIN).prior("food").mean.tolist() == [0.0] * 4


def test_users_alike_are_expected_to_do_what_they_would_one_by_one() -> None:
    model = fit_models({"m": _single(3, 20, 30, 900)}, {})["m"]
    pair = Observed(Histories.of(3, 20, 30, 2), np.array([3.0]), np.array([1900.0]), None, 100.0)
    ones = [expect(model, _single(3, 20, 30, spent), 28) for spent in (900, 1000)]
    both = expect(model, pair, 28)
    assert both.orders == pytest.approx(sum(one.orders for one in ones), rel=1e-12)
    assert both.value_fen == pytest.approx(sum(one.value_fen for one in ones), rel=1e-12)


def test_a_factor_is_drawn_to_everyones() -> None:
    told = compare({"large": 1e6, "small": 10.0}, {"large": 800_000, "small": 100}, date(2017, 6, 30))
    everyone = 800_100 / 1_000_010
    assert told.everyone == everyone
    assert told.factor("large") == pytest.approx((800_000 + STRENGTH * everyone) / (1e6 + STRENGTH))
    assert told.factor("small") == pytest.approx(everyone, rel=0.03)
    assert told.factor("new") == everyone
    assert compare({}, {}, date(2017, 6, 30)) == Calibration()


def test_without_a_quarter_before_there_is_no_factor(con: duckdb.DuckDBPyConnection) -> None:
    assert learn(con, date(2017, 4, 1), {}) == Calibration()
    learned = learn(con, LAST, {})
    assert learned.origin == date(2017, 6, 30) and 0.8 < learned.everyone < 1.2


def test_the_plain_model_is_not_changed_by_where_it_is_written() -> None:
    assert BgNbd.from_log(BgNbd(0.5, 60.0, 1.0, 3.0).log).a == pytest.approx(1.0)
