"""Refunds find their trades in the last days first, and in older ones where those hold none: the same pairs."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ccare.runtime.rowstore import arrow_rows
from ccare.state import refunds
from ccare.state.refunds import LOOKED_UP_FIRST, matched_refunds
from ccare.tables import table
from tests.held_lake import held_lake

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


def _pairs(rows: list[dict[str, Any]], waiting: bool) -> list[tuple[Any, ...]]:
    with held_lake({"core_payments": rows}) as con:
        return sorted(con.sql(matched_refunds(con, DAY, FIRST, waiting)).fetchall(), key=str)


@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize("older", [False, True])
def test_looking_at_the_last_days_first_finds_the_same_pairs(
    monkeypatch: pytest.MonkeyPatch, older: bool, waiting: bool
) -> None:
    rows = RECENT + (OLDER if older else []) + (WAITING if waiting else [])
    found = _pairs(rows, waiting)
    monkeypatch.setattr(refunds, "LOOKED_UP_FIRST", 10_000)
    assert found == _pairs(rows, waiting)
    assert len(found) == 4 + 2 * older + waiting


def test_older_days_are_read_only_for_what_the_last_days_do_not_hold(tmp_path: Path) -> None:
    """Files of the days before the window are cut to pieces: reading any of them would fail."""
    with held_lake({"core_payments": [*RECENT, *OLDER[:1]]}) as con:
        con.execute(f"copy core_payments to '{tmp_path}/taken' (format parquet, partition_by (taken_on))")
    for path in (tmp_path / "taken" / f"taken_on={EDGE - timedelta(days=1)}").glob("*.parquet"):
        path.write_bytes(b"cut")
    # The first file named is opened to learn the columns, so it is one that is whole.
    files = sorted(map(str, (tmp_path / "taken").rglob("*.parquet")), reverse=True)
    stored = (
        "select * replace ((taken_on || '')::date as taken_on) from "
        f"read_parquet({files}, hive_partitioning = true, hive_types = {{taken_on: VARCHAR}})"
    )

    def found(*more: dict[str, Any]) -> int:
        with held_lake({}) as con:
            con.register("more", arrow_rows(table("core_payments"), more))
            con.execute(f"create view core_payments as {stored} union all by name from more")
            return len(con.sql(matched_refunds(con, DAY, FIRST, waiting=False)).fetchall())

    assert found() == 4
    with pytest.raises(duckdb.Error, match=r"Parquet|footer|too small"):
        found(_row("refunded", "old", DAY))
