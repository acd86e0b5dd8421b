"""A lake of three merchants that a person can check by hand, written without a JVM.

As-of days 2017-12-24 and 2017-12-31 (more on request). At m1: u01..u06 active 10 November and 10 December,
u07 and u08 only 15 November, u09 on 1 September and 12 December, u10..u13 first on 20 December and u14 first
on 28 December (simulated visits), u99 is staff. At m2: u01 on 5 December, u20 on 20 November. m3 did nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from ccare.runtime.manifest import Published
from ccare.runtime.rowstore import write_rows
from ccare.runtime.settings import Settings, default_conf
from ccare.tables import Table, table
from tests import published
from tests.growth.small_base import FIRST, LAST, POSTED, RUN, Row, provenance
from tests.growth.small_events import (
    merchant_days,
    merchants,
    payments,
    raw_files,
    rejected,
    staff,
    user_days,
    visits,
    vouchers,
)
from tests.growth.small_ledger import ledger
from tests.growth.small_scores import M1_VALUES, WEIGHTS, drivers, metrics, percentile, scores

__all__ = ["FIRST", "LAST", "M1_VALUES", "WEIGHTS", "build", "percentile", "provenance", "publish"]


def build(
    root: Path,
    *,
    days: tuple[date, ...] = (FIRST, LAST),
    simulated: bool = True,
    more: Mapping[str, Sequence[Row]] | None = None,
) -> Settings:
    """Write the lake under ``root`` and publish it once; the settings of its owner. ``more``: further rows."""
    settings = Settings(
        lake=root / "lake",
        landing=root / "landing",
        exports=root / "exports",
        timezone="America/New_York",
        currency="USD",
        conf=default_conf() / "demo",
    )
    settings.lake.mkdir(parents=True)
    content: dict[str, list[Row]] = {
        "raw_files": raw_files(simulated),
        "core_rejected_events": rejected(),
        "core_merchants": merchants(),
        "core_staff": [staff()],
        "core_payments": payments(simulated),
        "core_voucher_events": vouchers(),
        "core_mini_program_events": visits() if simulated else [],
        "state_user_days": user_days(simulated),
        "state_merchant_days": merchant_days(simulated),
        "metric_merchants": metrics(days),
        "score_drivers": drivers(days),
        "score_merchants": scores(days),
        **ledger(),
    }
    for name, rows in (more or {}).items():
        content[name] = [*content.get(name, []), *rows]
    versions = {
        name: write_rows(settings.lake, _writable(name), rows, RUN) for name, rows in content.items() if rows
    }
    publish(settings, versions)
    _land(settings, content)
    return settings


def _land(settings: Settings, content: dict[str, list[Row]]) -> None:
    """The delivered payments file: accepted rows, the first once more, and the rejected ones."""
    names = ("event_id", "event_type", "merchant_id", "origin", "trade_no", "amount_fen")
    kept = [json.dumps({n: row.get(n) for n in names}) for row in content["core_payments"]]
    refused = [row["payload"] for row in content["core_rejected_events"] if row["stream"] == "payments"]
    path = settings.landing / "payments" / "2018-01-01" / "a.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join([*kept, kept[0], *refused]) + "\n")


def _writable(name: str) -> Table:
    """delta-rs makes no table with CHECK constraints; in production Spark does."""
    return replace(table(name), checks={})


def publish(settings: Settings, versions: dict[str, int]) -> Published:
    """One more manifest row over ``versions``."""
    policy = f"scoring-1/{_ledger_version()}"
    return published.publish(
        settings.lake, LAST, versions, run_id=RUN, policy_version=policy, published_at=POSTED
    )


def _ledger_version() -> str:
    from ccare.ledger.policy import load_ledger

    return load_ledger(default_conf() / "demo").version
