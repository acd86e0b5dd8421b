"""What ``ccare backtest-ranks`` prints, as JSON, as lines and tables, and as rows of a file."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ccare.metrics.definitions import DIMENSIONS
from ccare.scoring.dimension_weights import Choice
from ccare.scoring.growth import HORIZON
from ccare.scoring.judged import CHOSEN, LAST, TOTAL, Judged, Period, verdict
from ccare.scoring.rank_correlation import Sample
from ccare.scoring.ranks import Ranks

COLUMNS = (
    "as_of_date",
    "merchant_id",
    TOTAL,
    *(f"{d}_score" for d in DIMENSIONS),
    "net_gmv_p28_fen",
    "net_gmv_w28_fen",
    "net_gmv_next28_fen",
    LAST,
    "next_growth",
)


def told(found: Ranks) -> dict[str, Any]:
    """Everything as JSON values. The judged days' figures stand at the top."""
    ask = found.ask
    return {
        "from": ask.first.isoformat(),
        "to": ask.last.isoformat(),
        "step": ask.step,
        "horizon_days": HORIZON,
        "policy_version": found.policy.version,
        "real_only": ask.real_only,
        "least_orders": ask.least_orders,
        "simulated_share": found.simulated,
        **_period(found.judged),
        "training": None if found.trained is None else _period(found.trained),
        "weights": None if found.choice is None else _choice(found, found.choice),
    }


def _period(period: Period) -> dict[str, Any]:
    named = {TOTAL, LAST, CHOSEN, *DIMENSIONS}
    return {
        "merchants": period.merchants,
        "pairs": sum(len(day.merchants) for day in period.days),
        "days": [_day(day, period.by_day[day.day]) for day in period.days],
        TOTAL: estimate(period.told[TOTAL]),
        LAST: estimate(period.told[LAST]),
        "difference": estimate(period.better),
        "difference_in_size": estimate(period.stronger),
        "answer": verdict(period.better),
        "answer_in_size": verdict(period.stronger),
        "given_last_growth": estimate(period.beyond),
        "against_growth_over_56_days": {name: estimate(of) for name, of in period.evenly.items()}
        | {"difference": estimate(period.evenly[TOTAL].minus(period.evenly[LAST]))},
        "dimensions": {d: estimate(period.told[d]) for d in DIMENSIONS},
        "metrics": {name: estimate(of) for name, of in period.told.items() if name not in named},
    }


def _day(day: Judged, values: Mapping[str, float | None]) -> dict[str, Any]:
    return {
        "as_of_date": day.day.isoformat(),
        "scores": day.source,
        "merchants": len(day.merchants),
        TOTAL: values[TOTAL],
        LAST: values[LAST],
    }


def _choice(found: Ranks, choice: Choice) -> dict[str, Any]:
    gain = found.judged.told[CHOSEN].minus(found.judged.told[TOTAL])
    return {
        "now": dict(found.policy.dimensions),
        "best_in_training": dict(choice.best),
        "candidates": choice.candidates,
        "gain_in_training": choice.gain,
        "gain_in_unseen_merchants": estimate(choice.unseen),
        "reached_in_unseen_merchants": estimate(choice.reached),
        "move": choice.moved,
        "gain_in_judged_days": estimate(gain),
    }


def estimate(sample: Sample) -> dict[str, float | None]:
    """A figure with its 95 % interval; null where there is none."""
    low, high = sample.interval() or (None, None)
    return {"value": sample.value, "low": low, "high": high}


def lines(found: Ranks) -> Iterator[str]:
    """What a person reads first."""
    period, policy = found.judged, found.policy.version
    days = [day.day for day in period.days]
    yield (
        f"{len(days)} days from {days[0]} to {days[-1]}, policy {policy}: {period.merchants} merchants, "
        f"{sum(len(d.merchants) for d in period.days)} totals held against the growth of net GMV in the next "
        f"{HORIZON} days"
    )
    yield (
        f"rank correlation of total_score {_shown(period.told[TOTAL])}, of last period's growth "
        f"{_shown(period.told[LAST])}; of total_score with that taken out {_shown(period.beyond)}"
    )
    yield f"as they stand total_score is {_worded(period.better)}: {_shown(period.better)}"
    yield f"by size, whichever way round, it is {_worded(period.stronger)}: {_shown(period.stronger)}"
    even = period.evenly
    yield (
        f"against growth over the mean of both windows: total_score {_shown(even[TOTAL])}, last period's growth "
        f"{_shown(even[LAST])}, difference {_shown(even[TOTAL].minus(even[LAST]))}"
    )
    if found.simulated:
        yield (
            f"{found.simulated:.0%} of the rows are simulated, and what they predict means nothing: --real-only leaves "
            "them out"
        )
    if found.choice is not None and found.trained is not None:
        yield from _choice_lines(found, found.choice, len(found.trained.days))


def _choice_lines(found: Ranks, choice: Choice, days: int) -> Iterator[str]:
    best = ", ".join(f"{d} {w:.3f}" for d, w in choice.best.items())
    gain = found.judged.told[CHOSEN].minus(found.judged.told[TOTAL])
    yield f"of {choice.candidates} weightings the best on the {days} training days: {best}"
    yield (
        f"it gains {choice.gain:+.3f} there, {_shown(choice.unseen)} where merchants not chosen on judge, reaching "
        f"{_shown(choice.reached)}; {_shown(gain)} on the judged days"
    )
    yield f"training justifies {'a move' if choice.moved else 'no move: keep the weights'}"


def _worded(difference: Sample) -> str:
    said = verdict(difference)
    return (
        "not told apart from last period's growth" if said == "not told apart" else f"{said} than that growth"
    )


def tables(found: Ranks) -> Iterator[tuple[Sequence[str], list[list[Any]]]]:
    """Correlations of each thing said, then day by day."""
    rows = [[name, *_cells(sample)] for name, sample in found.judged.told.items()]
    yield ("ranked by", "rank correlation", "2.5 %", "97.5 %"), rows
    both = [("training", found.trained)] if found.trained is not None else []
    days = [
        [d.day, part, d.source, len(d.merchants), *(_number(p.by_day[d.day][n]) for n in (TOTAL, LAST))]
        for part, p in (*both, ("judged", found.judged))
        for d in p.days
    ]
    yield ("day", "part", "scores", "merchants", TOTAL, LAST), days


def _cells(sample: Sample) -> list[str]:
    return [_number(value) for value in estimate(sample).values()]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"


def _shown(sample: Sample) -> str:
    value, low, high = _cells(sample)
    return f"{value} ({low} to {high})"


def each_row(found: Ranks) -> Iterator[list[Any]]:
    """One row of COLUMNS for each day and merchant; growths as they are ranked."""
    periods = (found.trained, found.judged) if found.trained is not None else (found.judged,)
    for day in (day for period in periods for day in period.days):
        money = [day.net_fen[name].astype(int) for name in ("earlier", "until", "coming")]
        said = [day.scores[name] for name in (TOTAL, *DIMENSIONS)]
        columns = [*said, *money, day.scores[LAST], day.came]
        for i, merchant in enumerate(day.merchants):
            yield [day.day, merchant, *(of[i].item() for of in columns)]
