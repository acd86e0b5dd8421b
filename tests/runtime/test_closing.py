"""A real lake on disk, closed day by day: what is published, what is refused, what a cut leaves behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from ccare.errors import InputMissing, IntegrityBroken, LeaseHeld, UsageError
from ccare.runtime import deltalog, manifest
from ccare.runtime.close_days import close_days, told_of
from ccare.runtime.digest import lake_digest
from ccare.runtime.lease import lease, record_file
from ccare.runtime.settings import Settings
from ccare.runtime.verify import verify_lake
from tests.forks import Forks
from tests.small_landing import FIRST, write_day

pytestmark = [pytest.mark.spark, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
DAYS = [FIRST + timedelta(days=n) for n in range(3)]
KEY = "a fixed key of more than thirty-two bytes"


def settings_in(root: Path) -> Settings:
    return Settings(
        lake=root / "lake",
        landing=root / "landing",
        exports=root / "exports",
        timezone="UTC",
        pseudonym_key=KEY.encode(),
        conf=ROOT / "conf" / "demo",
        spark_master="local[2]",
    )


def close(settings: Settings, first: Any, last: Any | None = None, **options: Any) -> list[str]:
    said: list[str] = []
    close_days(settings, first, last or first, said=said.append, to_step="publish", **options)
    return said


@pytest.fixture
def closed(three_days: Settings) -> Settings:
    """A lake with three days closed one by one; tests copy it before they break it."""
    return three_days


@pytest.fixture
def copy(closed: Settings, tmp_path: Path) -> Settings:
    """A lake of the test's own, as closed."""
    for name in ("lake", "landing"):
        shutil.copytree(getattr(closed, name), tmp_path / name)
    return settings_in(tmp_path)


def test_the_lake_verifies_and_the_days_follow_each_other(closed: Settings) -> None:
    verified = verify_lake(closed, lambda line: None)
    assert verified.ok, [check for check in verified.checks if not check.ok]
    rows = manifest.published(closed.lake)
    assert [(row.business_date, row.kind, row.revision) for row in rows] == [(d, "close", 0) for d in DAYS]
    totals = rows[-1].control_totals
    taken = [totals[f"raw_files.rows_{fate}"] for fate in ("accepted", "duplicate", "rejected")]
    assert sum(taken) == totals["raw_files.rows_read"] > 0
    assert totals["ledger_transfers.amount"] > 0, "points were booked"
    assert totals["ledger_balances.balance"] == 0


def test_a_closed_day_posts_nothing_and_the_manifest_says_so(copy: Settings) -> None:
    before = manifest.published(copy.lake)[-1]
    said = close(copy, DAYS[1])
    row = manifest.published(copy.lake)[-1]
    assert (row.seq, row.kind, row.business_date, row.revision) == (before.seq + 1, "republish", DAYS[1], 1)
    assert row.table_versions["ledger_transfers"] == before.table_versions["ledger_transfers"]
    assert row.rows["score_merchants"] == before.rows["score_merchants"]
    assert "0 transfers posted" in said[-1]
    assert verify_lake(copy, lambda line: None).ok


def test_what_is_used_again_after_the_late_window_is_found_by_verify(copy: Settings) -> None:
    settings, day = copy, DAYS[-1] + timedelta(days=1)
    assert verify_lake(settings, lambda line: None).ok
    write_day(settings.landing, day)
    old = f"{DAYS[0] - timedelta(days=40)}-0"
    event = {"event_type": "paid", "occurred_at": f"{day}T10:00:00Z", "user_id": "u", "amount_fen": 7}
    first = (settings.landing / "payments" / str(DAYS[1]) / "payments.jsonl").read_text().splitlines()
    merchant = next(json.loads(line)["merchant_id"] for line in first if f'"t{old}"' in line)
    again = [
        {**event, "event_id": f"p{old}", "trade_no": "new", "merchant_id": merchant},
        {**event, "event_id": "new", "trade_no": f"t{old}", "merchant_id": merchant},
    ]
    for number, row in enumerate(again):
        path = settings.landing / "payments" / str(day + timedelta(days=1)) / f"again{number}.jsonl"
        path.write_text(json.dumps(row) + "\n")
    close(settings, day)
    broken = {
        check.name: check.detail for check in verify_lake(settings, lambda line: None).checks if not check.ok
    }
    assert broken.keys() == {"core_payments", "trades paid once"}
    assert "1 keys stand more than once" in broken["core_payments"]
    assert broken["trades paid once"] == "1 trades of core_payments are paid more than once"


def test_scores_told_again_are_the_same(closed: Settings, copy: Settings) -> None:
    close(copy, DAYS[2])
    for name in ("metric_merchants", "score_drivers", "score_merchants"):
        assert lake_digest(copy)["tables"][name] == lake_digest(closed)["tables"][name], name


def test_steps_one_by_one_equal_whole_days(closed: Settings, tmp_path: Path) -> None:
    settings = as_after(closed, DAYS[1], tmp_path)
    with pytest.raises(UsageError, match="needs ingest"):
        close_days(settings, DAYS[2], DAYS[2], said=print, from_step="state", to_step="state")
    for step in ("ingest", "state", "metrics", "score", "post", "publish"):
        close_days(settings, DAYS[2], DAYS[2], said=lambda line: None, from_step=step, to_step=step)
    assert lake_digest(settings)["digest"] == lake_digest(closed)["digest"]


@pytest.mark.parametrize(
    "table",
    ["core_payments", "raw_files", "state_users", "score_merchants", "ledger_transfers", "run_manifest"],
)
def test_a_log_cut_to_nothing_is_found_and_named(copy: Settings, table: str) -> None:
    newest = deltalog.latest_version(copy.lake, table)
    assert newest is not None
    deltalog.commit_file(copy.lake, table, newest).write_bytes(b"")
    verified = verify_lake(copy, lambda line: None)
    assert table in {check.name for check in verified.checks if not check.ok}
    with pytest.raises(IntegrityBroken, match=table):
        close(copy, DAYS[-1] + timedelta(days=1))


@pytest.mark.parametrize("back", [0, 1], ids=["last", "one before"])
def test_a_lost_commit_is_found(copy: Settings, back: int) -> None:
    newest = deltalog.latest_version(copy.lake, "state_users")
    assert newest is not None and newest > back
    deltalog.commit_file(copy.lake, "state_users", newest - back).unlink()
    rows, day = manifest.published(copy.lake), DAYS[-1] + timedelta(days=1)
    with pytest.raises(IntegrityBroken, match="Table state_users") as refused:
        close(copy, day)
    assert refused.value.exit_code == 30
    assert manifest.published(copy.lake) == rows and not record_file(copy.lake).exists()


def test_a_gap_in_the_days_is_closed_in_order_or_named(copy: Settings) -> None:
    """Two days on with the day between not delivered: nothing is closed, the day that is missing is named."""
    before, between = lake_digest(copy), DAYS[-1] + timedelta(days=1)
    later = between + timedelta(days=1)
    write_day(copy.landing, later)
    with pytest.raises(UsageError, match=f"before the first day ever closed, {DAYS[0]}"):
        close(copy, DAYS[0] - timedelta(days=1))
    with pytest.raises(InputMissing, match=f"{later} cannot be closed before {between}, which is open"):
        close(copy, later)
    with pytest.raises(InputMissing, match=f"{between} is not complete"):
        close_days(copy, later, later, said=[].append)
    assert lake_digest(copy) == before


def test_a_lake_of_a_newer_format_is_refused(copy: Settings) -> None:
    head = json.loads(manifest.head_file(copy.lake).read_text())
    manifest.head_file(copy.lake).write_text(json.dumps({**head, "lake_format": 99}))
    with pytest.raises(IntegrityBroken, match="format 99"):
        close(copy, DAYS[-1] + timedelta(days=1))


def test_missing_deliveries_leave_everything_as_it_was(copy: Settings) -> None:
    before = lake_digest(copy)
    with pytest.raises(InputMissing, match="no folder dated"):
        close(copy, DAYS[-1] + timedelta(days=1))
    shutil.rmtree(copy.landing)
    with pytest.raises(InputMissing, match="does not exist"):
        close(copy, DAYS[-1] + timedelta(days=1))
    assert lake_digest(copy) == before


def test_an_empty_day_closes(copy: Settings) -> None:
    day = DAYS[-1] + timedelta(days=1)
    for stream in ("payments", "mini_program", "life_account"):
        (copy.landing / stream / (day + timedelta(days=1)).isoformat()).mkdir(parents=True)
    close(copy, day)
    assert manifest.published(copy.lake)[-1].business_date == day
    assert verify_lake(copy, lambda line: None).ok


def test_one_writer_at_a_time(copy: Settings) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(copy.lake)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert holder.stdout and holder.stdout.readline().strip() == "held"
        with pytest.raises(LeaseHeld, match=f"process {holder.pid}"):
            close(copy, DAYS[-1])
    finally:
        holder.kill()
        holder.wait()
    with lease(copy.lake):
        pass


_HOLD = """
import sys, time
from pathlib import Path
from ccare.runtime.lease import lease
with lease(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""

KILLS = [
    "core_payments.committed",
    "state_users.committed",
    "ledger_transfers.committed",
    "manifest.appended",
]


def test_killed_anywhere_and_run_again_ends_in_the_same_digest(
    closed: Settings, forks: Forks, tmp_path: Path
) -> None:
    """Each kill hits one run of the second day at another place; the process after it goes on where it stood."""
    settings = as_after(closed, DAYS[0], tmp_path)
    for number, place in enumerate(KILLS):
        killed = forks.run(_words(DAYS[1]), environment(settings, place)).returncode
        published = manifest.published(settings.lake)[-1].business_date
        if place == "manifest.appended":
            assert killed == -signal.SIGKILL and published == DAYS[1]
            wrote = told_of(settings.lake, manifest.published(settings.lake)[-1])["wrote"]
            assert {"core_payments", "state_users", "ledger_transfers", "run_manifest"} <= set(wrote)
            assert all(told["rows"] > 0 for told in wrote.values()), "of all five processes"
        else:
            assert killed == -signal.SIGKILL, f"{place} (kill {number}) was not reached"
            assert published == DAYS[0], f"{place}: readers must see the day before"
    close(settings, DAYS[2])
    assert lake_digest(settings)["digest"] == lake_digest(closed)["digest"]
    assert verify_lake(settings, lambda line: None).ok


def test_a_file_that_comes_after_the_merge_is_the_next_closes(
    closed: Settings, forks: Forks, tmp_path: Path
) -> None:
    """Killed with its postings merged and unpublished, the day goes on unchanged; what came meanwhile waits."""
    settings = as_after(closed, DAYS[0], tmp_path)
    killed = forks.run(_words(DAYS[1]), environment(settings, "ledger_lots.recorded"))
    assert killed.returncode == -signal.SIGKILL
    assert manifest.published(settings.lake)[-1].business_date == DAYS[0]
    row = {"event_id": "late", "event_type": "paid", "trade_no": "late", "amount_fen": 5_000_000}
    row |= {"merchant_id": "m1", "user_id": "u", "occurred_at": f"{DAYS[1]}T09:00:00Z"}
    folder = settings.landing / "payments" / str(DAYS[1] + timedelta(days=1))
    (folder / "late.jsonl").write_text(json.dumps(row) + "\n")
    close(settings, DAYS[1])
    assert lake_digest(settings)["digest"] == lake_digest(closed, DAYS[1])["digest"], "nothing of it yet"
    close(settings, DAYS[2])
    kept, new = (_of_m1(s, DAYS[1]) for s in (closed, settings))
    assert kept.items() <= new.items(), "what was booked before stands"
    differs = {key: amount for key, amount in new.items() if key not in kept}
    ((booked_date, code, revision),) = differs
    first = max((r for day, _, r in kept if day == DAYS[1]), default=0)
    assert (booked_date, code, revision) == (DAYS[2], "earn", first + 1)
    assert 2_500 <= differs[booked_date, code, revision] <= 7_501, "5,000,000 fen at 0.5 to 1.5"
    assert verify_lake(settings, lambda line: None).ok


def _of_m1(settings: Settings, effective: date) -> dict[tuple[date, str, int], int]:
    """(booked on, code, revision) -> points that m1's sales of a date earned or lost."""
    return {
        (row["booked_date"], row["code"], row["revision"]): row["amount"]
        for row in deltalog.rows(settings.lake, "ledger_transfers")
        if row["business_key"] == f"fanxing|trade_net|m1|{effective}" and row["code"] in ("earn", "fall")
    }


def test_two_processes_close_one_day_at_once(closed: Settings, tmp_path: Path) -> None:
    """Two real closes, started together: one closes the day, the other is refused and leaves nothing behind."""
    settings = as_after(closed, DAYS[1], tmp_path)
    both = [_process(settings, DAYS[2]) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, LeaseHeld.exit_code], said
    assert "Another run holds the lake" in said[codes.index(LeaseHeld.exit_code)]
    assert [row.business_date for row in manifest.published(settings.lake)] == DAYS, "it was closed once"
    assert lake_digest(settings)["digest"] == lake_digest(closed)["digest"]
    assert verify_lake(settings, lambda line: None).ok


def as_after(closed: Settings, day: date, root: Path) -> Settings:
    """A lake of the test's own as it stood after ``day``, and all that was delivered."""
    shutil.copytree(closed.lake.parent / "after" / str(day), root / "lake")
    shutil.copytree(closed.landing, root / "landing")
    return settings_in(root)


def environment(settings: Settings, failpoint: str) -> dict[str, str]:
    """What a process of its own is told to work on this lake and to die at ``failpoint``."""
    return {
        **os.environ,
        "CCARE_LAKE": str(settings.lake),
        "CCARE_LANDING": str(settings.landing),
        "CCARE_EXPORTS": str(settings.exports),
        "CCARE_CONF": str(settings.conf),
        "CCARE_BUSINESS_TIMEZONE": settings.timezone,
        "CCARE_PSEUDONYM_KEY": KEY,
        "CCARE_FAILPOINT": failpoint,
    }


def _words(day: date) -> list[str]:
    return ["run", "--day", str(day), "--to-step", "publish"]


def _process(settings: Settings, day: date) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ccare.cli", *_words(day)],
        env=environment(settings, ""),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
