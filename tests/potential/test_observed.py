"""What the models are fitted to, against a recomputation row by row."""

from collections import Counter
from collections.abc import Iterator
from datetime import date

import duckdb
import numpy as np
import pytest

from ccare.growth.snapshot import connect
from ccare.potential.observed import load_paid_days, observe, paid_days_after, paid_days_within
from ccare.runtime import manifest
from tests.potential.payers import LAST, World, paid_days

END = date(2017, 6, 30)


@pytest.fixture
def con(world: World) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(world.settings.lake, manifest.latest(world.settings.lake)) as opened:
        load_paid_days(opened, LAST, refunds_until=END)
        yield opened


def _users(world: World) -> dict[str, Counter]:
    """Merchant -> (repeats, recency, age, spend days, spent) -> users."""
    told: dict[str, Counter] = {}
    for (merchant, _), days in paid_days(world.payments, END).items():
        first, last = min(days), max(days)
        spent = [net for day, net in days.items() if day > first and net > 0]
        row = (len(days) - 1, (last - first).days, (END - first).days, len(spent), sum(spent))
        told.setdefault(merchant, Counter())[row] += 1
    return told


def test_histories_and_spends(world: World, con: duckdb.DuckDBPyConnection) -> None:
    seen, told = observe(con, END), _users(world)
    assert sorted(seen) == sorted(told)
    for merchant, of in seen.items():
        h, alike, spent = of.histories, Counter(), Counter()
        for (x, t_x, age, n, total), users in told[merchant].items():
            alike[x, t_x, age, n] += users
            spent[x, t_x, age, n] += users * total
        rows = list(zip(h.x, h.t_x, h.T, of.spend_days))
        assert dict(zip(rows, h.users)) == alike
        assert dict(zip(rows, of.spent)) == spent
        means = Counter({(n, s / n): u for (*_, n, s), u in told[merchant].items() if n})
        found = of.spends
        assert (found.total if found else 0) == sum(u for (*_, n, _s), u in told[merchant].items() if n), (
            means
        )


def test_a_day_refunded_to_nothing_counts_as_paid_and_not_as_spend(con: duckdb.DuckDBPyConnection) -> None:
    of = observe(con, date(2017, 3, 31))["m00"]
    back = (of.histories.x == 2) & (of.histories.t_x == 20) & (of.histories.T == 89)
    assert of.spend_days[back].tolist() == [1.0] and of.spent[back].tolist() == [500.0]


def test_outcomes(world: World, con: duckdb.DuckDBPyConnection) -> None:
    later: Counter = Counter()
    within: Counter = Counter()
    for (merchant, _), days in paid_days(world.payments, LAST).items():
        if min(days) <= END:
            later[merchant] += sum(END < day <= date(2017, 8, 31) for day in days)
        within[merchant] += sum(date(2017, 6, 1) <= day <= END for day in days)
    assert paid_days_after(con, END, date(2017, 8, 31)) == {m: n for m, n in later.items() if n}
    assert paid_days_within(con, date(2017, 6, 1), END) == {m: n for m, n in within.items() if n}


def test_merchants_of_many_users_are_told_in_weeks(con: duckdb.DuckDBPyConnection) -> None:
    days, weeks = observe(con, END)["m01"], observe(con, END, many=100)["m01"]
    assert weeks.histories.x.size < days.histories.x.size
    assert weeks.histories.total == days.histories.total and weeks.spent.sum() == days.spent.sum()
    assert set(np.unique(weeks.histories.T % 7)) == {0.0}
    assert weeks.spends and days.spends
    assert weeks.spends.mean == pytest.approx(days.spends.mean, rel=0.005)


def test_rows_that_later_closes_took_are_not_seen(world: World) -> None:
    with connect(world.settings.lake, manifest.latest(world.settings.lake)) as con:
        load_paid_days(con, LAST, taken_by=date(2017, 9, 25))
        row = con.execute("select max(paid_on) from paid_days").fetchone()
        assert row == (date(2017, 9, 25),)
