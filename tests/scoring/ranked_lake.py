"""A published lake of drawn merchants that grow and shrink, made without a JVM; and their growth told row by row."""

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from ccare.runtime.rowstore import write_rows
from ccare.runtime.settings import Settings, default_conf
from ccare.scoring.remeasure import CORES, metrics_of_all, take_rows
from ccare.tables import table
from tests.held_lake import held_lake
from tests.published import publish
from tests.scoring.metric_rows import metric_row
from tests.scoring.scored import frozen, scored

DAY = date(2026, 3, 31)
"""First day closed, and published; the lake ends 28 days later."""
BEFORE, LAST = DAY - timedelta(days=28), DAY + timedelta(days=28)
START = BEFORE - timedelta(days=60)
MERCHANTS = 40
POSTED = datetime(2026, 4, 30, tzinfo=UTC)
Row = dict[str, Any]
Rows = dict[str, list[Row]]


def drawn_rows() -> Rows:
    """Core rows: visits, views, payments of known and of new users, some paid back later."""
    rows: Rows = defaultdict(list)
    registered = {"name": "A merchant", "own_brand": False, "joined_on": START, "valid_from": START}
    for i in range(MERCHANTS):
        draw = random.Random(i)
        rate, drift = draw.uniform(0.3, 3), draw.uniform(-0.012, 0.012)
        rows["core_merchants"].append(_row(START, f"m{i:02}", industry=("cafe", "bar")[i % 2], **registered))
        for n in range((LAST - START).days + 1):
            for _ in range(int(rate * (1 + drift) ** n + draw.random())):
                _visit(rows, draw, f"m{i:02}", START + timedelta(days=n), n)
    return rows


def _visit(rows: Rows, draw: random.Random, merchant: str, day: date, n: int) -> None:
    user, number = f"u{draw.randrange(6 + n // 4)}", len(rows["core_payments"])
    origin = "simulated" if number % 5 == 0 else "real"
    seen = {"user_key": user, "origin": origin}
    rows["core_life_account_events"].append(
        _row(day, merchant, event_id=f"v{number}", event_type="view", **seen)
    )
    paid = {
        "event_id": f"p{number}",
        "event_type": "paid",
        "trade_no": f"t{number}",
        "slot": "unknown",
        **seen,
    }
    amount = draw.randrange(100, 9_000)
    rows["core_payments"].append(
        _row(day, merchant, amount_fen=amount, merchant_discount_fen=number % 7, **paid)
    )
    back = day + timedelta(days=draw.randrange(20))
    if draw.random() < 0.15 and back <= LAST:
        refund = paid | {"event_id": f"r{number}", "event_type": "refunded", "refund_no": f"r{number}"}
        rows["core_payments"].append(_row(back, merchant, amount_fen=amount, **refund))


def _row(day: date, merchant: str, **own: Any) -> Row:
    return {
        "merchant_id": merchant,
        "business_date": day,
        "occurred_at": datetime(day.year, day.month, day.day, 12, tzinfo=UTC),
        "delivery_date": day + timedelta(days=1),
        "taken_on": max(day, DAY),
        "origin": "real",
        "content_hash": "0" * 64,
        "file_sha256": "0" * 64,
    } | own


def write_lake(root: Path, rows: Rows) -> Settings:
    """The rows as a lake with two closes; scores of DAY as the score jobs make them."""
    settings = Settings(lake=root / "lake", landing=root, exports=root, conf=default_conf())
    settings.lake.mkdir()
    metrics = metrics_at(rows, DAY)
    benchmarks = frozen(metrics, DAY)
    drivers, merchants = scored(metrics, benchmarks, DAY, benchmarks_of=f"{DAY:%Y-%m}")
    made = {
        "metric_merchants": metrics,
        "score_benchmarks": benchmarks,
        "score_drivers": drivers,
        "score_merchants": merchants,
    }
    versions = {
        name: write_rows(settings.lake, table(name), content, "test")
        for name, content in {**rows, **made}.items()
    }
    for day, run_id in ((DAY, "run"), (LAST, "last")):
        publish(settings.lake, day, versions, run_id=run_id, published_at=POSTED)
    return settings


def metrics_at(rows: Rows, day: date) -> list[Row]:
    """Rows of metric_merchants, every merchant's, counted from its core rows alone."""
    with held_lake({name: rows.get(name, ()) for name in CORES}) as con:
        made = []
        for i in range(MERCHANTS):
            take_rows(con, default_conf(), f"m{i:02}", day, DAY)
            names, columns = metrics_of_all(con, day, DAY)
            own = {name: int(of[0]) for name, of in columns.items()}
            made.append(metric_row(names[0], day, industry=("cafe", "bar")[i % 2], **own))
    return made


def net_fen(rows: Rows, merchant: str, first: date, last: date) -> int:
    """The oracle: paid less refunded by the day of each row."""
    return sum(
        row["amount_fen"] * (1 if row["event_type"] == "paid" else -1)
        for row in rows["core_payments"]
        if row["merchant_id"] == merchant and first <= row["business_date"] <= last
    )
