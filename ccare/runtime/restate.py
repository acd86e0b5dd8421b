"""``ccare restate``: metrics and scores of closed days told again, each as a new revision; nothing is posted.

A day is told from the state that its own close left, so what changes it is another policy or another ccare. Rows
that came late count from the close that took them, and the next closes book the differences.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ccare import __version__
from ccare.errors import InputMissing, UsageError
from ccare.growth.snapshot import connect
from ccare.ledger.policy import load_ledger
from ccare.runtime import manifest
from ccare.runtime.close_days import told_of
from ccare.runtime.day import LakeState, run_steps
from ccare.runtime.late import taken_rows
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings
from ccare.scoring.policy import load_scoring

if TYPE_CHECKING:
    from ccare.runtime.meter import Written

REASON_CHARACTERS = 1000


@dataclass
class Restated:
    """Days told again in order, the summary lines, and the run that is published now."""

    days: list[date] = field(default_factory=list)
    written: "list[Written]" = field(default_factory=list)
    published: dict[str, object] | None = None


@dataclass(frozen=True)
class Proposal:
    """A closed day worth a look: ``late_rows`` of it came after its close, ``changed`` says what would tell it anew."""

    day: date
    late_rows: int
    changed: str


def restate(
    settings: Settings, first: date, last: date, reason: str, said: Callable[[str], None]
) -> Restated:
    """Tell every day from ``first`` to ``last`` again, in one session.

    UsageError without a reason, for a range that is none or begins before the first close; InputMissing where a day
    is not closed yet, or its own state is past its retention. Days told before such a refusal stay told.
    """
    reason = reason.strip()
    if not reason:
        raise UsageError("Why the days are told again is kept with them.", remedy="Add --reason TEXT.")
    if last < first:
        raise UsageError(f"{last} is before {first}.", remedy="Give --from the earlier day.")
    _require_closed(LakeState(manifest.published(settings.lake)), first, last)
    result, days = Restated(), (last - first).days + 1
    for n in range(days):
        day = first + timedelta(days=n)
        said(f"— {day} —")
        result.written += run_steps(settings, day, None, said, reason=reason[:REASON_CHARACTERS], days=days)
        result.days.append(day)
    row = manifest.latest(settings.lake)
    assert row is not None
    result.published = told_of(settings.lake, row)
    return result


def _require_closed(lake: LakeState, first: date, last: date) -> None:
    if lake.last_closed is None or lake.first_day is None or last > lake.last_closed:
        until = f"the last closed day is {lake.last_closed}" if lake.last_closed else "no day is closed"
        raise InputMissing(
            f"{last} cannot be told again: {until}.", remedy=f"Close it first: ccare run --day {last}."
        )
    if first < lake.first_day:
        raise UsageError(
            f"{first} is before the first day ever closed, {lake.first_day}.",
            remedy=f"Choose a day from {lake.first_day} on.",
        )


def proposals(settings: Settings) -> list[Proposal]:
    """Closed days that late rows belong to, or that another policy or ccare told than would now."""
    rows = manifest.published(settings.lake)
    lake = LakeState(rows)
    if lake.last is None:
        return []
    newest = {row.business_date: row for row in rows if row.kind in ("close", "republish")}
    late = _late_rows(settings, lake.last)
    scoring, ledger = load_scoring(settings.conf), load_ledger(settings.conf)
    found = []
    for day, row in sorted(newest.items()):
        now = f"{scoring.for_day(day).version}/{ledger.for_day(day).version}"
        changed = [f"policy {row.policy_version} -> {now}"] if row.policy_version != now else []
        if row.code_version != __version__:
            changed.append(f"ccare {row.code_version} -> {__version__}")
        if changed or late.get(day):
            found.append(Proposal(day, late.get(day, 0), ", ".join(changed)))
    return found


def _late_rows(settings: Settings, last: Published) -> dict[date, int]:
    """Business date -> event rows that a later close took; days before the first close have none of their own."""
    with connect(settings.lake, last) as con:
        late = taken_rows(con).filter("taken_on > business_date")
        return dict(late.aggregate("business_date, count(*)", "business_date").fetchall())
