"""A lake in which no user is known: amounts, trades, codes and traffic are told, and nobody is counted."""

from datetime import date, timedelta

import pyarrow as pa
import pytest

from ccare.metrics.definitions import METRICS
from tests.metrics.closes import Closes
from tests.metrics.compared import COMPARED, Told, differences, lift_differences, side_differences, told_of
from tests.metrics.random_lake import LAST, ZONE, random_lake
from tests.oracle.from_core import Oracle

pytestmark = [pytest.mark.spark, pytest.mark.slow]
FIRST = LAST - timedelta(days=1)
OF_EVERYONE = {
    *("r_gmv", "r_orders", "r_net_gmv", "r_aov"),
    *("r_voucher_use_rate", "e_refund_rate", "e_discount_rate", "e_fee_rate", "e_private_share"),
    "e_public_conversion",
}
"""Metrics that ask for no user."""


def taken_by_the_first_close(rows: pa.Table) -> pa.Table:
    """The same rows, those of older closes taken by the first."""
    if "taken_on" not in rows.column_names:
        return rows
    taken = pa.array([max(FIRST, day) for day in rows["taken_on"].to_pylist()], pa.date32())
    return rows.set_column(rows.schema.get_field_index("taken_on"), "taken_on", [taken])


@pytest.fixture(scope="module")
def with_users() -> dict[str, pa.Table]:
    cores = random_lake({5: 130, 6: 60, 7: 60})
    return {name: taken_by_the_first_close(rows) for name, rows in cores.items()}


@pytest.fixture(scope="module")
def nobody(with_users: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Every user is null, and so nobody is staff."""
    cores = dict(with_users)
    for name, rows in with_users.items():
        at = rows.schema.get_field_index("user_key")
        if at >= 0:
            cores[name] = rows.set_column(at, "user_key", [pa.nulls(rows.num_rows, pa.string())])
    return cores | {"core_staff": with_users["core_staff"].slice(0, 0)}


@pytest.fixture(scope="module")
def told(spark, nobody: dict[str, pa.Table]) -> dict[date, Told]:
    oracle, closes = Oracle(nobody, FIRST), Closes(spark, nobody, FIRST, ZONE)
    result = {day: told_of(closes, oracle, day) for day in closes.days(LAST)}
    assert closes.state["state_users"].num_rows == 0
    assert set(closes.state["state_user_days"]["user_key"].to_pylist()) == {None}
    return result


def test_the_first_close_and_the_next_tell_what_core_rows_give(told: dict[date, Told]) -> None:
    for day in (FIRST, LAST):
        wrong = [line for name in COMPARED for line in differences(told[day], name)]
        wrong += lift_differences(told[day])
        wrong += side_differences(told[day], "metric_funnels")
        assert not wrong, "\n".join(wrong[:20])


def test_amounts_are_whole_and_nobody_is_counted(
    told: dict[date, Told], with_users: dict[str, pa.Table]
) -> None:
    oracle = Oracle(with_users, FIRST)
    oracle.stand_at(LAST)
    right = oracle.metrics()
    rows = told[LAST].product["metric_merchants"].to_pylist()
    assert sum(row["r_gmv"] for row in rows) > 0 and sum(row["r_orders"] for row in rows) > 0
    for row in rows:
        for m in METRICS:
            num, den = right.get((row["merchant_id"], m.id), (0, None))
            if m.id in OF_EVERYONE:
                assert row[f"{m.id}_num" if m.is_ratio else m.id] == num, (row["merchant_id"], m.id)
                assert not m.is_ratio or row[f"{m.id}_den"] == (den or 0), (row["merchant_id"], m.id)
            else:
                assert not row[m.id] if not m.is_ratio else row[m.id] is None, (row["merchant_id"], m.id)


def test_no_stage_cohort_or_active_day_is_told(told: dict[date, Told]) -> None:
    for day in told.values():
        for name in ("metric_stages", "metric_retention", "metric_activity_days"):
            assert day.product[name].num_rows == 0, name
        assert all(row["users"] == 0 for row in day.product["metric_funnels"].to_pylist())
        assert day.product["metric_funnels"].num_rows > 0, "traffic is told without users"
