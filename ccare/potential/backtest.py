"""Fit to a day, forecast what follows, compare with what came: merchant by merchant, beside naive forecasts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np

from ccare.errors import InputMissing, UsageError
from ccare.potential import bg_nbd
from ccare.potential.calibration import Calibration, learn
from ccare.potential.histories import Histories
from ccare.potential.model import MODEL, fit_orders, teaches
from ccare.potential.observed import (
    first_paid_day,
    industries,
    load_paid_days,
    observe,
    paid_days_after,
    paid_days_within,
)

LEAST_USERS, LEAST_REPEATERS = 150, 20
"""Merchants with fewer are forecast and not judged: their outcome is mostly luck."""
FREQUENCY_BINS = (0, 1, 2, 3, 4, 5, 6, 8, 11, 16, 26)


@dataclass(frozen=True)
class Judged:
    """One merchant: paying users at the fit, their paid days after it, and forecasts of them."""

    merchant_id: str
    users: int
    actual: int
    forecast: float
    uncalibrated: float
    last_period: int
    returning: int


@dataclass(frozen=True)
class Errors:
    """Over merchants: sum |error| / sum actual, sum error / sum actual, median |error| / actual where it is not 0."""

    wape: float
    bias: float
    mape_median: float


@dataclass(frozen=True)
class Backtest:
    """``by_frequency``: past repeat days (from, to) -> (users, forecast, actual paid days), calibrated."""

    fit_to: date
    horizon: int
    merchants: Sequence[Judged]
    calibration: Calibration
    by_frequency: Sequence[tuple[str, int, float, int]]

    def errors(self, forecast: str = "forecast") -> Errors:
        """Errors of one of the forecasts by its field's name."""
        return errors([getattr(m, forecast) for m in self.merchants], [m.actual for m in self.merchants])

    def told(self) -> dict[str, object]:
        """What ``ccare backtest --json`` prints. Errors are shares, not percent."""
        own, last = self.errors(), self.errors("last_period")
        back, plain = self.errors("returning"), self.errors("uncalibrated")
        return {
            "fit_to": self.fit_to.isoformat(),
            "horizon": self.horizon,
            "model_version": MODEL,
            "merchants": len(self.merchants),
            "users": sum(m.users for m in self.merchants),
            "actual": sum(m.actual for m in self.merchants),
            "forecast": sum(m.forecast for m in self.merchants),
            "wape": own.wape,
            "bias": own.bias,
            "mape_median": own.mape_median,
            "naive_wape": last.wape,
            "naive_bias": last.bias,
            "naive_mape_median": last.mape_median,
            "returning_wape": back.wape,
            "returning_bias": back.bias,
            "uncalibrated_wape": plain.wape,
            "uncalibrated_bias": plain.bias,
            "calibration_everyone": self.calibration.everyone,
            "calibration_origin": self.calibration.origin and self.calibration.origin.isoformat(),
        }


def errors(forecast: Sequence[float], actual: Sequence[float]) -> Errors:
    """Errors of forecasts, one a merchant; ``actual`` must not sum to 0."""
    f, a = np.asarray(forecast, dtype=float), np.asarray(actual, dtype=float)
    off, some = f - a, a > 0
    share = np.abs(off[some]) / a[some]
    return Errors(float(np.abs(off).sum() / a.sum()), float(off.sum() / a.sum()), float(np.median(share)))


def backtest(con: duckdb.DuckDBPyConnection, fit_to: date, horizon: int) -> Backtest:
    """Over core_payments, core_staff and core_merchants of ``con``, by business date, as they are known now.

    Naive forecasts: paid days of the last ``horizon`` days, whoever paid; and of them, those of users known before.
    UsageError where the horizon is no positive number, InputMissing where payments do not span it, or nobody
    can be judged.
    """
    if horizon < 1:
        raise UsageError(f"A horizon of {horizon} days is none.", remedy="Give --horizon 1 or more.")
    last = fit_to + timedelta(days=horizon)
    load_paid_days(con, last, refunds_until=fit_to)
    _require_span(con, fit_to, last)
    industry = industries(con, fit_to)
    seen = {m: of for m, of in observe(con, fit_to).items() if teaches(of)}
    calibration = learn(con, fit_to, industry)
    actual = paid_days_after(con, fit_to, last)
    window = fit_to - timedelta(days=horizon)
    before = paid_days_within(con, window + timedelta(days=1), fit_to)
    returned = paid_days_after(con, window, fit_to)
    repeats = {
        m: bg_nbd.expected_repeats(model, horizon, seen[m].histories)
        for m, (model, _) in fit_orders(seen, industry).items()
    }
    judged = []
    for merchant, of in seen.items():
        users = of.histories
        if users.total < LEAST_USERS or users.repeaters < LEAST_REPEATERS:
            continue
        plain = float(users.users @ repeats[merchant])
        judged.append(
            Judged(
                merchant,
                round(users.total),
                actual.get(merchant, 0),
                plain * calibration.factor(merchant),
                plain,
                before.get(merchant, 0),
                returned.get(merchant, 0),
            )
        )
    if not sum(m.actual for m in judged):
        raise InputMissing(
            f"No merchant has {LEAST_USERS} users and {LEAST_REPEATERS} repeaters by {fit_to} and paid days after it.",
            remedy="Choose a later --fit-to.",
        )
    told = {m.merchant_id: repeats[m.merchant_id] * calibration.factor(m.merchant_id) for m in judged}
    by_frequency = _by_frequency(con, fit_to, last, {m: seen[m].histories for m in told}, told)
    return Backtest(fit_to, horizon, judged, calibration, by_frequency)


def _require_span(con: duckdb.DuckDBPyConnection, fit_to: date, last: date) -> None:
    first = first_paid_day(con)
    row = con.execute("select max(paid_on) from paid_days").fetchone()
    if first is None or first >= fit_to:
        raise InputMissing(
            f"No payment is dated before {fit_to}.", remedy="Choose a --fit-to inside the payments' days."
        )
    assert row is not None
    if row[0] <= fit_to:
        raise InputMissing(
            f"Payments end on {row[0]}: nothing after {fit_to} to compare with.",
            remedy="Choose an earlier --fit-to.",
        )


def _by_frequency(
    con: duckdb.DuckDBPyConnection,
    fit_to: date,
    last: date,
    seen: Mapping[str, Histories],
    told: Mapping[str, np.ndarray],
) -> list[tuple[str, int, float, int]]:
    """Users by their repeat days so far: how many, forecast and actual days."""
    edges = np.asarray(FREQUENCY_BINS)
    users, forecast = np.zeros(len(edges)), np.zeros(len(edges))
    for merchant, of in seen.items():
        place = np.searchsorted(edges, of.x, side="right") - 1
        users += np.bincount(place, weights=of.users, minlength=len(edges))
        forecast += np.bincount(place, weights=of.users * told[merchant], minlength=len(edges))
    con.execute(
        "create or replace temp table judged as select unnest($1::varchar[]) as merchant_id", [list(seen)]
    )
    rows = con.execute(
        """with users as (
            select merchant_id, user_key, count(*) filter (paid_on <= $end) - 1 as repeats,
                count(*) filter (paid_on > $end and paid_on <= $last) as later
            from paid_days semi join judged using (merchant_id) group by all having min(paid_on) <= $end
        ) select repeats, sum(later) from users group by all""",
        {"end": fit_to, "last": last},
    ).fetchall()
    actual = np.zeros(len(edges))
    for repeats, later in rows:
        actual[np.searchsorted(edges, repeats, side="right") - 1] += int(later)
    labels = [_label(low, high) for low, high in zip(FREQUENCY_BINS, (*FREQUENCY_BINS[1:], None))]
    return [(n, round(u), float(f), round(a)) for n, u, f, a in zip(labels, users, forecast, actual)]


def _label(low: int, high: int | None) -> str:
    if high is None:
        return f"{low}+"
    return str(low) if high == low + 1 else f"{low}-{high - 1}"
