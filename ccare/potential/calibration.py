"""A factor on every forecast, learned where the model forecast the past quarter and its outcome is known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import duckdb

from ccare.potential import bg_nbd
from ccare.potential.model import fit_orders, teaches
from ccare.potential.observed import first_paid_day, observe, paid_days_after

QUARTER = 92
"""Days that the factor is learned over: long enough for one season's accident not to be taken for the rule."""
LEAST_HISTORY = 56
"""Days of history before them that a model needs; with less there is no factor."""
STRENGTH = 5000.0
"""Forecast paid days at which a merchant's own outcome counts as much as everyone's; chosen by rolling origins."""


@dataclass(frozen=True)
class Calibration:
    """``everyone``: outcome / forecast over all that teach; ``factors``: each one's own, drawn to it."""

    everyone: float = 1.0
    factors: Mapping[str, float] = field(default_factory=dict)
    origin: date | None = None

    def factor(self, merchant: str) -> float:
        """The merchant's factor; everyone's where it had few repeaters at the origin."""
        return self.factors.get(merchant, self.everyone)


def learn(con: duckdb.DuckDBPyConnection, end: date, industry: Mapping[str, str]) -> Calibration:
    """Forecast the quarter up to ``end`` from its start, and compare: paid days of users known at its start."""
    origin, first = end - timedelta(days=QUARTER), first_paid_day(con)
    if first is None or (origin - first).days < LEAST_HISTORY:
        return Calibration()
    past = {m: seen for m, seen in observe(con, origin).items() if teaches(seen)}
    forecast = {
        m: float(past[m].histories.users @ bg_nbd.expected_repeats(model, QUARTER, past[m].histories))
        for m, (model, _) in fit_orders(past, industry).items()
    }
    return compare(forecast, paid_days_after(con, origin, end), origin)


def compare(forecast: Mapping[str, float], actual: Mapping[str, int], origin: date) -> Calibration:
    """Factors from forecasts and outcomes: (outcome + k everyone) / (forecast + k)."""
    total = sum(forecast.values())
    if total <= 0:
        return Calibration()
    everyone = sum(actual.get(m, 0) for m in forecast) / total
    factors = {
        m: (actual.get(m, 0) + STRENGTH * everyone) / (expected + STRENGTH)
        for m, expected in forecast.items()
    }
    return Calibration(everyone, factors, origin)
