"""Ingest killed or broken off at each of its steps and run again: the lake is the one that nothing cut."""

import json
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ccare.runtime import deltalog, failpoint, ingest
from ccare.runtime.lease import read_record
from ccare.runtime.settings import Settings
from tests.forks import Forks
from tests.runtime.test_bill_payments import conf_of_bill_payments
from tests.runtime.test_closing import DAYS, environment, settings_in
from tests.runtime.test_deliveries import ingested
from tests.small_landing import write_day
from tests.sources import bill_writer as w

pytestmark = [pytest.mark.spark, pytest.mark.slow]

TABLES = (
    *("core_merchants", "core_payments", "core_mini_program_events", "core_life_account_events"),
    *("core_voucher_events", "core_bill_lines", "core_rejected_events", "raw_files"),
)
OF_THE_RUN = {"run_id", "received_at", "modified_at"}
KILLS = (
    *("core_payments.staged", "core_payments.adopting"),
    *("bills.staged", "core_bill_lines.committed", "core_bill_lines.recorded"),
    *("core_rejected_events.committed", "raw_files.committed", "ingest.done"),
)
"""A large day's: between what it stages, moves, commits and notes."""
BREAKS = (
    *("landing.surveyed", "core_merchants.committed", "core_voucher_events.recorded", "bills.staged"),
    *("core_bill_lines.committed", "core_rejected_events.recorded", "raw_files.recorded", "ingest.done"),
)
"""Of a small day, where the same process goes on after an exception."""


def rows(settings: Settings) -> dict[str, list[str]]:
    """Every row of what ingest writes, but for what names the run, as text in order."""
    result = {}
    for name in TABLES:
        found = deltalog.rows(settings.lake, name, deltalog.latest_version(settings.lake, name))
        kept = [{k: str(v) for k, v in row.items() if k not in OF_THE_RUN} for row in found]
        result[name] = sorted(json.dumps(row, sort_keys=True) for row in kept)
    return result


@pytest.fixture(scope="module")
def whole(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Deliveries of every kind of fate, ingested without a cut; lines of a bill among them become payments."""
    root = tmp_path_factory.mktemp("whole")
    settings = settings_in(root).with_(conf=conf_of_bill_payments(root / "conf"))
    write_day(settings.landing, DAYS[0], history=3)
    delivered = str(DAYS[0] + timedelta(days=1))
    payments = settings.landing / "payments" / delivered
    first = json.loads((payments / "payments.jsonl").read_text().splitlines()[0])
    again = [json.dumps(row) for row in (first, {**first, "amount_fen": 5}, {**first, "event_id": "other"})]
    (payments / "again.jsonl").write_text("\n".join(['{"event_id":', *again, ""]))
    merchants = settings.landing / "merchants" / delivered / "merchants.jsonl"
    told = [json.loads(line) for line in merchants.read_text().splitlines()]
    told[0]["wechat_mch_id"] = w.MCH_ID
    merchants.write_text("".join(json.dumps(row) + "\n" for row in told))
    lines = [w.wechat_row(trade_no=f"t{n}", amount=n, at=f"{DAYS[0]} 10:00:00") for n in (1, 2)]
    bill = settings.landing / "wechat_bill" / delivered / "bill.csv"
    bill.parent.mkdir(parents=True)
    bill.write_text(w.wechat_text([*lines, w.wechat_row(trade_no="4.2E+27", amount=3)]))
    ingested(settings)
    found = rows(settings)
    assert all(found.values()), "every table has rows to lose"
    assert sum('"bill:wechat:' in row for row in found["core_payments"]) == 2
    return settings


def test_killed_at_each_step_of_a_large_ingest_it_takes_the_same(
    whole: Settings, forks: Forks, tmp_path: Path
) -> None:
    settings = settings_in(tmp_path).with_(conf=whole.conf)
    settings.landing.symlink_to(whole.landing)
    words, large = ["ingest", "--day", str(DAYS[0])], {"ccare.runtime.ingest:SMALL_LINES": 0}
    for place in KILLS:
        done = forks.run(words, environment(settings, place), patched=large)
        assert done.returncode == -signal.SIGKILL, (place, done.stderr[-2000:])
        assert read_record(settings.lake) is not None, f"{place}: the run is open"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ingest, "SMALL_LINES", 0)
        ingested(settings)
    assert rows(settings) == rows(whole)
    left = (settings.lake / "_staging").glob("*/*")
    assert not [path for path in left if path.name.startswith(("parsed_", "bills"))], "nothing staged is left"


def test_broken_off_at_each_step_of_a_small_ingest_it_takes_the_same(
    whole: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path).with_(conf=whole.conf)
    settings.landing.symlink_to(whole.landing)

    def broken(*_: int) -> None:
        raise KeyboardInterrupt

    for place in BREAKS:
        with monkeypatch.context() as patched:
            patched.setenv("CCARE_FAILPOINT", place)
            patched.setattr(failpoint.os, "kill", broken)
            with pytest.raises(KeyboardInterrupt):
                ingested(settings)
    assert os.environ.get("CCARE_FAILPOINT") is None
    ingested(settings)
    assert rows(settings) == rows(whole)
