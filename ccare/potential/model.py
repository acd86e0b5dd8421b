"""Every merchant's model: its own histories, penalised towards its peers; a stated fallback where a fit fails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ccare.potential import bg_nbd, gamma_gamma
from ccare.potential.bg_nbd import BgNbd
from ccare.potential.bg_nbd_loss import ManyHistories
from ccare.potential.fitting import Optimum, Prior
from ccare.potential.gamma_gamma import GammaGamma, ManySpends
from ccare.potential.histories import Array
from ccare.potential.many import Task, fit_many
from ccare.potential.observed import Observed
from ccare.potential.peers import Peers

MODEL = "bgnbd-gg-2"
"""Raised whenever the same histories would give other forecasts."""
FITTED, PEERS, NONE = "fitted", "peers", "none"
TEACHING_REPEATERS = 20
"""Merchants with fewer repeaters learn from their peers and teach nothing."""
PEER_STRENGTH = 0.1
"""Weight of the peers' prior; 1 would be what their spread says. Chosen by rolling origins, as the page explains."""
_PLAIN_ORDERS = Prior(np.log([0.5, 60.0, 0.5, 3.0]), np.full(4, 0.05))
"""For a first look, days: a hint of what is usual, as wide as exp(+-4.5)."""
_PLAIN_SPEND = Prior(np.log([3.0, 2.0, 0.7]), np.full(3, 0.05))
"""Likewise, spend in units of the merchant's own mean."""


@dataclass(frozen=True)
class MerchantModel:
    """Parameters and how they came about: ``fitted`` to its own users, the ``peers``' alone, or ``none`` (no spend)."""

    orders: BgNbd
    orders_status: str
    spend: GammaGamma | None
    spend_status: str


@dataclass(frozen=True)
class Outlook:
    """What a merchant's users of today are expected to do within ``days``; value in fen."""

    days: int
    orders: float
    value_fen: float


def fit_models(observed: Mapping[str, Observed], industry: Mapping[str, str]) -> dict[str, MerchantModel]:
    """Fit every merchant twice: alone, to learn what peers are like, then with its peers' prior."""
    orders, spends = fit_orders(observed, industry), _fit_spends(observed, industry)
    return {m: MerchantModel(*orders[m], *spends[m]) for m in observed}


def fit_orders(observed: Mapping[str, Observed], industry: Mapping[str, str]) -> dict[str, tuple[BgNbd, str]]:
    """BG/NBD alone: merchant -> parameters and status."""
    teachers = [m for m, seen in observed.items() if teaches(seen)]
    alone = [Task(observed[m].histories, _PLAIN_ORDERS, rough=True) for m in teachers]
    first = _converged(teachers, fit_many(ManyHistories.of, alone))
    peers = _peers(first, industry, _PLAIN_ORDERS)
    priors = {m: peers.prior(industry.get(m, "")) for m in observed}
    tasks = [Task(seen.histories, priors[m], first.get(m)) for m, seen in observed.items()]
    return {
        m: (BgNbd.from_log(found.theta), FITTED)
        if found.converged
        else (BgNbd.from_log(priors[m].mean), PEERS)
        for m, found in zip(observed, fit_many(ManyHistories.of, tasks))
    }


def teaches(seen: Observed) -> bool:
    """Whether a merchant has repeaters enough for others to learn from it."""
    return seen.histories.repeaters >= TEACHING_REPEATERS


def expect(model: MerchantModel, of: Observed, days: int, factor: float = 1.0) -> Outlook:
    """Paid days and net spend within ``days`` after observation, of users seen by then, times ``factor``.

    E[spend] is linear in a user's spend for a given number of days, so sums over users alike lose nothing.
    """
    repeats = factor * bg_nbd.expected_repeats(model.orders, days, of.histories)
    orders = float(of.histories.users @ repeats)
    if model.spend is None:
        return Outlook(days, orders, 0.0)
    mean_spent = of.spent / of.histories.users
    a_day = gamma_gamma.expected_spend(model.spend, of.spend_days, mean_spent / np.maximum(of.spend_days, 1))
    return Outlook(days, orders, float((of.histories.users * repeats) @ a_day))


def mean_alive(model: MerchantModel, of: Observed) -> float:
    """Mean P(alive) over the users."""
    users = of.histories.users
    return float(users @ bg_nbd.probability_alive(model.orders, of.histories) / users.sum())


def _fit_spends(
    observed: Mapping[str, Observed], industry: Mapping[str, str]
) -> dict[str, tuple[GammaGamma | None, str]]:
    """In units of the merchant's own mean, so that peers tell the shape and never the price."""
    units = {m: (s.spends, s.spends.mean) if s.spends else (None, s.day_mean) for m, s in observed.items()}
    own = {m: spends.scaled(unit) for m, (spends, unit) in units.items() if spends is not None}
    teachers = [m for m, spends in own.items() if spends.total >= TEACHING_REPEATERS]
    alone = [Task(own[m], _PLAIN_SPEND, rough=True) for m in teachers]
    first = _converged(teachers, fit_many(ManySpends.of, alone))
    peers = _peers(first, industry, _PLAIN_SPEND)
    priors = {m: peers.prior(industry.get(m, "")) for m in observed}
    found = fit_many(ManySpends.of, [Task(spends, priors[m], first.get(m)) for m, spends in own.items()])
    fits = dict(zip(own, found))
    return {
        m: _spend(fits.get(m), priors[m], unit) if unit > 0 else (None, NONE)
        for m, (_, unit) in units.items()
    }


def _spend(found: Optimum | None, prior: Prior, unit: float) -> tuple[GammaGamma, str]:
    """Out of units of the merchant's own mean. Peers tell the shape; the level stays the merchant's own."""
    if found is not None and found.converged:
        told = GammaGamma.from_log(found.theta)
        return GammaGamma(told.p, told.q, told.v * unit), FITTED
    told = GammaGamma.from_log(prior.mean)
    return GammaGamma(told.p, told.q, unit * (told.q - 1) / told.p), PEERS


def _converged(merchants: Sequence[str], found: Sequence[Optimum]) -> dict[str, Array]:
    return {m: one.theta for m, one in zip(merchants, found) if one.converged}


def _peers(first: Mapping[str, Array], industry: Mapping[str, str], plain: Prior) -> Peers:
    theta = np.array(list(first.values())).reshape(-1, len(plain.mean))
    return Peers(theta, [industry.get(m, "") for m in first], PEER_STRENGTH, plain)
