"""The loop measured: a planted lift is found, its interval covers as often as it says, and hours go to who paid."""

from datetime import datetime, timedelta

import duckdb
import numpy as np
import pytest
from scipy import stats

from ccare.growth.questions import question
from tests.growth.loop_market import (
    SALE_FEN,
    SHARE_NEW,
    START,
    Plan,
    all_estimates,
    empty,
    estimates,
    simulate,
)

SEEDS = 200
LIFT = {"search_box": 0.2, "coupon_channel": 0.0}
_WORTH = {"orders": 1, "new_payers": SHARE_NEW, "net_gmv_fen": SALE_FEN}
"""What a trade that traffic added counts for in each outcome, on average."""


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
    held = dict.fromkeys([*LIFT, *_WORTH], 0)
    plan = Plan(merchants=merchants, days=10, lift=LIFT, hours=10)
    with empty() as con:
        for seed in range(SEEDS):
            added = simulate(con, plan, seed)
            found = all_estimates(con)
            for slot, lift in LIFT.items():
                row = found["orders"][slot]
                held[slot] += row["lift_low"] <= 100 * lift <= row["lift_high"]
            for outcome, worth in _WORTH.items():
                row = found[outcome]["search_box"]
                held[outcome] += row["more_low"] <= worth * added["search_box"] <= row["more_high"]
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


def test_impressions_that_a_programme_granted_are_its_own_and_cost_no_points() -> None:
    with empty() as con:
        con.execute(
            "insert into ledger_lots values ('lot', 'fuyou', 'IMPRESSION'), ('of points', 'x', 'POINT')"
        )
        hour(con, "m", START, "treated", "lot")
        hour(con, "m", START + timedelta(hours=1), "holdout", "lot")
        hour(con, "m", START + timedelta(hours=2), "treated", "of points")
        told = con.execute(
            "select programme, treated_hours, holdout_hours, shown, points from loop_days order by all"
        ).fetchall()
    assert told == [("fuyou", 1, 1, 100, 0), ("none", 1, 0, 100, 0)]


def test_what_a_new_payer_costs_with_its_bounds() -> None:
    """By hand. Five merchants, each with one treated and one withheld hour, and 1 to 3 new payers of 1,000 fen in the
    treated one: 3, 2, 2, 2, 1. Each stratum weighs a half, so 2 more an hour, 10 more in five hours. The spread of
    half of each around 1 is 0.5 in squares: an error of sqrt(5/4 x 0.5) / 2.5 = 0.31623 an hour. Student's 95 % point
    for 4 degrees is 2.1146 by Cornish and Fisher (2.1318): 10 more, 6.657 to 13.343. 100 of the 400 impressions of a
    grant for 40 points cost 10 points an hour: 50 points in all, at 200 fen each."""
    with empty() as con:
        con.execute("create table snapshot as select $1::date as business_date", [START.date()])
        for place, payers in enumerate((3, 2, 2, 2, 1)):
            name = f"m{place}"
            con.execute("insert into ledger_requests values ($1, 40, 400, 'settled')", [name])
            con.execute("insert into ledger_allocations values ('redemption|' || $1, 'fanxing', 40)", [name])
            hour(con, name, START, "treated", name)
            hour(con, name, START + timedelta(hours=1), "holdout", name)
            for user in map(str, range(payers)):
                pay(con, name, user, START + timedelta(minutes=5), 1000, f"t{user}")
                con.execute("insert into state_users values ($1, $2, $3, $3)", [name, user, START.date()])
        con.execute(
            question("loop").sql, {"days": 1, "source": "points", "merchant_id": None, "point_cost_fen": 200}
        )
        columns = [column[0] for column in con.description]
        rows = [dict(zip(columns, row, strict=True)) for row in con.fetchall()]
    for row in rows:
        assert (row["merchants"], row["points"], row["cost_fen"]) == (5, 50, 10_000)
        assert (row["new_payers"], row["new_payers_low"], row["new_payers_high"]) == (10, 6.7, 13.3)
        assert (row["net_gmv_fen"], row["net_gmv_low_fen"], row["net_gmv_high_fen"]) == (
            10_000,
            6_657,
            13_343,
        )
        assert row["cost_per_new_payer_fen"] == 1_000
        assert (row["cost_per_new_payer_low_fen"], row["cost_per_new_payer_high_fen"]) == (749, 1_502)
    assert [(r["slot"], r["programme"]) for r in rows] == [
        ("search_box", "fanxing"),
        ("search_box", "all"),
        ("all", "all"),
    ]
