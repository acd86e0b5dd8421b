"""A merchant's card as the template shows it: every number a text, every text in both languages."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup

from ccare.exports import privacy, words
from ccare.exports.advice import Action
from ccare.exports.card_data import CardData, Driver
from ccare.exports.charts import Point, spark, trend
from ccare.exports.drivers import NO_PEERS
from ccare.exports.points_data import Points
from ccare.exports.suppression import MIN_PEERS
from ccare.exports.words import Words, same
from ccare.metrics.definitions import DIMENSIONS, METRIC_BY_ID, Metric

TABLE_DAYS = 5
_LOOK = {NO_PEERS: "none", "few_beside": "few_peers"}
"""Status -> the one that it looks like."""


@dataclass(frozen=True)
class DriverRow:
    """One driver, cell by cell. ``bound``: the target in signs, for paper; ``place_value``: the bar, 0 to 100."""

    name: Words
    about: Words
    window_days: int
    shown: privacy.Shown
    target: Words
    bound: Words
    status: str
    status_name: Words
    place: str
    place_value: float | None
    peers: str
    weight: str
    contribution: str
    change: str


@dataclass(frozen=True)
class ScoreView:
    """A dimension or the total. ``made`` is what the contributions, as shown, sum to, and ``moved`` their changes."""

    key: str
    name: Words
    about: Words | None
    score: str
    interval: str
    change: str
    coverage: str
    chart: Markup
    drivers: tuple[DriverRow, ...]
    made: str
    moved: str


@dataclass(frozen=True)
class ActionView:
    """One of the things to do."""

    name: Words
    how: Words
    now: Words
    target: Words
    gain: str
    of: Words


def scores(data: CardData, currency: str) -> tuple[ScoreView, tuple[ScoreView, ...]]:
    """The total, and the four dimensions with their drivers."""
    four = tuple(_view(data, name, currency) for name in DIMENSIONS)
    return _view(data, "total", currency), four


def trend_rows(data: CardData) -> list[tuple[date, list[str]]]:
    """Newest first: day, then total and the four scores."""
    names = ("total", *DIMENSIONS)
    last = data.trend[-TABLE_DAYS:]
    return [(row["as_of_date"], [_number(row[f"{n}_score"]) for n in names]) for row in reversed(last)]


def action_views(data: CardData, found: tuple[Action, ...], currency: str) -> list[ActionView]:
    """Actions as texts."""
    return [
        ActionView(
            name=words.metric_name(a.driver.metric_id),
            how=a.how,
            now=privacy.show(_metric(a.driver), a.driver.figures, a.driver.at, currency).value,
            target=_target(a.driver, currency, words.CONDITION),
            gain=f"+{a.gain:.1f}",
            of=words.DIMENSION["total" if a.of_total else a.driver.dimension],
        )
        for a in found
    ]


def fact_rows(data: CardData, currency: str) -> list[tuple[Words, Words, Words]]:
    """What users do in the mini-program and the life account: name, figure, on how many."""
    rows = [(words.COUNT[name], same(privacy.users(count)), same("–")) for name, count in data.counts.items()]
    for name, (metric, figures) in data.facts.items():
        shown = privacy.show(metric, figures, 0, currency)
        rows.append((words.metric_name(name), shown.value, shown.denominator))
    return rows


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
                "programme": words.PROGRAMME.get(move.programme, same(move.programme)),
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


def _change(value: float | None, digits: int = 1) -> str:
    if value is None:
        return ""
    rounded = round(value, digits) + 0.0
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"


def _view(data: CardData, name: str, currency: str) -> ScoreView:
    score = data.scores[f"{name}_score"]
    low, high = data.scores[f"{name}_score_low"], data.scores[f"{name}_score_high"]
    before = next((row for row in data.trend if row["as_of_date"] == data.since), None)
    earlier = before[f"{name}_score"] if before else None
    change = None if score is None or earlier is None else score - earlier
    drivers = data.drivers.get(name, ())
    told = all(driver.place is not None for driver in drivers)
    parts, made = hundredths([driver.contribution for driver in drivers])
    moves = [driver.change for driver in drivers if driver.change is not None]
    known = bool(moves) and len(moves) == len(drivers)
    changes, moved = hundredths(moves) if known else ([""] * len(drivers), "")
    coverage = data.scores.get(f"{name}_coverage")
    points = [_point(row, name) for row in data.trend]
    return ScoreView(
        key=name,
        name=words.DIMENSION[name],
        about=words.DIMENSION_ABOUT.get(name),
        score=_number(score),
        interval="" if low is None or high is None or low == high else f"{low:.1f} – {high:.1f}",
        change=_change(change),
        coverage="" if coverage is None or coverage == 1 else f"{coverage * 100:.0f} %",
        chart=trend(points, "caption-total") if name == "total" else spark(points),
        drivers=tuple(
            _driver(d, part if told else "–", move, currency)
            for d, part, move in zip(drivers, parts, changes, strict=True)
        ),
        made=made if told else "–",
        moved=_sign(moved),
    )


def _point(row: dict[str, Any], name: str) -> Point:
    return row["as_of_date"], row[f"{name}_score"], row[f"{name}_score_low"], row[f"{name}_score_high"]


def hundredths(parts: list[float]) -> tuple[list[str], str]:
    """Parts to two decimals that add up, as shown, to their rounded sum (largest remainder)."""
    whole = round(sum(parts) * 100)
    floors = [int(part * 100 // 1) for part in parts]
    by_remainder = sorted(range(len(parts)), key=lambda i: floors[i] - parts[i] * 100)
    for i in by_remainder[: whole - sum(floors)]:
        floors[i] += 1
    return [f"{units / 100:.2f}" for units in floors], f"{whole / 100:.2f}"


def _sign(number: str) -> str:
    """A change as text: +0.25, −0.25, 0.00."""
    if not number or float(number) == 0:
        return number.removeprefix("-")
    return f"−{number[1:]}" if number.startswith("-") else f"+{number}"


def _metric(driver: Driver) -> Metric:
    return METRIC_BY_ID.get(driver.metric_id) or Metric(driver.metric_id, driver.dimension, "", "", 0)


def _driver(driver: Driver, contribution: str, change: str, currency: str) -> DriverRow:
    return DriverRow(
        name=words.metric_name(driver.metric_id),
        about=words.metric_about(driver.metric_id),
        window_days=driver.window_days,
        shown=privacy.show(_metric(driver), driver.figures, driver.at, currency),
        target=_target(driver, currency, words.CONDITION),
        bound=_target(driver, currency, words.SIGN),
        status=_LOOK.get(driver.driver_status, driver.driver_status),
        status_name=words.DRIVER_STATUS.get(driver.driver_status, same(driver.driver_status)),
        place="–" if driver.place is None else f"{driver.place:.1f}",
        place_value=driver.place,
        peers=_peers(driver),
        weight=f"{driver.weight * 100:.1f} %",
        contribution=contribution,
        change=_sign(change),
    )


def _peers(driver: Driver) -> str:
    few = driver.peers < MIN_PEERS and driver.driver_status != NO_PEERS
    return f"<{MIN_PEERS}" if few else f"{driver.peers:,}"


def _target(driver: Driver, currency: str, conditions: dict[str, Words]) -> Words:
    if driver.target is None or driver.target_condition is None:
        return words.CEILING if driver.target_status == "ceiling" and driver.place is not None else same("–")
    condition = conditions[driver.target_condition]
    value = privacy.measure(driver.metric_id, driver.target, currency)
    return Words(f"{condition.en} {value}", f"{condition.zh} {value}")
