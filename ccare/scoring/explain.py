"""A published score explained to its merchant: derived again, moved by what, and what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ccare.errors import IntegrityBroken
from ccare.runtime.settings import Settings
from ccare.scoring.actions import Gain, best, load_actions
from ccare.scoring.change import Day, Part, hundredths, parts
from ccare.scoring.published import Lake, Row, Scored, open_lake, read_rows, read_scored
from ccare.scoring.rederive import Difference, derive, differences

WEEK = 7


@dataclass(frozen=True)
class Change:
    """Since an earlier day: every score's change in hundredths of a point (None: untold), and the drivers' parts.

    ``other_policy``, ``other_benchmarks``: whether that day was scored by another policy, or among other benchmarks.
    """

    since: date
    hundredths: Mapping[str, int | None]
    parts: Sequence[Part]
    other_policy: bool
    other_benchmarks: bool


@dataclass(frozen=True)
class Explained:
    """A score that came out to its last digit; ``drivers`` are the published rows by metric."""

    scored: Scored
    drivers: Mapping[str, Row]
    change: Change | None
    actions: Sequence[Gain]
    source_versions: Mapping[str, int]
    values_checked: int


def explain(settings: Settings, merchant_id: str, day: date) -> Explained:
    """The merchant's score of ``day``. Reads files only: no Spark.

    InputMissing where it is not scored or its rows are gone; IntegrityBroken where a published value of its drivers or
    scores is not what core rows, frozen benchmarks and policy give.
    """
    lake = open_lake(settings)
    scored = read_scored(lake, merchant_id, day)
    sources = lake.sources_of(scored.run)
    derived = derive(scored, sources)
    found = differences(scored, derived)
    if found:
        raise broken(scored, found)
    order = list(scored.policy.weights)
    drivers = {name: scored.drivers[name] for name in order}
    has_total = scored.scores["total_score"] is not None
    return Explained(
        scored=scored,
        drivers=drivers,
        change=_change(lake, scored),
        actions=best(load_actions(settings.conf, day), drivers, scored.policy, total=has_total),
        source_versions=sources.versions,
        values_checked=sum(map(len, derived.drivers.values())) + len(derived.scores),
    )


def broken(scored: Scored, found: Sequence[Difference]) -> IntegrityBroken:
    """The error for a score that does not come out: its first difference, and how many there are."""
    more = f" ({len(found)} values differ)" if len(found) > 1 else ""
    return IntegrityBroken(
        f"Table {found[0].table}: {found[0]} for {scored.merchant_id} on {scored.day}{more}.",
        remedy="Run `ccare verify`; then restore the table, or tell the day again: "
        f"ccare run --day {scored.day}.",
    )


def _change(lake: Lake, scored: Scored) -> Change | None:
    """Since a week before; where that day is not scored, since the nearest scored one before it, else after."""
    before = _week_before(lake, scored)
    if before is None:
        return None
    earlier = read_scored(lake, scored.merchant_id, before)
    then, now = Day(earlier.scores, earlier.drivers), Day(scored.scores, scored.drivers)
    names = ("total", "scale", "activity", "potential", "efficiency")
    return Change(
        before,
        {n: hundredths(then.scores[f"{n}_score"], now.scores[f"{n}_score"]) for n in names},
        parts(then, now, scored.policy),
        earlier.policy.version != scored.policy.version,
        earlier.benchmarks_of != scored.benchmarks_of,
    )


def _week_before(lake: Lake, scored: Scored) -> date | None:
    wanted = scored.day - timedelta(days=WEEK)
    days = [scored.day - timedelta(days=n) for n in range(1, 2 * WEEK)]
    version = lake.last.table_versions["score_merchants"]
    rows = read_rows(
        lake.settings.lake, "score_merchants", version, [str(d) for d in days], merchant=scored.merchant_id
    )
    scored_days = sorted(row["as_of_date"] for row in rows)
    up_to = [d for d in scored_days if d <= wanted]
    return up_to[-1] if up_to else next(iter(scored_days), None)
