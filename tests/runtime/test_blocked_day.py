"""A blocked day on a real lake: nothing is published; it goes on by a release, or by mended deliveries."""

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ccare.errors import GateRefused, UsageError
from ccare.runtime import deltalog, gate, manifest
from ccare.runtime.digest import lake_digest
from ccare.runtime.lease import read_record
from ccare.runtime.quality import kept
from ccare.runtime.releases import release
from ccare.runtime.settings import Settings
from ccare.runtime.verify import verify_lake
from tests.runtime.test_closing import close, settings_in
from tests.small_landing import FIRST, write_day

pytestmark = [pytest.mark.spark, pytest.mark.slow]

DAY = FIRST + timedelta(days=1)
REASON = "the till of m1 wrote amounts in yuan; agreed with its owner"


@pytest.fixture(scope="module")
def begun(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake with one day closed and the next one delivered; tests copy it."""
    settings = settings_in(tmp_path_factory.mktemp("begun"))
    write_day(settings.landing, FIRST, history=5)
    close(settings, FIRST)
    write_day(settings.landing, DAY)
    return settings


@pytest.fixture
def lake(begun: Settings, tmp_path: Path) -> Settings:
    """A lake of the test's own."""
    for name in ("lake", "landing"):
        shutil.copytree(getattr(begun, name), tmp_path / name)
    return settings_in(tmp_path)


def _payments(settings: Settings) -> Path:
    return settings.landing / "payments" / str(DAY + timedelta(days=1)) / "payments.jsonl"


def _spoil(settings: Settings, lines: int) -> None:
    """Add payments whose amounts cannot be read: too many for a day."""
    bad = {
        "event_type": "paid",
        "merchant_id": "m1",
        "occurred_at": f"{DAY}T10:00:00Z",
        "amount_fen": "1.50",
        "user_id": "13800138000",
    }
    with _payments(settings).open("a") as handle:
        for n in range(lines):
            handle.write(json.dumps({**bad, "event_id": f"bad{n}", "trade_no": f"bad{n}"}) + "\n")


def _rows(settings: Settings, name: str) -> list[dict[str, Any]]:
    version = manifest.published(settings.lake)[-1].table_versions[name]
    return deltalog.rows(settings.lake, name, version)


def test_a_release_lets_that_rule_of_that_day_go_and_is_published(lake: Settings, tmp_path: Path) -> None:
    _spoil(lake, 100)
    before = lake_digest(lake)
    with pytest.raises(GateRefused, match=r"core_payments\.refused_share") as refused:
        close(lake, DAY)
    assert "bad_amount_fen 100" in refused.value.message and "13800138000" not in refused.value.message
    assert lake_digest(lake) == before, "readers see the day before"
    record = read_record(lake.lake)
    assert record and record.blocked == ["core_payments.refused_share"] and record.steps_done == []
    (told,) = kept(lake.exports, DAY)
    assert not told["outcomes"]["core_payments.refused_share"]["held"]
    for day, rule in ((DAY, "fresh"), (FIRST, "refused_share"), (DAY + timedelta(days=1), "refused_share")):
        with pytest.raises(UsageError):
            release(lake, day, rule, "Li", REASON)
    with pytest.raises(UsageError, match="name and a reason"):
        release(lake, DAY, "refused_share", "Li", " ")
    release(lake, DAY, "refused_share", "Li", REASON)
    said = close(lake, DAY)
    assert any("let go by Li" in line for line in said)
    (row,) = _rows(lake, "run_releases")
    told_row = (row["business_date"], row["table_name"], row["rule"], row["released_by"], row["reason"])
    assert told_row == (DAY, "core_payments", "refused_share", "Li", REASON)
    assert verify_lake(lake, lambda line: None).ok
    with pytest.raises(UsageError, match="not blocked"):
        release(lake, DAY, "refused_share", "Li", REASON)
    _replay(lake, tmp_path)


def _replay(lake: Settings, root: Path) -> None:
    """The landing folder holds the release: a lake made anew from it goes the same way."""
    again = settings_in(root / "again")
    shutil.copytree(lake.landing, again.landing)
    close(again, FIRST, DAY)
    assert lake_digest(again)["digest"] == lake_digest(lake)["digest"]


def test_after_a_block_a_replaced_delivery_is_taken(lake: Settings) -> None:
    """The block is in ingest, other streams are stored already: what the first try took must leave no trace."""
    sound = _payments(lake).read_text()
    _spoil(lake, 100)
    extra = lake.landing / "mini_program" / str(DAY + timedelta(days=1)) / "more.jsonl"
    first = (extra.parent / "mini_program.jsonl").read_text().splitlines()[0]
    extra.write_text(json.dumps({**json.loads(first), "event_id": "taken-back"}) + "\n")
    with pytest.raises(GateRefused):
        close(lake, DAY)
    extra.unlink()
    _payments(lake).write_text(sound)
    close(lake, DAY)
    assert verify_lake(lake, lambda line: None).ok
    assert "taken-back" not in {r["event_id"] for r in _rows(lake, "core_mini_program_events")}
    assert "run_releases" not in manifest.published(lake.lake)[-1].table_versions
    taken = [r for r in _rows(lake, "raw_files") if r["taken_on"] == DAY]
    assert sum(r["rows_rejected"] for r in taken) == 0
    assert {Path(r["path"]).name for r in taken if r["stream"] == "mini_program"} == {"mini_program.jsonl"}


@pytest.fixture
def strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rules of a folder of the test's own: a merchant with more than a million yuan of sales blocks the day."""
    folder = tmp_path / "expectations"
    shutil.copytree(gate.expectations_dir(), folder)
    with (folder / "metric_merchants.toml").open("a") as handle:
        handle.write(
            '\n[[rule]]\nid = "sales_plausible"\nexpect = "between"\ncolumn = "r_gmv"\nmax = 100000000\n'
        )
        handle.write('severity = "block"\nwhy = "more would be a wrong unit"\n')
    monkeypatch.setattr(gate, "expectations_dir", lambda: folder)
    gate.rules.cache_clear()
    yield
    gate.rules.cache_clear()


def test_after_a_block_behind_ingest_a_replaced_delivery_is_taken_too(lake: Settings, strict: None) -> None:
    sound = _payments(lake).read_text()
    lines = [json.loads(line) for line in sound.splitlines()]
    lines[0]["amount_fen"] = 10**12
    _payments(lake).write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = lake_digest(lake)
    with pytest.raises(GateRefused, match=r"metric_merchants\.sales_plausible"):
        close(lake, DAY)
    record = read_record(lake.lake)
    assert record and record.steps_done == ["ingest", "state"]
    assert lake_digest(lake) == before
    with pytest.raises(GateRefused, match=r"metric_merchants\.sales_plausible"):
        close(lake, DAY)
    _payments(lake).write_text(sound)
    said = close(lake, DAY)
    assert any(line.startswith("ingest") for line in said), "the run went back to its start"
    assert max(r["amount_fen"] for r in _rows(lake, "core_payments")) < 10**12
    assert verify_lake(lake, lambda line: None).ok
