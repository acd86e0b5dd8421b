"""Fitting 5,000 merchants with 2 million users, beside lifetimes' fit on the same users.

python -m bench.potential [--merchants N] [--users N] [--lifetimes N]: users are drawn by seed as BG/NBD and
Gamma-Gamma say, in whole days. lifetimes fits a few of the merchants and its time is multiplied, which is said.
"""

import argparse
import os
import time
import warnings

import numpy as np

from ccare.potential.gamma_gamma import Spends
from ccare.potential.histories import Histories
from ccare.potential.model import expect, fit_models
from ccare.potential.observed import Observed

DAYS, STEPS = 365, 400
LIMIT_S = 60


def draw(rng: np.random.Generator, users: int) -> Observed:
    """One merchant's users over a year."""
    r, alpha = rng.uniform(0.3, 1.5), rng.uniform(20, 120)
    rate, leaves = rng.gamma(r, 1 / alpha, users), rng.beta(0.4, 2.5, users)
    age = rng.integers(1, DAYS, users).astype(float)
    at, x, last, alive = np.zeros(users), np.zeros(users), np.zeros(users), np.ones(users, dtype=bool)
    for _ in range(STEPS):
        alive &= rng.random(users) > leaves
        at = at + rng.exponential(1 / np.maximum(rate, 1e-9))
        alive &= np.ceil(at) <= age
        if not alive.any():
            break
        later = alive & (np.ceil(at) > last)  # paying twice on a day counts once
        x, last = x + later, np.where(later, np.ceil(at), last)
    mean = rng.gamma(3.0, 1.0, users) * 1000
    z = rng.gamma(4 * np.maximum(x, 1)) / (4 * np.maximum(x, 1)) * mean
    again = x > 0
    spends = Spends.of(x[again], z[again]) if again.any() else None
    return Observed(Histories.of(x, last, age), x, np.where(again, x * z, 0.0), spends, float(mean.mean()))


def peer(of: Observed) -> None:
    """lifetimes' two fits of one merchant."""
    from lifetimes import BetaGeoFitter, GammaGammaFitter

    h = of.histories
    BetaGeoFitter(penalizer_coef=0.001).fit(h.x, h.t_x, h.T)
    if of.spends:
        GammaGammaFitter(penalizer_coef=0.001).fit(of.spends.x, of.spends.z)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--merchants", type=int, default=5_000)
    parser.add_argument("--users", type=int, default=2_000_000)
    parser.add_argument("--lifetimes", type=int, default=10, help="merchants that lifetimes fits")
    options = parser.parse_args()
    rng = np.random.default_rng(5)
    sizes = rng.multinomial(options.users, rng.dirichlet(np.full(options.merchants, 1.5)))
    seen = {f"m{i:05}": draw(rng, max(int(n), 1)) for i, n in enumerate(sizes)}
    industry = {m: f"industry {i % 20}" for i, m in enumerate(seen)}
    users = sum(of.histories.total for of in seen.values())
    print(f"{len(seen):,} merchants, {users:,.0f} users, load {os.getloadavg()[0]:.1f}")
    began, cpu = time.perf_counter(), time.process_time()
    models = fit_models(seen, industry)
    fitted = time.perf_counter() - began
    print(
        f"fit          {fitted:7.1f} s  ({time.process_time() - cpu:.1f} s of processor; limit {LIMIT_S} s)"
    )
    for merchant, model in models.items():
        expect(model, seen[merchant], 28)
    print(f"fit + 28 d   {time.perf_counter() - began:7.1f} s")
    few = list(seen)[: options.lifetimes]
    began, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for merchant in few:
            peer(seen[merchant])
    theirs, cpu = time.perf_counter() - began, time.process_time() - cpu
    whole = theirs * len(seen) / len(few)
    print(f"lifetimes    {theirs:7.1f} s  for {len(few)} merchants ({cpu:.1f} s of processor)")
    print(f"             {whole:7,.0f} s  for all at that pace: {whole / fitted:.0f} x")


if __name__ == "__main__":
    main()
