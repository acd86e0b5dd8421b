"""Refunds find their trades in the last days first, and in older ones where those hold none: the same pairs."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from ccare.runtime.spark import frame
from ccare.state import refunds
from ccare.state.refunds import LOOKED_UP_FIRST, matched_refunds
from ccare.tables import table

pytestmark = pytest.mark.spark

DAY = date(2024, 6, 30)
FIRST = DAY - timedelta(days=200)
EDGE = DAY - timedelta(days=LOOKED_UP_FIRST)
"""The first day that is looked through first."""


def _row(kind: str, trade: str, dated: date, taken: date | None = None, **own: Any) -> dict[str, Any]:
    told = {"event_id": f"{kind}-{trade}-{dated}", "event_type": kind, "trade_no": trade, "merchant_id": "m"}
    told |= {"user_key": "u", "business_date": dated, "taken_on": taken or max(dated, FIRST), "amount_fen": 9}
    return told | own


RECENT = [
    _row("paid", "new", DAY - timedelta(days=3)),
    _row("paid", "edge", EDGE, user_key=None),
    # Long ago by its own date, and taken late.
    _row("paid", "late", DAY - timedelta(days=150), EDGE),
    *(_row("refunded", trade, DAY) for trade in ("new", "edge", "late")),
    _row("refunded", "new", DAY - timedelta(days=1), DAY, amount_fen=2),
]
OLDER = [
    _row("paid", "old", EDGE - timedelta(days=1)),
    _row("paid", "first", FIRST - timedelta(days=20)),
    _row("paid", "other's", FIRST, merchant_id="m2"),
    *(_row("refunded", trade, DAY) for trade in ("old", "first", "never paid")),
    _row("refunded", "other's", DAY),
]
WAITING = [_row("refunded", "comes", DAY - timedelta(days=90)), _row("paid", "comes", DAY)]


def _pairs(spark: SparkSession, rows: list[dict[str, Any]], waiting: bool) -> list[tuple[Any, ...]]:
    found = matched_refunds(frame(spark, table("core_payments"), rows), DAY, FIRST, waiting)
    return sorted(map(tuple, found.collect()), key=str)


@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize("older", [False, True])
def test_looking_at_the_last_days_first_finds_the_same_pairs(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, older: bool, waiting: bool
) -> None:
    rows = RECENT + (OLDER if older else []) + (WAITING if waiting else [])
    found = _pairs(spark, rows, waiting)
    monkeypatch.setattr(refunds, "LOOKED_UP_FIRST", 10_000)
    assert found == _pairs(spark, rows, waiting)
    assert len(found) == 4 + 2 * older + waiting


def test_older_days_are_read_only_for_what_the_last_days_do_not_hold(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Files of the days before the window are cut to pieces: reading any of them would fail."""
    rows = frame(spark, table("core_payments"), [*RECENT, *OLDER[:1]])
    rows.write.partitionBy("taken_on").parquet(str(tmp_path / "payments"))
    for path in (tmp_path / "payments" / f"taken_on={EDGE - timedelta(days=1)}").glob("*.parquet"):
        path.write_bytes(b"cut")
    stored = spark.read.schema(rows.schema).parquet(str(tmp_path / "payments"))
    assert len(matched_refunds(stored, DAY, FIRST, waiting=False).collect()) == 4
    refunds_older = stored.unionByName(frame(spark, table("core_payments"), [_row("refunded", "old", DAY)]))
    with pytest.raises(Exception, match=r"not a Parquet file|footer|FAILED_READ"):
        matched_refunds(refunds_older, DAY, FIRST, waiting=False).collect()
