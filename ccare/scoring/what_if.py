"""Another policy over days that are past: whose score and points would have been other, and what it would have cost.

Scores before are those published, scores after come from the same metrics and frozen benchmarks. Points, on both sides,
are those of the trades paid on the days asked for, as far as they are known on the last closed day, with the score of
their own day; what the pools would have cut is left out, and so are the rules that count anything but trades, by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ccare.errors import InputMissing, UsageError
from ccare.ledger.policy import LedgerPolicies, load_ledger, read_programmes
from ccare.runtime.policy_file import read_policy
from ccare.runtime.settings import Settings
from ccare.scoring.past_days import replay_published
from ccare.scoring.points import earned, not_replayed, trades
from ccare.scoring.policy import ScoringPolicies, ScoringPolicy, read_scoring
from ccare.scoring.published import Lake, open_lake, read_rows


@dataclass
class Merchant:
    """One merchant over the days: mean total where it has one on both sides, and points, before and after."""

    merchant_id: str
    days: int = 0
    total_before: float | None = None
    total_after: float | None = None
    points_before: int = 0
    points_after: int = 0
    scored_before: int = 0
    scored_after: int = 0

    @property
    def gain(self) -> tuple[int, float]:
        """Points, then points of the total: what a winner is told by."""
        moved = (self.total_after or 0.0) - (self.total_before or 0.0)
        both = self.total_before is not None and self.total_after is not None
        return self.points_after - self.points_before, round(moved, 6) if both else 0.0


@dataclass
class WhatIf:
    """What a policy would have changed. ``merchants`` are those with any change, the largest gain first.

    ``left_out``: rules of either policy in force on the days asked for that are not replayed, as programme/rule.
    """

    policy: str
    kind: str
    first: date
    last: date
    days: int = 0
    looked_at: int = 0
    winners: int = 0
    losers: int = 0
    points_before: int = 0
    points_after: int = 0
    scored_before: int = 0
    scored_after: int = 0
    left_out: list[str] = field(default_factory=list)
    merchants: list[Merchant] = field(default_factory=list)

    @property
    def cost_points(self) -> int:
        """Points that the policy would have granted on top (less, where negative)."""
        return self.points_after - self.points_before

    def as_json(self) -> dict[str, Any]:
        """Everything, and the cost."""
        told = asdict(self) | {"cost_points": self.cost_points, "from": self.first, "to": self.last}
        return {name: value for name, value in told.items() if name not in ("first", "last")}


def what_if(settings: Settings, path: Path, first: date, last: date) -> WhatIf:
    """Replay the closed days ``first`` to ``last`` with the policy in ``path`` (scoring.toml or programmes.toml).

    UsageError with every mistake of the file, InputMissing where a day is not closed.
    """
    if last < first:
        raise UsageError(f"{last} is before {first}.", remedy="Give --from the earlier day.")
    scoring, ledger = _policy(path)
    lake = open_lake(settings)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    closed = {row.business_date for row in lake.rows if row.kind == "close"}
    for day in days:
        if day not in closed:
            raise InputMissing(f"{day} is not closed.", remedy=f"Close it first: ccare run --day {day}.")
    now = load_ledger(settings.conf)
    name = ledger.version if ledger else ", ".join(v.version for v in scoring.versions) if scoring else ""
    result = WhatIf(name, "programmes" if ledger else "scoring", first, last, days=len(days))
    merchants: dict[str, Merchant] = {}
    start = min(closed)
    for day in days:
        before, after = _totals(lake, day, scoring.for_day(day) if scoring else None)
        _add_scores(merchants, before, after)
        paid = trades(lake, day, now.for_day(day).late_window_days)
        for side, policy, totals in (("before", now, before), ("after", ledger or now, after)):
            for merchant_id, points in earned(paid, policy.for_day(day), day, start, totals).items():
                each = merchants.setdefault(merchant_id, Merchant(merchant_id))
                setattr(each, f"points_{side}", getattr(each, f"points_{side}") + points)
    both = (now, ledger or now)
    result.left_out = sorted({name for policy in both for name in not_replayed(policy, first, last)})
    return _summed(result, merchants)


def _policy(path: Path) -> tuple[ScoringPolicies | None, LedgerPolicies | None]:
    content = read_policy(path, "policy")
    if "programmes" in content:
        return None, read_programmes(path)
    return read_scoring(path), None


def _totals(
    lake: Lake, day: date, policy: ScoringPolicy | None
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Every merchant's total as published, and under the other scoring policy."""
    root, versions = lake.settings.lake, lake.last.table_versions
    published = read_rows(root, "score_merchants", versions["score_merchants"], [str(day)])
    before = {row["merchant_id"]: row["total_score"] for row in published}
    if policy is None or not published:
        return before, before
    result = replay_published(lake, day, published, policy)
    totals = [None if np.isnan(t) else float(t) for t in result.totals()]
    return before, dict(zip(before, totals, strict=True))


def _add_scores(
    merchants: dict[str, Merchant], before: Mapping[str, float | None], after: Mapping[str, float | None]
) -> None:
    for merchant_id, old in before.items():
        each, new = merchants.setdefault(merchant_id, Merchant(merchant_id)), after[merchant_id]
        each.scored_before += old is not None
        each.scored_after += new is not None
        if old is not None and new is not None:
            each.total_before = _mean(each.total_before, old, each.days)
            each.total_after = _mean(each.total_after, new, each.days)
            each.days += 1


def _mean(so_far: float | None, value: float, days: int) -> float:
    return value if so_far is None else (so_far * days + value) / (days + 1)


def _summed(result: WhatIf, merchants: Mapping[str, Merchant]) -> WhatIf:
    result.looked_at = len(merchants)
    for name in ("points_before", "points_after", "scored_before", "scored_after"):
        setattr(result, name, sum(getattr(each, name) for each in merchants.values()))
    changed = [m for m in merchants.values() if m.gain != (0, 0.0) or m.scored_before != m.scored_after]
    result.merchants = sorted(changed, key=lambda m: (*(-part for part in m.gain), m.merchant_id))
    result.winners = sum(_sign(m.gain) > 0 for m in changed)
    result.losers = sum(_sign(m.gain) < 0 for m in changed)
    return result


def _sign(gain: Sequence[float]) -> float:
    """By points where they differ, else by the total."""
    return gain[0] or gain[1]
