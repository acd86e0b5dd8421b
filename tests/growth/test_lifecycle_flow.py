"""The flow between stages against the stages' definition, told user by user; all dates are days before the last."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccare.growth.questions import questions

LAST = date(2026, 3, 31)
SEEN, ACTIVE, PAID = "seen", "active", "paid"
History = Mapping[int, str]
"""Days before LAST -> the most that the user did on it."""

# Places where a stage turns: a week and four before the last day, and 28, 56 and 90 days before each.
_TURNS = [
    at + before for before in (0, 7, 28) for at in (0, 1, 27, 28, 29, 55, 56, 57, 63, 64, 89, 90, 91, 128)
]
_DAYS = st.one_of(st.sampled_from(_TURNS), st.integers(0, 250))
HISTORIES = st.dictionaries(_DAYS, st.sampled_from((SEEN, ACTIVE, PAID)), min_size=1, max_size=8)


def stage(history: History, at: int) -> str:
    """A user's stage ``at`` days before LAST, by the words of docs/reference/metrics.md."""
    known = {day: did for day, did in history.items() if day >= at}
    if not known:
        return "unknown"
    active = [day for day, did in known.items() if did != SEEN]
    paid = [day for day, did in known.items() if did == PAID]
    if not active:
        return "reached"
    if min(active) - at >= 56:
        return "dormant"
    if min(active) - at >= 28:
        return "at_risk"
    if not paid:
        return "visited"
    if sum(day - at < 90 for day in paid) >= 3:
        return "loyal"
    return "repeat" if len(paid) > 1 else "paid"


def flow(histories: list[History], days: int, staff: bool = False) -> dict[tuple[str, str], int]:
    """What the question answers; user i is of merchant i % 2. ``staff``: user 0 works there."""
    with duckdb.connect() as con:
        con.execute("create table snapshot as select $1 as business_date", [LAST])
        con.execute("create table core_staff (merchant_id varchar, user_key varchar)")
        con.execute(
            "create table state_user_days (merchant_id varchar, user_key varchar, business_date date, "
            "active_events bigint, orders bigint)"
        )
        con.execute(
            "create table state_users (merchant_id varchar, user_key varchar, last_seen_date date, "
            "first_paid_date date, last_paid_date date, paid_bits bigint, paid_bits_older bigint)"
        )
        if staff:
            con.execute("insert into core_staff values ('m0', 'u0')")
        for i, history in enumerate(histories):
            _insert(con, (f"m{i % 2}", f"u{i}"), history)
        rows = con.execute(questions()["lifecycle_flow"].sql, {"days": days, "merchant_id": None}).fetchall()
    return {(before, now): users for before, now, users, _ in rows}


def _insert(con: duckdb.DuckDBPyConnection, pair: tuple[str, str], history: History) -> None:
    rows = [
        (*pair, LAST - timedelta(days=day), int(did != SEEN), int(did == PAID))
        for day, did in history.items()
    ]
    con.executemany("insert into state_user_days values (?, ?, ?, ?, ?)", rows)
    active = [day for day, did in history.items() if did != SEEN]
    paid = [day for day, did in history.items() if did == PAID]
    words = [sum(1 << (d - min(paid) - w) for d in paid if w <= d - min(paid) < w + 64) for w in (0, 64)]
    dates = [
        LAST - timedelta(days=day[0]) if day else None
        for day in (sorted(active)[:1], sorted(paid)[-1:], sorted(paid)[:1])
    ]
    signed = [(w - (1 << 64) if w >> 63 else w) if paid else None for w in words]
    con.execute("insert into state_users values (?, ?, ?, ?, ?, ?, ?)", [*pair, *dates, *signed])


@settings(max_examples=150, deadline=None)
@given(st.lists(HISTORIES, min_size=1, max_size=12), st.sampled_from((1, 7, 28, 45, 120)))
def test_every_user_is_counted_where_the_definition_puts_it(histories: list[History], days: int) -> None:
    wanted = Counter((stage(h, days), stage(h, 0)) for h in histories)
    assert flow(histories, days) == dict(wanted)


@pytest.mark.parametrize(
    ("history", "before", "now"),
    [
        ({8: PAID, 50: PAID, 96: PAID}, "loyal", "repeat"),
        ({8: PAID, 50: PAID, 97: PAID}, "repeat", "repeat"),
        ({20: ACTIVE, 75: PAID, 76: PAID, 83: PAID}, "loyal", "loyal"),
        ({34: PAID}, "paid", "at_risk"),
        ({34: ACTIVE, 0: SEEN}, "visited", "at_risk"),
        ({90: SEEN}, "reached", "reached"),
    ],
    ids=str,
)
def test_by_hand(history: History, before: str, now: str) -> None:
    """Over a week: who was not active in it is told from the state, and the days of a stage go by all the same."""
    assert flow([history], 7) == {(before, now): 1}


def test_staff_are_left_out() -> None:
    assert flow([{3: PAID}, {40: PAID}], 7, staff=True) == {("at_risk", "at_risk"): 1}
