"""Dates that a policy which is meant to change closed days has looked at again, and for how long."""

from datetime import date

import pytest

from jobs import ledger_touched_keys
from tests.case_runner import Case
from tests.held_lake import held_lake

DAY = date(2026, 3, 10)
SALES = [
    {"merchant_id": "m", "business_date": f"d-{days}", "orders": 1, "gmv_fen": 1000} for days in (120, 4, 0)
]
TRADES = {"name": "trade_net", "points": 1, "per_fen": 1000}
KEY = {"programme": "fanxing", "merchant_id": "n", "effective_date": "d-2"}


def touched(position=None, **terms):
    """Merchants and days before DAY that a close without a row of its own looks at; ``position``: what is booked."""
    content = {
        "day": DAY,
        "first_day": date(2026, 1, 1),
        "only": ["fanxing", "fuyou"],
        "terms": {"fanxing": terms},
    }
    case = Case("ledger_touched_keys", "retroactive", content)
    version = case.close().ledger.version
    booked = (
        [KEY | position | {"policy_version": version if position["policy_version"] == "this" else "older"}]
        if position
        else []
    )
    told = Case(
        "ledger_touched_keys",
        "",
        content | {"inputs": {"state_user_days": SALES, "ledger_positions": booked}},
    )
    inputs = (
        "state_changes",
        "state_user_days",
        "state_refund_days",
        "core_staff",
        "core_merchants",
        "core_enrolments",
    )
    with held_lake({name: told.rows(name) for name in (*inputs, "ledger_positions")}) as con:
        rows = ledger_touched_keys.build(con, told.close()).to_pylist()
    return {(row["merchant_id"], (DAY - row["effective_date"]).days) for row in rows}


def test_all_dates_of_the_programme_from_the_first_that_may_earn():
    assert touched() == set()
    assert touched(retroactive=True) == {("m", 4), ("m", 0)}, "the lake is closed from 1 January on"


def test_none_outside_the_programmes_own_dates():
    assert touched(retroactive=True, **{"from": date(2026, 3, 10), "rules": [TRADES]}) == {("m", 0)}
    assert touched(retroactive=True, to="d-4", rules=[TRADES]) == {("m", 4)}


@pytest.mark.parametrize(
    ("booked", "found"),
    [
        ({"rule": "trade_net", "policy_version": "older"}, {("m", 4), ("m", 0), ("n", 2)}),
        ({"rule": "trade_net", "policy_version": "this"}, set()),
    ],
    ids=["by the policy before", "by this one"],
)
def test_only_until_this_policy_has_booked_a_key(booked, found):
    assert touched(booked, retroactive=True) == found


def test_what_is_fixed_on_its_day_says_nothing_about_it():
    fixed = {"programme": "fuyou", "rule": "top_of_peers", "policy_version": "this"}
    assert touched(fixed, retroactive=True) == {("m", 4), ("m", 0)}
