"""What a merchant can do about its score: dated policy of products and slots (conf/actions.toml), by gain."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from math import exp, log
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ccare.errors import UsageError
from ccare.metrics.definitions import DIMENSIONS, METRIC_BY_ID
from ccare.runtime.policy_file import policy_path, read_policy
from ccare.scoring.policy import ScoringPolicy
from ccare.scoring.score import LEAST
from ccare.tables.state import FUNNEL_SLOTS

FILE_NAME = "actions.toml"
PROPOSED = 3


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Text(_Part):
    """One text in both languages."""

    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)


class Action(_Part):
    """A product in a traffic slot, and the metrics that it moves."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    slot: str
    product: Text
    advice: Text
    metrics: tuple[str, ...] = Field(min_length=1, strict=False)


class _Version(_Part):
    id: str = Field(min_length=1)
    from_day: date = Field(alias="from")
    actions: tuple[Action, ...] = Field(min_length=1, strict=False)


class _File(_Part):
    version: tuple[_Version, ...] = Field(min_length=1, strict=False)


@dataclass(frozen=True)
class Gain:
    """An action and what it would add if each of its metrics below its target came to it.

    ``points`` of the total score; of the dimensions, weighted, where there is no total. ``metrics``: those to lift.
    """

    action: Action
    points: float
    metrics: tuple[str, ...]


def load_actions(conf: Path, day: date) -> tuple[Action, ...]:
    """The actions in force on ``day``; UsageError with every mistake of the file."""
    path = policy_path(conf, FILE_NAME)
    try:
        versions = _File.model_validate(read_policy(path, "table of actions")).version
    except ValidationError as error:
        told = [f"{'.'.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors()]
        raise _refused(path, told) from None
    mistakes = [mistake for version in versions for mistake in _mistakes(version)]
    mistakes += [
        f"version {after.id} does not start after {before.id}"
        for before, after in pairwise(versions)
        if after.from_day <= before.from_day
    ]
    if mistakes:
        raise _refused(path, mistakes)
    in_force = [version for version in versions if version.from_day <= day]
    return in_force[-1].actions if in_force else ()


def best(
    actions: Sequence[Action], drivers: Mapping[str, Mapping[str, Any]], policy: ScoringPolicy, *, total: bool
) -> list[Gain]:
    """The actions with the largest gain, largest first; none that gains nothing.

    ``drivers``: rows of score_drivers by metric; ``total``: whether the merchant has a total score.
    """
    now = {name: float(row["percentile"]) for name, row in drivers.items()}
    gains = []
    for action in actions:
        lifted = {
            name: policy.target_percentile
            for name in action.metrics
            if name in now and drivers[name]["target"] is not None and now[name] < policy.target_percentile
        }
        points = _value(now | lifted, policy, total) - _value(now, policy, total)
        if points > 0:
            gains.append(Gain(action, points, tuple(lifted)))
    return sorted(gains, key=lambda gain: (-gain.points, gain.action.id))[:PROPOSED]


def _value(places: Mapping[str, float], policy: ScoringPolicy, total: bool) -> float:
    sums = {
        d: sum(policy.weights[m] * places[m] for m in policy.metrics_of(d) if m in places) for d in DIMENSIONS
    }
    if total:
        return exp(sum(policy.dimensions[d] * log(max(sums[d], LEAST)) for d in DIMENSIONS))
    return sum(policy.dimensions[d] * sums[d] for d in DIMENSIONS)


def _mistakes(version: _Version) -> list[str]:
    named = Counter(metric for action in version.actions for metric in action.metrics)
    found = [f"version {version.id}: unknown metric {m}" for m in named if m not in METRIC_BY_ID]
    found += [
        f"version {version.id}: {m} is never scored"
        for m in named
        if m in METRIC_BY_ID and not METRIC_BY_ID[m].scored
    ]
    found += [
        f"version {version.id}: {m} stands under two actions" for m, times in named.items() if times > 1
    ]
    found += [
        f"version {version.id}: {action.id}: unknown slot {action.slot}"
        for action in version.actions
        if action.slot not in FUNNEL_SLOTS
    ]
    ids = Counter(action.id for action in version.actions)
    return found + [f"version {version.id}: action {i} stands twice" for i, times in ids.items() if times > 1]


def _refused(path: Path, mistakes: Sequence[str]) -> UsageError:
    listed = "".join(f"\n  - {mistake}" for mistake in mistakes)
    return UsageError(
        f"{path} has {len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}:{listed}\n",
        remedy="Mend them all.",
    )
