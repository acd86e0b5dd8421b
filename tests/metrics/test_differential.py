"""Every metric and side table, folded day by day, against a recomputation from core rows in DuckDB."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from ccare.metrics.definitions import METRICS
from ccare.metrics.retention import weeks_told
from tests.metrics.closes import Closes
from tests.metrics.compared import (
    COMPARED,
    LIFT_PARTS,
    RATIOS,
    Told,
    differences,
    lift_differences,
    side_differences,
    told_of,
)
from tests.metrics.random_lake import FIRST, LAST, LENGTHS, ZONE, random_lake
from tests.oracle.from_core import SIDE_TABLES, Oracle

pytestmark = [pytest.mark.spark, pytest.mark.slow]

STOPS = tuple(FIRST + timedelta(days=n) for n in (0, 1, 13, 28, 36))
"""As-of days compared: the first close, its Sunday, a Friday, and what 28 days and more of closes came to."""


@pytest.fixture(scope="module")
def told(spark) -> dict[date, Told]:
    """All seeds at once: they are merchants of one lake, and merchants never meet."""
    cores = random_lake()
    oracle, closes = Oracle(cores, FIRST), Closes(spark, cores, FIRST, ZONE)
    return {day: told_of(closes, oracle, day) for day in closes.days(LAST) if day in STOPS}


def test_the_seeds_are_many_and_long() -> None:
    assert list(LENGTHS.values()).count(60) >= 20
    assert list(LENGTHS.values()).count(130) >= 4


@pytest.mark.parametrize("day", STOPS, ids=str)
def test_every_metric_is_what_core_rows_give(told: dict[date, Told], day: date) -> None:
    rows = told[day].product["metric_merchants"].to_pylist()
    assert {row["merchant_id"]: row["industry"] for row in rows} == told[day].merchants
    wrong = [line for name in COMPARED for line in differences(told[day], name)]
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("name", SIDE_TABLES)
@pytest.mark.parametrize("day", STOPS, ids=str)
def test_every_side_table_is_what_core_rows_give(told: dict[date, Told], day: date, name: str) -> None:
    wrong = side_differences(told[day], name)
    assert not wrong, "\n".join(wrong[:20])


def test_some_day_tells_every_metric_apart(told: dict[date, Told]) -> None:
    """A metric that is 0 or null everywhere would agree with anything."""
    for compared in COMPARED:
        values = {pair for t in told.values() for (_, name), pair in t.metrics.items() if name == compared}
        assert len({num for num, _ in values if num}) >= 2, compared
        assert len(values) >= (4 if compared in RATIOS else 2), compared
    realised = {day: {m for m, name in t.metrics if name == "r_realised_ratio"} for day, t in told.items()}
    assert not realised[FIRST] and realised[STOPS[2]] != realised[LAST], "no model, the first, the second"


@pytest.mark.parametrize("metric_id", COMPARED)
def test_one_fault_in_a_metric_is_seen(told: dict[date, Told], metric_id: str) -> None:
    """One more in one cell of the product, numerator or denominator, turns the comparison red."""
    parts = ("_num", "_den") if metric_id in RATIOS else ("",)
    for part in parts:
        assert differences(_faulty(told[LAST], "metric_merchants", f"{metric_id}{part}"), metric_id), part


@pytest.mark.parametrize("name", SIDE_TABLES)
def test_one_fault_in_a_side_table_is_seen(told: dict[date, Told], name: str) -> None:
    assert side_differences(_faulty(told[LAST], name, "users"), name)


@pytest.mark.parametrize("day", STOPS, ids=str)
def test_every_lift_is_what_core_rows_give(told: dict[date, Told], day: date) -> None:
    wrong = lift_differences(told[day])
    assert not wrong, "\n".join(wrong[:20])


def test_some_lifts_sell_in_both_arms(told: dict[date, Told]) -> None:
    """Sums that are 0 everywhere would agree with anything."""
    sums = list(told[LAST].lifts.values())
    assert all(sum(of > 0 for of in column) >= 2 for column in zip(*sums, strict=True)), sums


@pytest.mark.parametrize("part", LIFT_PARTS)
def test_one_fault_in_a_lift_is_seen(told: dict[date, Told], part: str) -> None:
    assert lift_differences(_faulty(told[LAST], "metric_merchants", f"e_points_lift{part}")), part


def _faulty(told: Told, name: str, column: str) -> Told:
    rows = told.product[name]
    values = rows[column].to_pylist()
    told_of = [at for at, value in enumerate(values) if value is not None]
    values[told_of[len(told_of) // 2]] += 1
    at = rows.schema.get_field_index(column)
    changed = rows.set_column(at, rows.schema.field(at), [values])
    return replace(told, product={**told.product, name: changed})


_IDENTITIES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "active = new + retained + resurrected": lambda r: (
        r["c_mau28"] == r["c_growth_new"] + r["c_growth_retained"] + r["c_growth_resurrected"]
    ),
    "change of active = new + resurrected - churned": lambda r: (
        r["c_mau28"] - r["a_return_rate_den"]
        == r["c_growth_new"] + r["c_growth_resurrected"] - r["c_growth_churned"]
    ),
    "new users are new to growth": lambda r: r["c_new_users"] == r["c_growth_new"],
    "a share has no more than its whole": lambda r: all(
        r[f"{m.id}_num"] <= r[f"{m.id}_den"]
        for m in METRICS
        if m.is_proportion and m.scored_as == "value" and m.dimension in ("scale", "activity")
        if m.id != "a_stickiness"
    ),
    "wau within mau": lambda r: r["c_dau"] <= r["c_wau"] <= r["c_mau28"],
}


@pytest.mark.parametrize("identity", _IDENTITIES)
def test_identities_of_a_merchant(told: dict[date, Told], identity: str) -> None:
    for day in told.values():
        for row in day.product["metric_merchants"].to_pylist():
            assert _IDENTITIES[identity](row), row


def test_side_tables_add_up(told: dict[date, Told]) -> None:
    for day, t in told.items():
        for row in t.product["metric_merchants"].to_pylist():
            mine = {
                name: [r for r in t.product[name].to_pylist() if r["merchant_id"] == row["merchant_id"]]
                for name in SIDE_TABLES
            }
            days = mine["metric_activity_days"]
            assert sum(r["users"] for r in days) == row["c_mau28"]
            assert sum(r["users"] * r["active_days"] for r in days) == row["a_l28_num"]
            stages = {r["stage"]: r["users"] for r in mine["metric_stages"]}
            assert len(stages) in (0, 7)
            assert sum(stages.values()) == t.people.get(row["merchant_id"], 0), (
                "every known user is in a stage"
            )
            awake = ("visited", "paid", "repeat", "loyal")
            assert sum(stages.get(stage, 0) for stage in awake) == row["c_mau28"]
            assert stages.get("at_risk", 0) == row["c_growth_churned"]
            for slot in {r["slot"] for r in mine["metric_funnels"]}:
                steps = sorted(
                    (r["step_number"], r["users"]) for r in mine["metric_funnels"] if r["slot"] == slot
                )
                assert [n for n, _ in steps] == [1, 2, 3, 4, 5]
                assert [users for _, users in steps] == sorted((users for _, users in steps), reverse=True)
            for cell in mine["metric_retention"]:
                assert cell["users"] <= cell["cohort_users"]
                assert cell["age"] > 0 or cell["users"] == cell["cohort_users"]
        assert bool(t.product["metric_retention"].num_rows) == bool(weeks_told(day, FIRST))
