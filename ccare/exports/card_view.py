"""A merchant's card as the template shows it: every number a text, every text in both languages."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup

from ccare.exports import privacy, words
from ccare.exports.card_data import CardData, Driver
from ccare.exports.charts import trend
from ccare.exports.points_data import Points
from ccare.exports.words import Words, same
from ccare.metrics.definitions import DIMENSIONS

TABLE_DAYS = 14


@dataclass(frozen=True)
class DriverRow:
    """One driver, cell by cell."""

    name: Words
    about: Words
    window_days: int
    shown: privacy.Shown
    target: Words
    status: str
    status_name: Words
    percentile: str
    weight: str
    contribution: str


@dataclass(frozen=True)
class ScoreView:
    """A dimension or the total. ``made`` is what the contributions, as shown, sum to."""

    key: str
    name: Words
    about: Words | None
    score: str
    interval: str
    change: str
    since: date | None
    coverage: str
    chart: Markup
    drivers: tuple[DriverRow, ...]
    made: str


def scores(data: CardData, currency: str) -> tuple[ScoreView, tuple[ScoreView, ...]]:
    """The total, and the four dimensions with their drivers."""
    four = tuple(_view(data, name, currency) for name in DIMENSIONS)
    return _view(data, "total", currency), four


def trend_rows(data: CardData) -> list[tuple[date, list[str]]]:
    """Newest first: day, then total and the four scores."""
    names = ("total", *DIMENSIONS)
    last = data.trend[-TABLE_DAYS:]
    return [(row["as_of_date"], [_number(row[f"{n}_score"]) for n in names]) for row in reversed(last)]


def movements(points: Points) -> list[dict[str, Any]]:
    """The last transfers, each with signed effects and the balance (pending + active) after it."""
    balance = points.before_pending + points.before_active
    rows = []
    for move in points.movements:
        balance += move.pending + move.active
        rows.append(
            {
                "booked": move.booked_date,
                "what": words.CODE.get(move.code, same(move.code)),
                "programme": move.programme,
                "about": move.effective_date,
                "expires": move.expires_on,
                "pending": signed(move.pending),
                "active": signed(move.active),
                "debt": signed(move.debt),
                "balance": f"{balance:,}",
            }
        )
    return rows


def signed(units: int) -> str:
    """+5, −5, or nothing for 0."""
    return "" if units == 0 else f"{'+' if units > 0 else '−'}{abs(units):,}"


def simulated_share(data: CardData) -> str:
    """Share of simulated events, or nothing where every event is real."""
    if not data.simulated_events_56d:
        return ""
    return f"{data.simulated_events_56d / data.events_56d * 100:.1f} %"


def _number(score: float | None) -> str:
    return "–" if score is None else f"{score:.1f}"


def _view(data: CardData, name: str, currency: str) -> ScoreView:
    score = data.scores[f"{name}_score"]
    low, high = data.scores[f"{name}_score_low"], data.scores[f"{name}_score_high"]
    before = data.trend[-2] if len(data.trend) > 1 else None
    earlier = before[f"{name}_score"] if before else None
    change = None if score is None or earlier is None else round(score - earlier, 1) + 0.0
    drivers = data.drivers.get(name, ())
    parts, made = _hundredths([driver.contribution for driver in drivers])
    coverage = data.scores.get(f"{name}_coverage")
    return ScoreView(
        key=name,
        name=words.DIMENSION[name],
        about=words.DIMENSION_ABOUT.get(name),
        score=_number(score),
        interval="" if low is None or high is None else f"{low:.1f} – {high:.1f}",
        change="" if change is None else f"{change:+.1f}".replace("-", "−"),
        since=before["as_of_date"] if before and change is not None else None,
        coverage="" if coverage is None else f"{coverage * 100:.0f} %",
        chart=trend([_point(row, name) for row in data.trend], f"caption-{name}"),
        drivers=tuple(_driver(d, part, data, currency) for d, part in zip(drivers, parts, strict=True)),
        made=made,
    )


def _point(row: dict[str, Any], name: str) -> tuple[date, float | None, float | None, float | None]:
    return row["as_of_date"], row[f"{name}_score"], row[f"{name}_score_low"], row[f"{name}_score_high"]


def _hundredths(parts: list[float]) -> tuple[list[str], str]:
    """Parts to two decimals that add up, as shown, to their rounded sum (largest remainder)."""
    whole = round(sum(parts) * 100)
    floors = [int(part * 100 // 1) for part in parts]
    by_remainder = sorted(range(len(parts)), key=lambda i: floors[i] - parts[i] * 100)
    for i in by_remainder[: whole - sum(floors)]:
        floors[i] += 1
    return [f"{units / 100:.2f}" for units in floors], f"{whole / 100:.2f}"


def _driver(driver: Driver, contribution: str, data: CardData, currency: str) -> DriverRow:
    shown = privacy.show(
        driver.metric_id,
        driver.value,
        driver.numerator,
        driver.denominator,
        driver.n,
        data.payers,
        currency,
    )
    return DriverRow(
        name=words.metric_name(driver.metric_id),
        about=words.metric_about(driver.metric_id),
        window_days=driver.window_days,
        shown=shown,
        target=_target(driver, currency),
        status=driver.driver_status,
        status_name=words.DRIVER_STATUS.get(driver.driver_status, same(driver.driver_status)),
        percentile="–" if driver.percentile is None else f"{driver.percentile:.1f}",
        weight=f"{driver.weight * 100:.1f} %",
        contribution=contribution,
    )


def _target(driver: Driver, currency: str) -> Words:
    if driver.target is None or driver.target_condition is None:
        return words.CEILING if driver.target_status == "ceiling" else same("–")
    condition = words.CONDITION[driver.target_condition]
    value = privacy.measure(driver.metric_id, driver.target, currency)
    return Words(f"{condition.en} {value}", f"{condition.zh} {value}")
