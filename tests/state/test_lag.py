"""Relations as of 28 days ago move on by a day, whether the day brings events or not."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from ccare.metrics.user_facts import fact, user_facts
from ccare.metrics.windows import AsOf
from ccare.runtime.spark import conform, frame, held, interpreted
from ccare.state.lifetimes import Lag, users
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
        with interpreted(self.spark):
            lag = None
            if self.state is not None:
                leaving = [r for r in self.days if r["business_date"] == closed - timedelta(days=LAG_DAYS)]
                ends = AsOf(closed, ZONE).start(LAG_DAYS - 1)
                lag = Lag(self._frame("state_user_days", leaving), ends)
            before = None if self.state is None else self._frame("state_users", self.state)
            now = users(before, self._frame("state_changes", changes), closed, first, lag=lag)
            told = [row.asDict() for row in conform(now, table("state_users")).collect()]
            self.state = told or self.state  # one pair: what is told takes its place
            self.days += changes
            with held_lake({"state_users": self.state, "core_staff": []}) as con:
                facts = user_facts(con, AsOf(closed, ZONE))
            told = held(self.spark, table("metric_user_facts"), facts)
            (row,) = told.select(
                fact("reachable").alias("now"), fact("reachable_then").alias("then")
            ).collect()
        return bool(row["now"]), bool(row["then"])

    def _frame(self, name: str, rows: Sequence[dict[str, Any]]) -> DataFrame:
        return frame(self.spark, table(name), rows)


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


def test_users_known_before_need_their_lag(spark: SparkSession) -> None:
    empty = frame(spark, table("state_users"))
    with pytest.raises(ValueError, match="lag"):
        users(empty, frame(spark, table("state_changes")), START, START)
