"""The loop measured: a planted lift is found, its interval covers as often as it says, and hours go to who paid."""

from datetime import datetime, timedelta

import duckdb
import numpy as np
import pytest
from scipy import stats

from tests.growth.loop_market import START, Plan, empty, estimates, simulate

SEEDS = 200
LIFT = {"search_box": 0.2, "coupon_channel": 0.0}


def test_a_lift_of_a_fifth_is_found_within_eight_points() -> None:
    with empty() as con:
        added = simulate(con, Plan(merchants=80, days=28, lift=LIFT), seed=1)
        found = estimates(con)
    row = found["search_box"]
    assert row["clusters"] == row["merchants"] == 80
    assert row["lift_low"] < 20 < row["lift_high"]
    assert (row["lift_high"] - row["lift_low"]) / 2 <= 8
    assert row["more_low"] < added["search_box"] < row["more_high"] and row["more_low"] > 0
    none = found["coupon_channel"]
    assert none["lift_low"] < 0 < none["lift_high"] and none["more_low"] < 0 < none["more_high"]


@pytest.mark.parametrize("merchants", [32, 12], ids=["by merchant", "by merchant-day"])
def test_nine_intervals_in_ten_hold_the_truth(merchants: int) -> None:
    held = dict.fromkeys([*LIFT, "more"], 0)
    plan = Plan(merchants=merchants, days=10, lift=LIFT, hours=10)
    with empty() as con:
        for seed in range(SEEDS):
            added = simulate(con, plan, seed)
            found = estimates(con)
            for slot, lift in LIFT.items():
                held[slot] += found[slot]["lift_low"] <= 100 * lift <= found[slot]["lift_high"]
            row = found["search_box"]
            held["more"] += row["more_low"] <= added["search_box"] <= row["more_high"]
    assert {name: 0.85 <= n / SEEDS <= 0.95 for name, n in held.items()} == dict.fromkeys(held, True), held


def test_the_interval_is_the_one_worked_out_in_numpy() -> None:
    """Strata of merchant and day, clusters of merchants, Student's quantile from SciPy."""
    with empty() as con:
        simulate(con, Plan(merchants=31, days=7, lift={"search_box": 0.3}), seed=5)
        row = estimates(con)["search_box"]
        cells = con.execute(
            "select merchant_id, business_date, arm, date_trunc('hour', occurred_at) as hour, (select count(*) from "
            "core_payments p where p.merchant_id = t.merchant_id and p.occurred_at = t.occurred_at) as orders "
            "from core_traffic_hours t"
        ).fetchall()
    strata: dict[tuple[object, object], dict[str, list[int]]] = {}
    for merchant, day, arm, _, orders in cells:
        strata.setdefault((merchant, day), {"treated": [], "holdout": []})[arm].append(orders)
    sums: dict[object, np.ndarray] = {}
    for (merchant, _), arms in strata.items():
        t, h = arms["treated"], arms["holdout"]
        part = np.array([sum(t) * len(h), sum(h) * len(t), len(t) * len(h)]) / (len(t) + len(h))
        sums[merchant] = sums.get(merchant, np.zeros(3)) + part
    told = np.array([s for s in sums.values() if s[2] > 0])
    a, b, w = told.sum(axis=0)
    n = len(told)
    error = np.sqrt(n / (n - 1) * ((told[:, 0] - a / b * told[:, 1]) ** 2).sum()) / a
    quantile = stats.t.ppf(0.95, n - 1)
    assert row["lift_percent"] == pytest.approx(100 * (a / b - 1))
    assert row["lift_high"] == pytest.approx(100 * (a / b * np.exp(quantile * error) - 1), rel=1e-3)
    each = np.sqrt(n / (n - 1) * ((told[:, 0] - told[:, 1] - (a - b) / w * told[:, 2]) ** 2).sum()) / w
    assert row["more_low"] == pytest.approx(((a - b) / w - quantile * each) * row["treated_hours"], rel=1e-3)


def hour(con: duckdb.DuckDBPyConnection, merchant: str, at: datetime, arm: str, grant: str | None) -> None:
    row = [merchant, at.date(), "search_box", "points", arm, grant, "delivered", at, 100, 4]
    con.execute(f"insert into core_traffic_hours values ({', '.join('?' * len(row))})", row)


def pay(con: duckdb.DuckDBPyConnection, merchant: str, user: str, at: datetime, fen: int, trade: str) -> None:
    row = [merchant, user, at.date(), at, "paid", trade, fen]
    con.execute(f"insert into core_payments values ({', '.join('?' * len(row))})", row)


def test_hours_and_what_they_brought_go_to_the_programmes_that_paid() -> None:
    """By hand. m: 3 treated hours with 2 trades of new payers (one given half back) and 1 of staff, 1 withheld hour
    with 1 trade of an old payer. The grant g cost 40 points for 400 impressions, 30 of them fanxing's."""
    at = [START + timedelta(hours=h) for h in range(4)]
    with empty() as con:
        con.execute("insert into ledger_requests values ('g', 40, 400, 'settled'), ('x', 9, 9, 'refused')")
        con.execute("insert into ledger_allocations values ('redemption|g', 'fanxing', 20), "
                    "('redemption|g', 'fanxing', 10), ('redemption|g', 'luoma', 10)")  # fmt: skip
        for place, arm in enumerate(["treated", "treated", "treated", "holdout"]):
            hour(con, "m", at[place], arm, "g")
        pay(con, "m", "new1", at[0] + timedelta(minutes=5), 1000, "t1")
        pay(con, "m", "new2", at[1] + timedelta(minutes=59), 2000, "t2")
        pay(con, "m", "boss", at[1], 700, "t3")
        pay(con, "m", "old", at[3], 500, "t4")
        con.execute("insert into core_payments values ('m', 'new2', ?, ?, 'refunded', 't2', 1000)",
                    [at[0].date() + timedelta(days=9), at[0] + timedelta(days=9)])  # fmt: skip
        con.execute("insert into core_staff values ('m', 'boss')")
        day = at[0].date()
        con.execute("insert into state_users values ('m', 'new1', $1, $1), ('m', 'new2', $1 - 1, $1), "
                    "('m', 'boss', $1, $1), ('m', 'old', $1 - 9, $1 - 9)", [day])  # fmt: skip
        days = con.execute("from loop_days order by programme").to_arrow_table().to_pylist()
        told = con.execute(
            "select programme, outcome, lift_percent, more, more_low, clusters from "
            "loop_estimates($1, $2, 'points', 'm') where slot = 'search_box' and outcome <> 'net_gmv_fen'",
            [day - timedelta(days=1), day],
        ).fetchall()
    fanxing, luoma = days
    assert [d["programme"] for d in days] == ["fanxing", "luoma"]
    assert (fanxing["treated_hours"], fanxing["holdout_hours"]) == (2.25, 0.75)
    assert (fanxing["shown"], fanxing["clicks"]) == (225, 9)
    assert (fanxing["points"], luoma["points"]) == (pytest.approx(22.5), pytest.approx(7.5))
    assert luoma["treated_hours"] == 0.75
    assert (fanxing["orders_treated"], fanxing["orders_holdout"]) == (2.25, 0.75)
    assert (fanxing["new_payers_treated"], fanxing["new_payers_holdout"]) == (1.5, 0)
    assert (fanxing["new_users_treated"], fanxing["net_gmv_fen_treated"]) == (
        0.75,
        0.75 * (1000 + 1000 + 700),
    )
    found = {(p, o): (lift, more, low, clusters) for p, o, lift, more, low, clusters in told}
    # 3 trades in 3 hours against 1 in 1: no lift. 2 new payers more, of no rate that they could be a part of.
    assert found["all", "orders"] == (0, 0, None, 1)
    assert found["all", "new_payers"] == (None, 2, None, 1)
    assert found["fanxing", "new_payers"][1] == pytest.approx(1.5)
