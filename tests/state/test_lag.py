"""Relations as of 28 days ago move on by a day, whether the day brings events or not."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from ccare.metrics.user_facts import fact, user_facts
from ccare.metrics.windows import AsOf
from ccare.runtime.rowstore import arrow_schema
from ccare.runtime.spark import held, interpreted
from ccare.state.lifetimes import Lag, first_users, users
from ccare.tables import table
from ccare.tables.state import LAG_DAYS
from tests.held_lake import held_lake

pytestmark = pytest.mark.spark

START = date(2024, 3, 1)
ZONE = "Asia/Shanghai"


def turned(day: int, on: bool, event_id: str, hour: int = 4) -> dict[str, Any]:
    """A pair day that holds one change of follow."""
    when = START + timedelta(days=day)
    zeros = {c.name: 0 for c in table("state_changes").columns if c.type == "bigint"}
    change = {"follow_at": datetime(when.year, when.month, when.day, hour, tzinfo=UTC), "follow_on": on}
    pair = {"merchant_id": "m", "user_key": "u", "business_date": when, "follow_event_id": event_id}
    return zeros | pair | change


class World:
    """state_users of one pair, closed on the days that a test names; days between are closed without a change."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark, self.days, self.state = spark, [], None  # type: ignore[var-annotated]

    def close(self, day: int, changes: Sequence[dict[str, Any]] = ()) -> tuple[bool, bool]:
        """Fold ``changes`` on a day; returns whether the pair is reachable on it and was 28 days before."""
        closed = START + timedelta(days=day)
        first = min((row["business_date"] for row in changes), default=closed)
        leaving = [r for r in self.days if r["business_date"] == closed - timedelta(days=LAG_DAYS)]
        tables = {"state_changes": changes, "state_user_days": leaving, "state_users": self.state or []}
        with held_lake(tables) as con:
            told = first_users("state_changes", closed, first)
            if self.state is not None:
                lag = Lag("state_user_days", AsOf(closed, ZONE).start(LAG_DAYS - 1))
                told = users(con, "state_users", "state_changes", closed, first, lag)
            self.state = con.sql(told).to_arrow_table().cast(arrow_schema(table("state_users"))).to_pylist()
        assert len(self.state) == 1
        with interpreted(self.spark):
            self.days += changes
            with held_lake({"state_users": self.state, "core_staff": []}) as con:
                facts = user_facts(con, AsOf(closed, ZONE))
            told = held(self.spark, table("metric_user_facts"), facts)
            (row,) = told.select(
                fact("reachable").alias("now"), fact("reachable_then").alias("then")
            ).collect()
        return bool(row["now"]), bool(row["then"])


def test_a_quiet_pair_is_told_day_by_day(spark: SparkSession) -> None:
    world = World(spark)
    world.days = []
    assert world.close(11, [turned(0, True, "a"), turned(10, False, "b")]) == (False, False)
    assert world.close(27) == (False, False)
    assert world.close(28) == (False, True)
    assert world.close(37) == (False, True)
    assert world.close(38) == (False, False)


def test_a_late_change_stands_where_it_happened(spark: SparkSession) -> None:
    """Late by 30 days: it turns the past on, and the later change that was known already keeps the present."""
    world = World(spark)
    assert world.close(11, [turned(10, False, "b")]) == (False, False)
    assert world.close(35, [turned(5, True, "a")]) == (False, True)
    assert world.close(36, [turned(5, False, "0")]) == (False, True), "the earlier event id of a tie loses"
    assert world.close(37, [turned(5, False, "c")]) == (False, False)
    assert world.close(39, [turned(39, True, "d")]) == (True, False)
