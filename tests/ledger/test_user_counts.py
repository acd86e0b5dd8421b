"""Users counted by their days: DuckDB counts what a plain walk through each user's days counts."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_world import arrow

from ccare.ledger.rules import GuidedReturn, PrivateDay, RelationKept, ReturningPayer, VoucherReturn
from ccare.ledger.user_counts import FOLLOWED, GUIDED, JOINED, PRIVATE, user_counts

FIRST = date(2024, 2, 20)
SPAN = 24
START = FIRST + timedelta(days=4)
TODAY = FIRST + timedelta(days=SPAN - 1)
BOOKED = "m2"
"""Has keys: what it is entitled to is told where that is nothing, too."""
RULES = (
    RelationKept(name="follow", relation="follow", days=3),
    RelationKept(name="member", relation="member", days=2),
    PrivateDay(name="private"),
    ReturningPayer(name="again", within_days=5, once_in_days=4),
    ReturningPayer(name="often", within_days=9, once_in_days=1),
    GuidedReturn(name="guided", within_days=4, most_per_terminal=2),
    VoucherReturn(name="cards", activities=("a", "b-2"), within_days=3),
)


@dataclass(frozen=True)
class Visit:
    """One day of a user."""

    paid: bool
    active: bool
    tasks: int
    terminal: str | None
    follow_on: bool | None
    member_on: bool | None


maybe = st.sampled_from([None, None, True, False])
visits = st.builds(
    Visit, st.booleans(), st.booleans(), st.integers(0, 15), st.sampled_from([None, "t1", "t2"]), maybe, maybe
)
users = st.tuples(st.sampled_from(["m1", "m2"]), st.sampled_from(["u1", "u2", "u3", "u4", "u5", None]))
histories = st.dictionaries(users, st.dictionaries(st.integers(0, SPAN + 2), visits, max_size=9), max_size=9)
receipts = st.lists(
    st.tuples(users, st.integers(0, SPAN), st.sampled_from(["a", "b-2", "b"]), st.integers(0, 3)), max_size=6
)
looked_at = st.sets(st.tuples(st.sampled_from(["m1", "m2", "m3"]), st.integers(4, SPAN - 1)), max_size=25)


def _day(n):
    return FIRST + timedelta(days=n)


def _found(days, received, touched, staff):
    """{(measure, merchant, date): (units, over)}; ``BOOKED`` is booked, of any rule, on every date."""
    rows = {
        "ledger_positions": [
            {"merchant_id": BOOKED, "effective_date": _day(n), "business_key": f"other|{n}"}
            for n in range(SPAN)
        ],
        "state_user_days": [
            {"merchant_id": m, "user_key": u, "business_date": _day(n), "orders": int(v.paid) or None}
            | {"active_events": int(v.active), "tasks": v.tasks or None, "guided_terminal": v.terminal}
            | {"follow_on": v.follow_on, "member_on": v.member_on}
            for (m, u), theirs in days.items()
            for n, v in theirs.items()
        ],
        "core_voucher_events": [
            {"merchant_id": m, "user_key": u, "business_date": _day(n), "activity_id": a}
            | {"event_type": "received", "taken_on": _day(n + late)}
            for (m, u), n, a, late in received
        ],
        "ledger_touched_keys": [{"merchant_id": m, "effective_date": _day(n)} for m, n in touched],
        "core_staff": [{"merchant_id": m, "user_key": u, "taken_on": TODAY} for m, u in staff],
    }
    rules = SimpleNamespace(user_rules=RULES)
    close = SimpleNamespace(
        day=TODAY, earn_start=START, ledger=rules, posted_at=datetime(2030, 1, 1, tzinfo=UTC)
    )
    with duckdb.connect() as con:
        for name, told in rows.items():
            con.register(name, arrow(name, told))
        return {
            (r["measure"], r["merchant_id"], r["effective_date"]): (r["units"], r["over"])
            for r in user_counts(con, close).to_pylist()
        }


def _dates(rule, days, got):
    """(date, part) on which a user counts; ``days``: their (date, Visit) in order, ``got``: dates of receipts."""
    match rule:
        case PrivateDay():
            return [(on, None) for on, v in days if v.tasks & PRIVATE]
        case RelationKept():
            bit, name = {"follow": (FOLLOWED, "follow_on"), "member": (JOINED, "member_on")}[rule.relation]
            first = next((on for on, v in days if v.tasks & bit), None)
            if first is None:
                return []
            due = first + timedelta(days=rule.days)
            states = [getattr(v, name) for on, v in days if on <= due and getattr(v, name) is not None]
            return [(due, None)] if states and states[-1] else []
        case ReturningPayer():
            return _returns(rule, [on for on, v in days if v.paid])
        case GuidedReturn():
            active = [(on, v) for on, v in days if v.active][:2]
            if len(active) < 2 or not active[0][1].tasks & GUIDED:
                return []
            (first, visit), (second, _) = active
            return [(second, visit.terminal or "")] if (second - first).days <= rule.within_days else []
        case VoucherReturn():
            soon = [
                on for on, v in days if v.active and any(1 <= (on - r).days <= rule.within_days for r in got)
            ]
            return [(soon[0], None)] if soon else []


def _returns(rule, paid):
    found, told = [], None
    for before, on in pairwise(paid):
        free = told is None or (on - told).days >= rule.once_in_days
        if (on - before).days <= rule.within_days and free and on >= START:
            told = on
            found.append((on, None))
    return found


def _expected(days, received, touched, staff):
    counts = {rule.measure: Counter() for rule in RULES}
    for (merchant, user), theirs in days.items():
        if user is None or (merchant, user) in staff:
            continue
        known = sorted(((_day(n), v) for n, v in theirs.items() if _day(n) <= TODAY), key=lambda x: x[0])
        for rule in RULES:
            got = [
                _day(n)
                for who, n, activity, late in received
                if who == (merchant, user) and activity in ("a", "b-2") and _day(n + late) <= TODAY
            ]
            for on, part in _dates(rule, known, got):
                counts[rule.measure][merchant, on, part] += 1
    told = {}
    for rule in RULES:
        most = rule.most_per_terminal if isinstance(rule, GuidedReturn) else 10**9
        for merchant, n in touched:
            parts = [c for (m, on, _), c in counts[rule.measure].items() if (m, on) == (merchant, _day(n))]
            kept = sum(min(c, most) for c in parts)
            if parts or merchant == BOOKED:
                told[rule.measure, merchant, _day(n)] = (kept, sum(parts) - kept)
    return told


@settings(max_examples=150, deadline=None)
@given(histories, receipts, looked_at, st.sets(users.filter(lambda pair: pair[1] is not None), max_size=2))
def test_every_kind_counts_as_a_walk_through_the_days_does(days, received, touched, staff):
    assert _found(days, received, touched, staff) == _expected(days, received, touched, staff)


@pytest.mark.parametrize(
    ("paid", "counts"),
    [
        pytest.param([5, 7, 8, 12], [7, 12], id="from the last that counted, not from the last"),
        pytest.param([1, 3, 8], [8], id="before the start nothing counts and nothing bars"),
        pytest.param([5, 11], [], id="too long ago"),
    ],
)
def test_a_returning_payer(paid, counts):
    rule = RULES[3]
    visit = Visit(paid=True, active=True, tasks=0, terminal=None, follow_on=None, member_on=None)
    touched = {("m1", n) for n in range(4, SPAN)}
    found = _found({("m1", "u1"): dict.fromkeys(paid, visit)}, [], touched, set())
    days = [on for (measure, _, on), (units, _) in found.items() if measure == rule.measure and units]
    assert sorted(days) == [_day(n) for n in counts]
