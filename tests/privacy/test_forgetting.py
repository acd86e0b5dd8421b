"""State after a forgetting equals state folded from core rows with the user taken out."""

from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ccare.events.forgotten import FORGOTTEN_STAFF, renamed, without_forgotten
from ccare.events.pseudonym import FORGOTTEN, pads_frame, token_of
from ccare.runtime.spark import conform, frame, interpreted
from ccare.state import forgetting
from ccare.state.facts import facts
from ccare.state.folds import merchant_days, pair_days
from ccare.state.lifetimes import users
from ccare.state.refunds import matched_refunds
from ccare.tables import table
from ccare.tables.streams import PAYMENTS, STAFF
from tests.events.test_fates import KEY, judged, line
from tests.state.test_folds import CORES, LAST, close_on, random_events

pytestmark = pytest.mark.spark

FIRST = LAST - timedelta(days=210)


def folded(cores: dict[str, DataFrame], staff: DataFrame) -> dict[str, DataFrame]:
    """All state from core rows, at once."""
    days = pair_days(facts(cores, LAST, LAST, close_on(LAST, LAST).slots)).persist()
    return {
        "state_user_days": days,
        "state_merchant_days": merchant_days(days, staff),
        "state_users": users(None, days, LAST, FIRST),
        "state_refund_days": matched_refunds(cores["core_payments"], LAST, LAST),
    }


def told(frames: dict[str, DataFrame]) -> dict[str, list[str]]:
    return {n: sorted(map(str, conform(df, table(n)).collect())) for n, df in frames.items()}


@pytest.mark.parametrize(("seed", "merchant", "staff_of"), [(2, "m1", ()), (3, None, ("m1",))])
def test_state_without_a_user_is_the_fold_of_core_without_it(
    spark: SparkSession, seed: int, merchant: str | None, staff_of: tuple[str, ...]
) -> None:
    with interpreted(spark):
        rows = random_events(seed)
        before = {name: frame(spark, table(name), rows[name]) for name in CORES}
        subject = spark.createDataFrame(pa.table({"_subject": ["u2"]}))
        pairs: list[dict[str, Any]] = [{"merchant_id": m, "user_key": "u2"} for m in staff_of]
        staff = frame(spark, table("core_staff"), pairs)
        scope = (merchant, staff_of)
        after = {
            name: df if name == "core_traffic_hours" else renamed(df, subject, *scope)
            for name, df in before.items()
        }
        staff_after = renamed(staff, subject, *scope)
        expected = told(folded(after, staff_after))
        state = folded(before, staff)
        days = forgetting.user_days(state["state_user_days"], subject, scope)
        theirs = state["state_user_days"].where(F.col("user_key") == "u2")
        touched = theirs.select("merchant_id", "business_date")
        touched = touched if merchant is None else touched.where(F.col("merchant_id") == merchant)
        merchants = forgetting.merchant_days_again(
            state["state_merchant_days"], days, touched.distinct(), staff_after
        )
        lifetimes = forgetting.lifetimes(state["state_users"], days, subject, scope, (FIRST, LAST))
        refunds = forgetting.refund_days(state["state_refund_days"], subject, scope)
        found = told(
            {
                "state_user_days": days,
                "state_merchant_days": merchants,
                "state_users": lifetimes,
                "state_refund_days": refunds,
            }
        )
        assert found == expected
        left = str(found["state_users"])
        assert ("u2" in left) == (merchant is not None)
        assert (FORGOTTEN_STAFF in left) == bool(staff_of)


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
