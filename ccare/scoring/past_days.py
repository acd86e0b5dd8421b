"""Scores of past days under a policy: of closed days from what was published, of earlier ones counted from core rows.

Before a lake's first close there is no row of metric_merchants. What that close took is dated by business day all the
same, so metrics of an earlier day can be counted from it as if every row had come in time, frozen and scored as a close
would have. On a closed day both roads give the same figures (tests/scoring/test_ranks.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np

from ccare.metrics.definitions import METRIC_BY_ID
from ccare.potential.realised import realised
from ccare.scoring.arithmetic import Floats
from ccare.scoring.benchmarks import freeze, refreeze, same_rules
from ccare.scoring.months import ANY_INDUSTRY, TIERS
from ccare.scoring.places import Benchmark, Benchmarks, Flags, Placed, as_benchmarks, as_columns, columns_of
from ccare.scoring.policy import ScoringPolicy
from ccare.scoring.published import Lake, Row, frozen_for, policy_called, read_rows
from ccare.scoring.remeasure import metrics_of_all, take_rows
from ccare.scoring.score import parts_of, replay, scores

PUBLISHED, COUNTED = "published", "counted"
_INDUSTRIES = """
select merchant_id, arg_max(industry, valid_from) from core_merchants
where valid_from <= $day and taken_on <= $known group by merchant_id
"""


@dataclass(frozen=True)
class PastDay:
    """The merchants scored as of a day, with every metric's place; ``source``: published, or counted from core rows."""

    day: date
    source: str
    merchants: Sequence[str]
    placed: Mapping[str, Placed]
    events: Floats
    blocked: Flags
    policy: ScoringPolicy

    def scores(self, dimensions: Mapping[str, float] | None = None) -> dict[str, Floats]:
        """Every score by its column's name (NaN is null), with other weights of the dimensions where given."""
        policy = self.policy if dimensions is None else replace(self.policy, dimensions=dimensions)
        return scores(parts_of(self.placed, policy), self.events, self.blocked, policy)[0]

    def totals(self, dimensions: Mapping[str, float] | None = None) -> Floats:
        """``total_score`` of each merchant."""
        return self.scores(dimensions)["total_score"]


def replay_published(lake: Lake, day: date, published: Sequence[Row], policy: ScoringPolicy) -> PastDay:
    """A closed day's rows of score_merchants, scored anew from its published metrics and frozen benchmarks.

    Benchmarks are frozen again where the policy would freeze others, or weighs metrics that were not frozen.
    """
    root, version = lake.settings.lake, lake.last.table_versions["metric_merchants"]
    by_id = {row["merchant_id"]: row for row in read_rows(root, "metric_merchants", version, [str(day)])}
    rows = [by_id[row["merchant_id"]] for row in published]
    columns = as_columns(rows, columns_of(list(policy.weights)))
    blocked = np.array([row["score_status"] == "unreconciled" for row in published], bool)
    groups = [row["peer_group"] for row in published]
    benchmarks = _frozen_then(lake, day, published[0], policy) if published else {}
    placed = replay(columns, groups, benchmarks, policy, list(blocked)).drivers
    names = [row["merchant_id"] for row in published]
    return PastDay(day, PUBLISHED, names, placed, columns["events_56d"], blocked, policy)


def _frozen_then(lake: Lake, day: date, scored: Row, policy: ScoringPolicy) -> Benchmarks:
    """Those that the day was compared with, frozen anew where the policy would freeze others, or others too."""
    frozen = frozen_for(lake, scored["run_id"], day)
    lacking = set(policy.weights) - {row["metric_id"] for row in frozen}
    if not frozen:
        return {}
    if not lacking and same_rules(policy, policy_called(lake.settings, frozen[0]["policy_version"])):
        return as_benchmarks(frozen)
    version = lake.last.table_versions["metric_merchants"]
    rows = read_rows(lake.settings.lake, "metric_merchants", version, [str(frozen[0]["frozen_on"])])
    return refreeze(rows, policy)


@dataclass(frozen=True)
class _Counted:
    """Metrics of a day by column name, in order of the merchants, each with its industry (None where unknown)."""

    merchants: Sequence[str]
    industries: Sequence[str | None]
    columns: Mapping[str, Floats]

    @property
    def active(self) -> Flags:
        return self.columns["c_mau28"] > 0


@dataclass(frozen=True)
class _Frozen:
    """Benchmarks, and the two cuts of each industry's sizes."""

    benchmarks: Mapping[tuple[str, str], Benchmark]
    cuts: Mapping[str, tuple[float, float]]


@dataclass
class Counting:
    """Scores of days counted from the core tables of ``con`` under one policy.

    ``first_close``: what that close took counts as if it had come in time, on every day before. A merchant is in the
    group that its size of the day gives it (a close keeps that of the month's first score). ``con`` has the core
    tables and score_potentials.
    """

    con: duckdb.DuckDBPyConnection
    conf: Path
    policy: ScoringPolicy
    first_close: date
    _months: dict[date, _Frozen | None] = field(default_factory=dict)

    def score(self, day: date) -> PastDay:
        """Every merchant that has rows by ``day``."""
        counted = self._count(day)
        frozen = self._frozen(day, counted)
        groups = [_group(frozen, *of) for of in zip(counted.industries, counted.columns["c_mau28"])]
        placed = replay(counted.columns, groups, frozen.benchmarks, self.policy).drivers
        events = counted.columns["events_56d"]
        return PastDay(
            day, COUNTED, counted.merchants, placed, events, np.zeros(events.shape, bool), self.policy
        )

    def _count(self, day: date) -> _Counted:
        known = max(day, self.first_close)
        take_rows(self.con, self.conf, None, day, known)
        names, whole = metrics_of_all(self.con, day, known)
        columns = {name: of.astype(np.float64) for name, of in whole.items()}
        models = {row["merchant_id"]: row for row in realised(self.con, day, known)}
        for part in ("num", "den", "users"):
            column = f"r_realised_ratio_{part}"
            told = [models.get(name, {}).get(column) for name in names]
            columns[column] = np.array([np.nan if v is None else v for v in told], dtype=np.float64)
        industries = dict(self.con.execute(_INDUSTRIES, {"day": day, "known": known}).fetchall())
        return _Counted(names, [industries.get(name) for name in names], columns)

    def _frozen(self, day: date, counted: _Counted) -> _Frozen:
        """As of the previous month's last day when enough merchants were active then, else of ``day`` itself."""
        before = day.replace(day=1) - timedelta(days=1)
        if before not in self._months:
            then = self._count(before)
            enough = then.active.sum() >= self.policy.min_active_merchants
            self._months[before] = self._freeze(then) if enough else None
        return self._months[before] or self._freeze(counted)

    def _freeze(self, counted: _Counted) -> _Frozen:
        active = counted.active
        columns = {name: of[active] for name, of in counted.columns.items()}
        industries = [of for of, on in zip(counted.industries, active, strict=True) if on]
        metrics = [METRIC_BY_ID[name] for name in dict.fromkeys(["c_mau28", *self.policy.weights])]
        frozen = list(freeze(columns, industries, metrics, self.policy))
        return _Frozen(
            {(each.peer_group, each.metric.id): each.benchmark for each in frozen},
            {each.industry: each.cuts for each in frozen},
        )


def _group(frozen: _Frozen, industry: str | None, size: float) -> str | None:
    if not frozen.cuts:
        return None
    name = industry if industry is not None and industry in frozen.cuts else ANY_INDUSTRY
    low, high = frozen.cuts[name]
    small, mid, large = TIERS
    return f"{name}/{small if size <= low else mid if size <= high else large}"
