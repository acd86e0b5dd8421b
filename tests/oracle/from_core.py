"""The metrics' oracle: DuckDB over core tables, from scratch for each day; one SQL file for each table."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

HERE = Path(__file__).parent
PUBLIC = [
    "search_box",
    "app_centre",
    "message_reminder",
    "recommendation_card",
    "payment_success",
    "life_channel",
    "coupon_channel",
    "membership_channel",
]
SLOTS = [*PUBLIC, "paid_ad", "offline_scan", "private", "unknown"]
SIDE_TABLES = {
    "metric_activity_days": ("merchant_id", "active_days"),
    "metric_stages": ("merchant_id", "stage"),
    "metric_retention": ("merchant_id", "cohort_week", "age"),
    "metric_funnels": ("merchant_id", "slot", "step"),
}
"""Table -> its key within one as-of day."""

Cells = dict[tuple[Any, ...], dict[str, Any]]


class Oracle:
    """Every metric table as of a day, from core tables."""

    def __init__(self, cores: Mapping[str, pa.Table], first_day: date) -> None:
        self.con, self.first_day = duckdb.connect(), first_day
        self.con.execute("set TimeZone = 'UTC'")
        for name, rows in cores.items():
            self.con.register(f"_{name}", rows)
            self.con.execute(f"create table {name} as from _{name}")
        self.con.execute("create table public_slots as select unnest($1) as slot", [PUBLIC])
        self.con.execute("create table known_slots as select unnest($1) as slot", [SLOTS])

    def stand_at(self, day: date) -> None:
        """From here on the day is ``day``."""
        self.con.execute(
            "create or replace table as_of as select $1::date as d, $2::date as first_day",
            [day, self.first_day],
        )
        self.con.execute((HERE / "rows.sql").read_text(encoding="utf-8"))

    def merchants(self) -> dict[str, str | None]:
        """merchant_id -> industry of every merchant that has a row."""
        return dict(self._rows("present"))

    def metrics(self) -> dict[tuple[str, str], tuple[int, int | None]]:
        """(merchant_id, metric id) -> (count or numerator, denominator); what is not told is 0."""
        return {
            (merchant, metric): (num, den) for merchant, metric, num, den in self._rows("metric_merchants")
        }

    def lifts(self) -> dict[str, tuple[int, int, int, int]]:
        """merchant_id -> impressions of treated and withheld hours, trades in them."""
        return {merchant: tuple(map(int, sums)) for merchant, *sums in self._rows("points_lift")}

    def side(self, name: str) -> Cells:
        """A side table by its key within the day."""
        key = SIDE_TABLES[name]
        rows = self.con.execute((HERE / f"{name}.sql").read_text(encoding="utf-8"))
        names = [column[0] for column in rows.description]
        told = [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
        return {tuple(row[k] for k in key): {k: v for k, v in row.items() if k not in key} for row in told}

    def _rows(self, name: str) -> list[tuple[Any, ...]]:
        return self.con.execute((HERE / f"{name}.sql").read_text(encoding="utf-8")).fetchall()
