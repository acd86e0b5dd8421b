"""r_realised_ratio: what came beside what was expected, against the closed forms of the lifetimes package."""

from datetime import timedelta
from typing import Any

import pytest
from lifetimes import BetaGeoFitter, GammaGammaFitter

from ccare.potential.realised import realised
from tests.held_lake import held_lake
from tests.potential.payers import LAST, Row, World, paid_days, provenance

DAY = LAST
START = DAY - timedelta(days=28)
FITTED: Row = {
    "as_of_date": START,
    "r": 0.9,
    "alpha_days": 26.0,
    "a": 0.5,
    "b": 3.0,
    "spend_p": 4.0,
    "spend_q": 3.2,
    "spend_v": 900.0,
    "calibration": 0.9,
}


def _told(payments: list[Row], models: list[Row], staff: tuple[str, ...] = ("staff",)) -> dict[str, Row]:
    core = {
        "core_payments": payments,
        "core_staff": [
            provenance() | {"merchant_id": m["merchant_id"], "user_key": u} for m in models for u in staff
        ],
        "score_potentials": models,
    }
    return {str(row["merchant_id"]): row for row in realised(held_lake(core), DAY)}


def _models(**own: Any) -> list[Row]:
    return [FITTED | {"merchant_id": f"m{i:02}"} | own for i in range(12)]


def _expected(payments: list[Row], merchant_id: str) -> tuple[float, int]:
    """Net spend expected of users first paid by START, and how many they are, user by user."""
    orders, spend = BetaGeoFitter(), GammaGammaFitter()
    orders.params_ = {"r": 0.9, "alpha": 26.0, "a": 0.5, "b": 3.0}
    spend.params_ = {"p": 4.0, "q": 3.2, "v": 900.0}
    total, users = 0.0, 0
    for (m, _), days in paid_days(payments, START).items():
        if m != merchant_id:
            continue
        first = min(days)
        later = [net for day, net in days.items() if day > first and net > 0]
        x, recency, age = len(days) - 1, (max(days) - first).days, (START - first).days
        visits = orders.conditional_expected_number_of_purchases_up_to_time(28, x, recency, age)
        mean = sum(later) / len(later) if later else 0
        total += float(visits) * float(spend.conditional_expected_average_profit(len(later), mean)) * 0.9
        users += 1
    return total, users


def _came(payments: list[Row], merchant_id: str) -> int:
    mine = [r for r in payments if r["merchant_id"] == merchant_id and r["user_key"] not in (None, "staff")]
    known = {r["user_key"] for r in mine if r["event_type"] == "paid" and r["business_date"] <= START}
    sign = {"paid": 1, "refunded": -1}
    late = [r for r in mine if r["user_key"] in known and START < r["business_date"] <= DAY]
    return sum(sign[r["event_type"]] * r["amount_fen"] for r in late)


def test_it_is_what_the_closed_forms_give_user_by_user(world: World) -> None:
    told = _told(world.payments, _models())
    assert set(told) == {f"m{i:02}" for i in range(12)}
    for name, row in told.items():
        expected, users = _expected(world.payments, name)
        assert row["r_realised_ratio_num"] == _came(world.payments, name)
        assert row["r_realised_ratio_den"] == pytest.approx(expected, abs=1.0)
        assert row["r_realised_ratio_users"] == users


def test_the_model_in_force_then_is_the_last_one_fitted_by_then(world: World) -> None:
    before, after = START - timedelta(days=31), START + timedelta(days=1)
    models = [
        *_models(),
        *_models(as_of_date=before, calibration=0.1),
        *_models(as_of_date=after, calibration=0.5),
    ]
    assert _told(world.payments, models) == _told(world.payments, _models())


@pytest.mark.parametrize(
    "models", [[], _models(as_of_date=START + timedelta(days=1))], ids=["none", "too young"]
)
def test_without_one_nothing_is_told(world: World, models: list[Row]) -> None:
    assert _told(world.payments, models) == {}


def test_a_merchant_that_it_does_not_know_or_expects_nothing_of_is_null(world: World) -> None:
    nothing = {"spend_p": None, "spend_q": None, "spend_v": None}
    models = [FITTED | {"merchant_id": "m01"} | nothing, FITTED | {"merchant_id": "m02"}]
    told = _told(world.payments, models)
    assert set(told) == {"m01", "m02"}
    assert [told["m01"][f"r_realised_ratio_{part}"] for part in ("num", "den", "users")] == [None, None, 0]


def test_a_late_row_counts_as_if_it_had_been_in_time(world: World) -> None:
    moved = [r | {"taken_on": DAY} if r["event_id"].endswith("7") else r for r in world.payments]
    assert _told(moved, _models()) == _told(world.payments, _models())
    later = [
        r | {"taken_on": DAY + timedelta(days=1)} if r["event_id"].endswith("7") else r
        for r in world.payments
    ]
    left_out = [r for r in world.payments if not r["event_id"].endswith("7")]
    assert _told(later, _models()) == _told(left_out, _models())
