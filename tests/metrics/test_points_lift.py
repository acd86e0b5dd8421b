"""e_points_lift: which trades fall into an hour, what an interval covers."""

import random
from datetime import UTC, date, datetime, timedelta

import duckdb
import numpy as np
import pytest

from ccare.metrics.points_lift import FEW_DAYS, interval, lift, points_lift
from tests.held_lake import held_lake

DAY = date(2026, 3, 28)
HOUR = datetime(2026, 3, 20, 4, 30, tzinfo=UTC)
"""Half past: in a zone of half hours the day's hours begin there."""


def _lake(traffic: list[dict], payments: list[dict]) -> duckdb.DuckDBPyConnection:
    return held_lake({"core_traffic_hours": traffic, "core_payments": payments})


def _hour(**own: object) -> dict:
    told = {
        "event_id": "h",
        "event_type": "delivered",
        "merchant_id": "m",
        "occurred_at": HOUR,
        "slot": "search_box",
    }
    told |= {"business_date": date(2026, 3, 20), "taken_on": date(2026, 3, 21), "source": "points"}
    return told | {"arm": "treated", "impressions": 500} | own


def _paid(minutes: float, **own: object) -> dict:
    at = HOUR + timedelta(minutes=minutes)
    told = {"event_id": "p", "event_type": "paid", "merchant_id": "m", "occurred_at": at}
    return told | {"business_date": date(2026, 3, 20), "taken_on": date(2026, 3, 20), "amount_fen": 0} | own


WITHHELD = _hour(occurred_at=HOUR + timedelta(hours=2), arm="holdout", impressions=1000)


@pytest.mark.parametrize(
    ("payments", "orders"),
    [
        ([_paid(0)], (1, 0)),  # an hour holds its first instant
        ([_paid(60)], (0, 0)),  # and not its last
        ([_paid(59.99), _paid(-0.01)], (1, 0)),
        ([_paid(1, slot="private"), _paid(2, user_key=None)], (2, 0)),  # any slot, whoever paid
        ([_paid(1, event_type="refunded")], (0, 0)),
        ([_paid(1, merchant_id="other")], (0, 0)),
        ([_paid(1, taken_on=DAY + timedelta(days=1))], (0, 0)),  # taken later than the day
        ([_paid(121), _paid(130), _paid(1)], (1, 2)),
    ],
)
def test_trades_of_an_hour(payments: list[dict], orders: tuple[int, int]) -> None:
    (row,) = points_lift(_lake([_hour(), WITHHELD], payments), DAY)
    assert (row["e_points_lift_treated_orders"], row["e_points_lift_holdout_orders"]) == orders
    assert (row["e_points_lift_treated_shown"], row["e_points_lift_holdout_shown"]) == (500, 1000)
    assert row["e_points_lift"] == 1000 * (orders[0] / 500 - orders[1] / 1000)
    assert row["e_points_lift_low"] is None, "two days tell no interval"


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        ([_hour(source="free"), WITHHELD], None),
        ([_hour(), WITHHELD | {"impressions": 0}], None),
        ([_hour(business_date=DAY - timedelta(days=28)), WITHHELD], None),
        ([_hour(business_date=DAY - timedelta(days=27)), WITHHELD], 2.0),
        ([_hour(taken_on=DAY + timedelta(days=1)), WITHHELD], None),
        ([_hour(), _hour(slot="app_centre"), WITHHELD], 2.0),  # a trade counts in each slot's hour
    ],
)
def test_hours_that_count(hours: list[dict], told: float | None) -> None:
    (row,) = points_lift(_lake(hours, [_paid(5)]), DAY)
    assert row["e_points_lift"] == told


def test_without_such_hours_there_is_no_row() -> None:
    assert list(points_lift(_lake([_hour(source="free")], [_paid(5)]), DAY)) == []


def test_days_alike_leave_no_width_and_few_days_no_interval() -> None:
    days = np.tile([4.0, 1000.0, 1.0, 500.0], (FEW_DAYS, 1))
    assert interval(days) == (2.0, 2.0)
    assert interval(days[1:]) == (None, None)


def test_an_interval_covers_what_is_planted() -> None:
    """400 seeded merchants of 28 days, 2 trades more per 1,000 in treated hours: some 90 % of the intervals hold it."""
    rng, held = np.random.default_rng(7), 0
    for _ in range(400):
        shown = rng.integers(500, 1500, 28)
        days = np.stack(
            [rng.poisson(shown * 0.012), shown, rng.poisson(shown / 4 * 0.010), shown // 4], axis=1
        )
        low, high = interval(days.astype(float))
        assert low is not None and high is not None and low <= lift(days.sum(axis=0).astype(float)) <= high
        held += low <= 2.0 <= high
    assert 0.84 <= held / 400 <= 0.95, held


@pytest.mark.parametrize("seed", range(6))
def test_an_interval_is_where_another_bootstrap_puts_it(seed: int) -> None:
    """Days drawn one by one by another generator: 5 % of the lifts lie below its lower end, 5 % above its upper."""
    draw = random.Random(seed)
    days = [
        (draw.randrange(9), draw.randrange(200, 900), draw.choice([0, 0, 1, 3]), draw.choice([0, 90, 150]))
        for _ in range(draw.randrange(FEW_DAYS, 29))
    ]
    drawn = []
    for _ in range(4_000):
        sold, shown, sold_without, withheld = map(sum, zip(*draw.choices(days, k=len(days)), strict=True))
        if shown and withheld:
            drawn.append(1000 * (sold / shown - sold_without / withheld))
    low, high = interval(np.array(days, dtype=float))
    assert low is not None and high is not None and low < high
    for end, share in ((low, 0.05), (high, 0.95)):
        below, upto = (sum(one < end + by for one in drawn) / len(drawn) for by in (-1e-9, 1e-9))
        assert below - 0.025 < share < upto + 0.025, (seed, end, below, upto)


def test_an_interval_is_of_days_and_not_of_hours() -> None:
    """Hours of one day are drawn together: six days of twelve hours have the interval of their six sums."""
    hours, sold = [], []
    for back in range(6):
        told = {"business_date": DAY - timedelta(days=back), "taken_on": DAY}
        for number in range(12):
            at = HOUR + timedelta(days=back, hours=2 * number)
            arm = "holdout" if number % 4 == 3 else "treated"
            hours.append(_hour(**told, occurred_at=at, arm=arm, impressions=100 + back))
            sold += [_paid(1, **told) | {"occurred_at": at}] * ((number * back) % 3)
    (row,) = points_lift(_lake(hours, sold), DAY)
    by_day = []
    for back in range(6):
        orders = dict.fromkeys(("treated", "holdout"), 0)
        for number in range(12):
            orders["holdout" if number % 4 == 3 else "treated"] += (number * back) % 3
        by_day.append((orders["treated"], 9 * (100 + back), orders["holdout"], 3 * (100 + back)))
    by_day.reverse()  # as the days follow each other
    assert (row["e_points_lift_low"], row["e_points_lift_high"]) == interval(np.array(by_day, dtype=float))
