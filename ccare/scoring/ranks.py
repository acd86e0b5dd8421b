"""Whether total_score ranks merchants by the growth that follows, and better than the growth before it does."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np

from ccare.errors import InputMissing, UsageError
from ccare.growth.snapshot import connect, name_of
from ccare.metrics.definitions import DIMENSIONS
from ccare.runtime.settings import Settings
from ccare.scoring.dimension_weights import NOW, Choice, candidates, choose
from ccare.scoring.growth import HORIZON, LOOKS_BACK, Nets, growth, nets
from ccare.scoring.judged import LAST, SEED, TOTAL, Judged, Period, numbers, period_of, ranked
from ccare.scoring.past_days import Counting, PastDay, replay_published
from ccare.scoring.policy import ScoringPolicy, load_scoring, read_scoring
from ccare.scoring.published import Lake, open_lake, read_rows
from ccare.scoring.rank_correlation import draw_counts
from ccare.scoring.remeasure import CORES, EVENTS

DRAWS = 1000


@dataclass(frozen=True)
class Ask:
    """What is asked: as-of days ``first`` to ``last`` by ``step``; ``train_to``: the last day that weights may see.

    ``policy``: a scoring.toml to try (default: the lake's). ``least_orders``: paid trades in W28 that a merchant needs.
    """

    first: date
    last: date
    step: int = HORIZON
    train_to: date | None = None
    policy: Path | None = None
    real_only: bool = False
    least_orders: int = 1

    @property
    def days(self) -> list[date]:
        """The as-of days in order."""
        return [
            self.first + timedelta(days=n) for n in range(0, (self.last - self.first).days + 1, self.step)
        ]


@dataclass(frozen=True)
class Ranks:
    """The answer on ``judged`` days; with ``train_to`` also on those before, and the weights that they choose.

    ``simulated``: share of the rows looked at that a simulator made: what they predict means nothing.
    """

    ask: Ask
    policy: ScoringPolicy
    judged: Period
    trained: Period | None
    choice: Choice | None
    simulated: float


def ranks(settings: Settings, ask: Ask, draws: int = DRAWS) -> Ranks:
    """Judge the scores of past days by what came. Writes nothing.

    One policy scores all days: that of ``ask``, in force on its last day. UsageError where the days make no sense,
    InputMissing where 28 days after one are not closed, 56 up to one are not there, or nobody can be judged.
    """
    _require_order(ask)
    lake = open_lake(settings)
    versions = read_scoring(ask.policy) if ask.policy else load_scoring(settings.conf)
    policy = versions.for_day(ask.last)
    with _rows(lake, ask.real_only) as con:
        _require_span(con, lake, ask)
        days = [_judge(con, past, ask) for past in _past_days(con, lake, ask, policy)]
        simulated = 0.0 if ask.real_only else _simulated(con)
    if not any(len(day.merchants) for day in days):
        raise InputMissing(
            "No merchant has a total and sold anything in the 28 days up to any of these days.",
            remedy="Choose other days, or lower coverage_floor in a policy to try.",
        )
    if ask.train_to is None:
        return Ranks(ask, policy, period_of(days, draws), None, None, simulated)
    early, late = _parted(days, ask.train_to)
    places = numbers(early)
    choice = choose(
        [ranked(day, places, {NOW: day.scores[TOTAL]} | dict(day.candidates)) for day in early],
        draw_counts(len(places), draws, SEED),
    )
    return Ranks(
        ask, policy, period_of(late, draws, choice), period_of(early, draws, choice), choice, simulated
    )


def _require_order(ask: Ask) -> None:
    if ask.last < ask.first:
        raise UsageError(f"{ask.last} is before {ask.first}.", remedy="Give --from the earlier day.")
    for name, value in (("step", ask.step), ("least-orders", ask.least_orders)):
        if value < 1:
            raise UsageError(f"--{name} is {value}.", remedy="Give 1 or more.")
    if ask.train_to is not None and not _split(ask.days, ask.train_to):
        raise UsageError(
            f"Training to {ask.train_to} leaves no day to train on, or none {HORIZON} days later to judge by.",
            remedy="Give a --train-to between --from and --to, or more days.",
        )


def _split(days: Sequence[date], train_to: date) -> tuple[list[date], list[date]] | None:
    """Days to train on and to judge by; a day whose past overlaps what training saw coming is neither."""
    early = [day for day in days if day <= train_to]
    late = [day for day in days if early and day >= early[-1] + timedelta(days=HORIZON)]
    return (early, late) if early and late else None


def _parted(days: Sequence[Judged], train_to: date) -> tuple[list[Judged], list[Judged]]:
    split = _split([day.day for day in days], train_to)
    assert split is not None
    return [d for d in days if d.day in split[0]], [d for d in days if d.day in split[1]]


@contextmanager
def _rows(lake: Lake, real_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published tables; core tables without simulated rows where asked."""
    with connect(lake.settings.lake, lake.last) as con:
        if real_only:
            for name in CORES:
                con.execute(f"create temp view {name} as from memory.{name_of(name)} where origin = 'real'")
        yield con


def _require_span(con: duckdb.DuckDBPyConnection, lake: Lake, ask: Ask) -> None:
    closed = [row.business_date for row in lake.rows if row.kind == "close"]
    ends = ask.days[-1] + timedelta(days=HORIZON)
    if ends > closed[-1]:
        latest = closed[-1] - timedelta(days=HORIZON)
        raise InputMissing(
            f"{ends}, {HORIZON} days after {ask.days[-1]}, is not closed; the last day is {closed[-1]}.",
            remedy=f"Choose --to {latest} or earlier.",
        )
    begins = ask.first - timedelta(days=LOOKS_BACK)
    row = con.execute("select min(business_date) from core_payments").fetchone()
    if row is None or row[0] is None or row[0] > begins:
        since = row[0] if row and row[0] else "no day"
        raise InputMissing(
            f"Payments begin on {since}; {ask.first} needs them from {begins}.",
            remedy="Choose a later --from.",
        )


def _past_days(
    con: duckdb.DuckDBPyConnection, lake: Lake, ask: Ask, policy: ScoringPolicy
) -> Iterator[PastDay]:
    first = min(row.business_date for row in lake.rows if row.kind == "close")
    counting = Counting(con, lake.settings.conf, policy, first)
    version = lake.last.table_versions["score_merchants"]
    for day in ask.days:
        if day < first or ask.real_only:
            yield counting.score(day)
        else:
            rows = read_rows(lake.settings.lake, "score_merchants", version, [str(day)])
            yield replay_published(lake, day, rows, policy)


def _judge(con: duckdb.DuckDBPyConnection, past: PastDay, ask: Ask) -> Judged:
    around, scores = nets(con, past.day), past.scores()
    order = sorted(range(len(past.merchants)), key=past.merchants.__getitem__)
    kept = [i for i in order if not np.isnan(scores[TOTAL][i]) and _sold(around.get(past.merchants[i]), ask)]
    who = [past.merchants[i] for i in kept]
    columns = {
        name: np.array([getattr(around[m], name) for m in who], dtype=np.float64)
        for name in ("earlier", "until", "coming")
    }
    told = {TOTAL: scores[TOTAL][kept], LAST: growth(columns["earlier"], columns["until"])}
    told |= {d: scores[f"{d}_score"][kept] for d in DIMENSIONS}
    tried = {} if ask.train_to is None else {n: past.totals(w)[kept] for n, w in candidates().items()}
    places = {name: placed.percentile[kept] for name, placed in past.placed.items()}
    evenly = (np.maximum(columns["earlier"], 0.0) + columns["until"]) / 2
    came, even = (growth(base, columns["coming"]) for base in (columns["until"], evenly))
    return Judged(past.day, past.source, who, columns, came, even, told, places, tried)


def _sold(of: Nets | None, ask: Ask) -> bool:
    return of is not None and of.until > 0 and of.orders >= ask.least_orders


def _simulated(con: duckdb.DuckDBPyConnection) -> float:
    """Share of simulated rows among the events of the core tables."""
    each = " union all ".join(f"from {name_of(n)} select origin" for n in (*EVENTS, "core_traffic_hours"))
    row = con.execute(f"from ({each}) select avg((origin = 'simulated')::int)").fetchone()
    return float(row[0]) if row and row[0] is not None else 0.0
