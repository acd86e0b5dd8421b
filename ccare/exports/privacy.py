"""Figures as a page tells them: small counts as "<10", bounds where only they may be told, else withheld."""

from dataclasses import dataclass

from ccare.exports.cells import parts_of
from ccare.exports.figures import EXACT, LESS, NONE, RANGE, Figures, Told
from ccare.exports.suppression import MIN_USERS
from ccare.exports.words import Words, same
from ccare.metrics.definitions import METRIC_BY_ID, Metric

FEW = f"<{MIN_USERS}"
WITHHELD = Words("withheld", "不予显示")
NO_DATA = Words("no data", "无数据")


@dataclass(frozen=True)
class Shown:
    """A driver's figures as a page may show them."""

    value: Words
    numerator: Words
    denominator: Words
    n: Words


def money(amount_fen: float | int, currency: str) -> str:
    """Minor units as major ones with two decimals; an integer is exact."""
    if isinstance(amount_fen, int):
        whole, part = divmod(abs(amount_fen), 100)
        return f"{currency} {'-' if amount_fen < 0 else ''}{whole:,}.{part:02d}"
    return f"{currency} {amount_fen / 100:,.2f}"


def users(count: int) -> str:
    """A number of users."""
    return FEW if count < MIN_USERS else f"{count:,}"


def measure(metric_id: str, value: float, currency: str) -> str:
    """A metric's value, or its target, in its own unit."""
    return _unit(METRIC_BY_ID[metric_id].unit if metric_id in METRIC_BY_ID else "", value, currency)


def show(metric: Metric, figures: Figures, at: int, currency: str) -> Shown:
    """The figures of the row at ``at`` as texts."""
    units = parts_of(metric).units
    value = _told(figures.value, at, metric.unit, currency)
    return Shown(
        NO_DATA if figures.value.kind[at] == NONE else value,
        _told(figures.numerator, at, units[0], currency),
        _told(figures.denominator, at, units[1], currency),
        _told(figures.n, at, "", currency),
    )


def _told(told: Told, at: int, unit: str, currency: str) -> Words:
    kind, low, high = int(told.kind[at]), float(told.low[at]), float(told.high[at])
    if kind == NONE:
        return same("–")
    if kind == EXACT:
        return same(_unit(unit, low, currency))
    if kind == LESS:
        return same(f"<{'' if unit != 'share' else ' '}{_unit(unit, high, currency)}")
    if kind == RANGE:
        least, most = _unit(unit, low, currency), _unit(unit, high, currency)
        return same(f"{least.removesuffix(' %')} – {most}")
    return WITHHELD


def _unit(unit: str, value: float, currency: str) -> str:
    if unit == "fen":
        return money(int(value) if value.is_integer() else value, currency)
    if unit == "share":
        return f"{value * 100:.1f} %"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
