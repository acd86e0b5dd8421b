"""The metrics' oracle: DuckDB over core tables, from scratch for each day; one SQL file for each table."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

HERE = Path(__file__).parent
SUPPORTS = (
    "e_refund_rate_orders",
    "events_56d",
    "public_kiloimpressions_28d",
    "simulated_events_56d",
    "r_realised_ratio_users",
)
"""Columns of metric_merchants beside the metrics: counts that scores and readers lean on."""
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
        self.otherwise: tuple[str, str, str] | None = None
        self.con.execute("set TimeZone = 'UTC'")
        for name, rows in cores.items():
            self.con.register(f"_{name}", rows)
            self.con.execute(f"create table {name} as from _{name}")
        self.con.execute("create table public_slots as select unnest($1) as slot", [PUBLIC])
        self.con.execute("create table known_slots as select unnest($1) as slot", [SLOTS])

    def stand_at(self, day: date, otherwise: tuple[str, str, str] | None = None) -> None:
        """From here on the day is ``day``; ``otherwise``: a file, a part of its text and what stands there instead."""
        self.otherwise = otherwise
        self.con.execute(
            "create or replace table as_of as select $1::date as d, $2::date as first_day",
            [day, self.first_day],
        )
        self.con.execute(self._text("rows"))

    def merchants(self) -> dict[str, str | None]:
        """merchant_id -> industry of every merchant that has a row."""
        return dict(self._rows("present"))

    def metrics(self) -> dict[tuple[str, str], tuple[int, int | None]]:
        """(merchant_id, metric id or support) -> (count or numerator, denominator); what is not told is 0.

        r_realised_ratio is null where it is not told.
        """
        told = {
            (merchant, metric): (num, den) for merchant, metric, num, den in self._rows("metric_merchants")
        }
        for merchant, num, den, users in self._rows("realised"):
            told[merchant, "r_realised_ratio"] = (num, den)
            told[merchant, "r_realised_ratio_users"] = (users, None)
        return told

    def people(self) -> dict[str, int]:
        """merchant_id -> users known of, who are no staff."""
        return dict(self.con.execute("select merchant_id, count(*) from people group by all").fetchall())

    def lift_days(self) -> dict[str, list[tuple[int, ...]]]:
        """merchant_id -> each day's impressions of treated and withheld hours, and trades in them."""
        found: dict[str, list[tuple[int, ...]]] = {}
        for merchant, _, *sums in self._rows("points_lift"):
            found.setdefault(merchant, []).append(tuple(map(int, sums)))
        return found

    def lifts(self) -> dict[str, tuple[int, ...]]:
        """merchant_id -> the same over all days."""
        return {m: tuple(map(sum, zip(*days, strict=True))) for m, days in self.lift_days().items()}

    def side(self, name: str) -> Cells:
        """A side table by its key within the day."""
        key = SIDE_TABLES[name]
        rows = self.con.execute(self._text(name))
        names = [column[0] for column in rows.description]
        told = [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
        return {tuple(row[k] for k in key): {k: v for k, v in row.items() if k not in key} for row in told}

    def _rows(self, name: str) -> list[tuple[Any, ...]]:
        return self.con.execute(self._text(name)).fetchall()

    def _text(self, name: str) -> str:
        text = (HERE / f"{name}.sql").read_text(encoding="utf-8")
        if self.otherwise is None or self.otherwise[0] != name:
            return text
        _, part, instead = self.otherwise
        assert part in text, f"{name}.sql has no {part!r}"
        return text.replace(part, instead)
