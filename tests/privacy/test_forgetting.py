"""State after a forgetting equals state folded from core rows with the user taken out."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from ccare.events.forgotten import FORGOTTEN_STAFF, renamed, without_forgotten
from ccare.events.pseudonym import FORGOTTEN, pads_frame, token_of
from ccare.runtime.rowstore import arrow_rows
from ccare.runtime.spark import frame, interpreted
from ccare.state import forgetting
from ccare.tables import table
from ccare.tables.streams import PAYMENTS, STAFF
from jobs import state_changes, state_merchant_days, state_refund_days, state_user_days, state_users
from tests.events.test_fates import KEY, judged, line
from tests.held_lake import held_lake
from tests.state.test_folds import LAST, close_on, name_of, random_events, told_by

pytestmark = pytest.mark.spark

FIRST = LAST - timedelta(days=210)
STATE = ("state_user_days", "state_merchant_days", "state_users", "state_refund_days")


Rows = dict[str, list[dict[str, Any]]]


def folded(cores: Rows, staff: list[dict[str, Any]]) -> Rows:
    """All state from core rows, at once."""
    close = close_on(LAST, LAST)
    with held_lake({**cores, "core_staff": staff, **{name: [] for name in STATE}}) as con:
        changes = told_by(con, state_changes, close)
        close = replace(close, touched=tuple({row["business_date"] for row in changes}))
        for name in ("state_changes", "state_user_days"):
            con.register(name, arrow_rows(table(name), changes))
        jobs = (state_user_days, state_merchant_days, state_users, state_refund_days)
        return {name_of(job): told_by(con, job, close) for job in jobs}


def renamed_rows(
    spark: SparkSession, name: str, rows: list[dict[str, Any]], *scope: Any
) -> list[dict[str, Any]]:
    subject = spark.createDataFrame(pa.table({"_subject": ["u2"]}))
    return [row.asDict() for row in renamed(frame(spark, table(name), rows), subject, *scope).collect()]


@pytest.mark.parametrize(("seed", "merchant", "staff_of"), [(2, "m1", ()), (3, None, ("m1",))])
def test_state_without_a_user_is_the_fold_of_core_without_it(
    spark: SparkSession, seed: int, merchant: str | None, staff_of: tuple[str, ...]
) -> None:
    before, scope = random_events(seed), (merchant, staff_of)
    staff: list[dict[str, Any]] = [{"merchant_id": m, "user_key": "u2", "taken_on": FIRST} for m in staff_of]
    with interpreted(spark):
        after = {
            name: rows if name == "core_traffic_hours" else renamed_rows(spark, name, rows, *scope)
            for name, rows in before.items()
        }
        staff_after = renamed_rows(spark, "core_staff", staff, *scope)
    expected = told(folded(after, staff_after))
    with held_lake({**folded(before, staff), "core_staff": staff_after}) as con:
        forgetting.know(con, "u2", merchant, staff_of)
        con.register("counted", con.sql(forgetting.touched("state_user_days")).to_arrow_table())
        con.register("days", con.sql(forgetting.user_days("state_user_days")).to_arrow_table())
        again = {
            "state_user_days": "from days",
            "state_merchant_days": forgetting.merchant_days_again(
                "state_merchant_days", "days", "counted", "core_staff"
            ),
            "state_users": forgetting.lifetimes("state_users", "days", (FIRST, LAST)),
            "state_refund_days": forgetting.refund_days("state_refund_days"),
        }
        found = told({name: con.sql(sql).to_arrow_table().to_pylist() for name, sql in again.items()})
    assert found == expected
    left = str(found["state_users"])
    assert ("u2" in left) == (merchant is not None)
    assert (FORGOTTEN_STAFF in left) == bool(staff_of)


def told(state: Rows) -> dict[str, list[str]]:
    """Rows of declared columns and types, in order."""
    held = {name: arrow_rows(table(name), rows).to_pylist() for name, rows in state.items()}
    return {name: sorted(map(str, rows)) for name, rows in held.items()}


def test_rows_delivered_again_come_without_their_user(spark: SparkSession) -> None:
    lines = [
        line(),
        line(event_id="p2", trade_no="t2", merchant_id="m2"),
        line(event_id="p3", trade_no="t3", user_id="u-2"),
        line(event_id="p4", trade_no="t4", user_id=None),
    ]
    parsed = judged(spark, lines).drop("fate")
    digest = token_of(KEY, token_of(KEY, "u-1"), FORGOTTEN)

    def after(*rows: tuple[str | None, bool]) -> dict[str, Any]:
        held = [
            {"subject_digest": digest, "merchant_id": m, "staff": s, "key_version": "k1"} for m, s in rows
        ]
        forgotten = frame(
            spark, table("core_forgotten"), [{**row, "forgotten_on": date(2024, 3, 1)} for row in held]
        )
        found = without_forgotten(parsed, forgotten, pads_frame(spark, KEY), PAYMENTS).collect()
        assert {r.event_id: r.content_hash for r in found} == {
            r.event_id: r.content_hash for r in parsed.collect()
        }
        return {row.event_id: row.user_key for row in found}

    other = token_of(KEY, "u-2")
    assert after((None, False)) == {"p1": None, "p2": None, "p3": other, "p4": None}
    assert after(("m2", False)) == {"p1": token_of(KEY, "u-1"), "p2": None, "p3": other, "p4": None}
    assert after((None, False), ("m1", True)) == {"p1": FORGOTTEN_STAFF, "p2": None, "p3": other, "p4": None}


def test_a_forgotten_user_does_not_become_staff(spark: SparkSession) -> None:
    named = ['{"merchant_id": "m1", "user_id": "u-1"}', '{"merchant_id": "m2", "user_id": "u-1"}']
    parsed = judged(spark, named, STAFF).drop("fate")
    digest = token_of(KEY, token_of(KEY, "u-1"), FORGOTTEN)
    common = {"subject_digest": digest, "key_version": "k1", "forgotten_on": date(2024, 3, 1)}
    rows = [{**common, "merchant_id": None, "staff": False}, {**common, "merchant_id": "m1", "staff": True}]
    forgotten = frame(spark, table("core_forgotten"), rows)
    found = without_forgotten(parsed, forgotten, pads_frame(spark, KEY), STAFF).collect()
    assert {row.merchant_id: (row.user_key, list(row.reasons)) for row in found} == {
        "m1": (FORGOTTEN_STAFF, []),
        "m2": (None, ["forgotten_user"]),
    }
