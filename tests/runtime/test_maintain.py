"""ccare maintain on lakes made by hand: what is put together, what goes, and what never does. No Spark but for one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from ccare.cli import app
from ccare.errors import InputMissing, UsageError
from ccare.growth.catalogue import write_catalogue
from ccare.growth.snapshot import connect
from ccare.runtime import deltalog, manifest, storage
from ccare.runtime.compaction import compact
from ccare.runtime.controls import control_totals
from ccare.runtime.day import LakeState, drop_leftovers
from ccare.runtime.digest import lake_digest
from ccare.runtime.expiry import KEPT_RUNS, kept_runs, kept_versions
from ccare.runtime.lease import RunRecord, record_file, save_record
from ccare.runtime.maintain import KEEP_DAYS, Maintained, maintain
from ccare.runtime.manifest import Published
from ccare.runtime.rowstore import arrow_schema, write_arrow, write_rows
from ccare.runtime.settings import Settings
from ccare.runtime.trail import appended_only, only_rearranged
from ccare.runtime.verify import verify_lake
from ccare.tables import table

ROOT = Path(__file__).resolve().parents[2]
DAY = date(2026, 3, 1)
NOW = datetime(2026, 9, 1, tzinfo=UTC)
CROWDED = 9


def settings_in(root: Path) -> Settings:
    return Settings(root / "lake", root / "landing", root / "exports", timezone="UTC")


def released(n: int) -> dict[str, Any]:
    told = {"business_date": DAY, "revision": n, "table_name": "core_payments", "rule": "fresh"}
    return told | {"released_by": "Li", "reason": "agreed", "released_at": NOW, "run_id": "r"}


def users(n: int) -> pa.Table:
    """A whole state of one user; every close writes such a table anew."""
    row = dict.fromkeys(table("state_users").column_names) | {"merchant_id": f"m{n}", "user_key": "k1_user"}
    rows = [row | {c.name: 0 for c in table("state_users").columns if not c.nullable and c.type == "bigint"}]
    return pa.Table.from_pylist(rows, schema=arrow_schema(replace(table("state_users"), columns=_loose())))


def _loose() -> tuple[Any, ...]:
    return tuple(replace(c, nullable=True) for c in table("state_users").columns)


def publish(settings: Settings, versions: dict[str, int], **told: Any) -> Published:
    last = manifest.latest(settings.lake)
    day = DAY + timedelta(days=last.seq if last else 0)
    return manifest.append(
        settings.lake,
        last,
        run_id=f"{day}-0-x",
        business_date=day,
        revision=0,
        kind=told.get("kind", "close"),
        table_versions={**(last.table_versions if last else {}), **versions},
        control_totals=control_totals(settings.lake, versions),
        inputs_digest="",
        code_version="1",
        policy_version="1",
        published_at=datetime.now(UTC),
    )


@pytest.fixture
def crowded(tmp_path: Path) -> Settings:
    """One published run over nine commits of one row."""
    settings = settings_in(tmp_path)
    for n in range(CROWDED):
        version = write_rows(settings.lake, table("run_releases"), [released(n)], "r")
    publish(settings, {"run_releases": version})
    return settings


def keep(settings: Settings, **options: Any) -> Maintained:
    return maintain(settings, lambda line: None, **options)


def holds(settings: Settings) -> bool:
    verified = verify_lake(settings, print)
    # A hand-made lake has one table: nothing else is there to break.
    return verified.ok


def files(settings: Settings, name: str) -> list[str]:
    last = manifest.latest(settings.lake)
    assert last is not None
    return deltalog.data_files(settings.lake, name, last.table_versions[name])


def test_small_files_are_put_together_and_that_is_published(crowded: Settings) -> None:
    write_catalogue(crowded, manifest.published(crowded.lake)[-1])
    before = lake_digest(crowded)["tables"]["run_releases"]
    assert len(files(crowded, "run_releases")) == CROWDED
    told = keep(crowded, dry_run=True)
    assert told.compacted == {"run_releases": CROWDED} and told.seq is None
    assert "would be put together" in told.lines()[0] and len(files(crowded, "run_releases")) == CROWDED

    done = keep(crowded)
    row = manifest.published(crowded.lake)[-1]
    assert (row.kind, row.seq, row.business_date) == ("maintain", 2, DAY) and done.seq == 2
    assert len(files(crowded, "run_releases")) == 1
    assert lake_digest(crowded)["tables"]["run_releases"] == before
    assert holds(crowded) and not record_file(crowded.lake).exists()
    assert keep(crowded).lines() == ["nothing to do: no crowded partition, and nothing is past its retention"]
    assert len(manifest.published(crowded.lake)) == 2
    with connect(crowded.lake, row) as con:
        assert con.execute("select count(*) from run_releases").fetchone() == (CROWDED,)


def test_the_manifest_is_put_together_and_its_head_follows(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    version = write_rows(settings.lake, table("run_releases"), [released(0)], "r")
    for _ in range(CROWDED):
        publish(settings, {"run_releases": version})
    rows = manifest.published(settings.lake)
    assert keep(settings).compacted == {"run_manifest": CROWDED}
    assert manifest.published(settings.lake) == rows
    assert len(deltalog.data_files(settings.lake, "run_manifest", CROWDED + 1)) == 1
    head = manifest.read_head(settings.lake)
    assert (head["version"], head["seq"]) == (CROWDED + 1, CROWDED)
    assert holds(settings), "an append-only table may be put together, and its trail says so"


def test_killed_between_the_files_and_their_publication(crowded: Settings) -> None:
    """Readers see the run before; nothing is broken; the next upkeep ends it."""
    places = {f"CCARE_{n.upper()}": str(getattr(crowded, n)) for n in ("lake", "landing", "exports")}
    environment = {**os.environ, **places, "CCARE_FAILPOINT": "run_releases.compacted"}
    command = [sys.executable, "-m", "ccare.cli", "maintain"]
    killed = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert len(manifest.published(crowded.lake)) == 1 and record_file(crowded.lake).exists()
    assert holds(crowded)
    assert keep(crowded).seq == 2 and holds(crowded)


@pytest.fixture
def superseded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A whole state written by three closes; only the newest run's files are kept beyond their time."""
    settings = settings_in(tmp_path)
    for n in range(3):
        version = write_arrow(settings.lake, _users_table(), users(n), "r", "overwrite")
        publish(settings, {"state_users": version})
    monkeypatch.setattr("ccare.runtime.expiry.KEPT_RUNS", 1)
    return settings


def _users_table() -> Any:
    return replace(table("state_users"), columns=_loose())


def parquet(settings: Settings) -> set[str]:
    return {path.name for path in (settings.lake / "state_users").glob("*.parquet")}


def test_superseded_files_stay_for_their_retention(superseded: Settings) -> None:
    assert keep(superseded).files == {} and len(parquet(superseded)) == 3


def test_superseded_files_go_after_it(superseded: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccare.runtime.maintain.KEEP_DAYS", 0)
    would = keep(superseded, keep_days=0, dry_run=True)
    assert would.files["state_users"].files == 2 and len(parquet(superseded)) == 3
    done = keep(superseded, keep_days=0)
    assert done.files == would.files and done.seq is None
    assert parquet(superseded) == {Path(path).name for path in files(superseded, "state_users")}
    with pytest.raises(InputMissing, match="files of state_users at version 1 were purged"):
        deltalog.require_files(superseded.lake, {"state_users": 1}, "It cannot be told")


def test_the_catalogue_keeps_the_files_of_its_run(
    superseded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccare.runtime.maintain.KEEP_DAYS", 0)
    first = manifest.published(superseded.lake)[0]
    write_catalogue(superseded, first)
    assert keep(superseded, keep_days=0).files["state_users"].files == 1
    pinned = deltalog.data_files(superseded.lake, "state_users", first.table_versions["state_users"])
    assert Path(pinned[0]).name in parquet(superseded)


def test_a_file_that_no_version_ever_showed_goes_by_its_age(superseded: Settings) -> None:
    stray = superseded.lake / "state_users" / "part-0-of-a-killed-run.parquet"
    stray.write_bytes(b"half")
    assert keep(superseded).files == {} and stray.exists()
    old = (datetime.now(UTC) - timedelta(days=KEEP_DAYS + 1)).timestamp()
    os.utime(stray, (old, old))
    assert keep(superseded).files["state_users"].files == 1 and not stray.exists()


def test_the_newest_runs_are_kept_but_not_from_before_a_forget(superseded: Settings) -> None:
    rows = manifest.published(superseded.lake)
    many = [replace(rows[0], seq=n, kind="close") for n in range(1, 2 * KEPT_RUNS + 1)]
    many[-3] = replace(many[-3], kind="forget")
    kept = kept_runs(many, 3)
    assert [row.seq for row in kept][:2] == [3, 2 * KEPT_RUNS]  # KEPT_RUNS is 1 here
    told = [replace(row, table_versions={"state_users": row.seq, "raw_files": row.seq}) for row in many]
    assert kept_versions(table("raw_files"), told, told) == list(range(1, 2 * KEPT_RUNS + 1))
    assert kept_versions(table("state_users"), told, told) == [2 * KEPT_RUNS - n for n in (2, 1, 0)]


def test_old_commits_go_where_a_checkpoint_holds_them(superseded: Settings) -> None:
    lake, name = superseded.lake, "state_users"
    deltalog.open_table(lake, name).create_checkpoint()
    log = deltalog.log_dir(lake, name)
    old = (datetime.now(UTC) - timedelta(days=401)).timestamp()
    for path in (*log.glob("*.json"), *deltalog.log_dir(lake, "run_manifest").glob("*.json")):
        os.utime(path, (old, old))
    newest = deltalog.latest_version(lake, name)
    assert newest == 3
    assert keep(superseded).commits[name].files == 3
    assert [path.name for path in log.glob("*.json")] == [f"{newest:020d}.json"]
    assert len(list(deltalog.log_dir(lake, "run_manifest").glob("*.json"))) == 4, (
        "an append-only log is a trail"
    )
    assert files(superseded, name)
    with pytest.raises(InputMissing, match="version 1 were purged"):
        deltalog.require_files(lake, {name: 1}, "It cannot be told")


def landed(settings: Settings, stream: str, delivered: date, name: str, noted: list[dict[str, Any]]) -> Path:
    path = settings.landing / stream / str(delivered) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}\n")
    row = {"stream": stream, "path": str(path.relative_to(settings.landing)), "bytes": 3}
    told = {"file_sha256": name, "delivery_date": delivered, "taken_on": delivered, "file_status": "taken"}
    noted.append(
        row
        | told
        | {"run_id": "r", "rows_read": 0, "rows_accepted": 0, "rows_duplicate": 0, "rows_rejected": 0}
    )
    return path


def test_raw_deliveries_go_when_their_time_is_over(tmp_path: Path) -> None:
    settings = settings_in(tmp_path).with_(landing_days=90)
    noted: list[dict[str, Any]] = []
    old, young = (datetime.now(UTC).date() - timedelta(days=n) for n in (91, 90))
    gone = landed(settings, "payments", old, "a.jsonl", noted)
    bill = landed(settings, "alipay_bill", old, "b.zip", noted)
    stays = [
        landed(settings, "payments", young, "a.jsonl", noted),
        landed(settings, "merchants", old, "m.jsonl", noted),
    ]
    version = write_rows(settings.lake, table("raw_files"), noted, "r", [old, young])
    changed = landed(settings, "payments", old, "changed.jsonl", noted)
    write_rows(settings.lake, table("raw_files"), noted[-1:], "r")
    changed.write_text("{} more\n")
    unknown = landed(settings, "staff", old, "never-taken.jsonl", [])
    sidecar = gone.with_name("a.manifest.json")
    sidecar.write_text(json.dumps({"rows": 1, "sha256": "a"}))
    publish(settings, {"raw_files": version + 1})
    assert keep(settings, dry_run=True).landing.files == 3 and gone.exists()
    assert keep(settings).landing.files == 3
    assert not gone.exists() and not sidecar.exists() and not bill.parent.exists()
    assert all(path.exists() for path in (*stays, changed, unknown))
    kept = deltalog.rows(settings.lake, "raw_files", version + 1, ("file_sha256",))
    assert {row["file_sha256"] for row in kept} >= {"a.jsonl", "b.zip"}, "what came is known all the same"


def test_what_is_refused(crowded: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="35 days at least"):
        keep(crowded, keep_days=34)
    with pytest.raises(InputMissing, match="Nothing is published"):
        keep(settings_in(tmp_path / "empty"))
    day = DAY + timedelta(days=1)
    save_record(crowded.lake, RunRecord("open", day, 0, "close", DAY, 2, NOW, steps_done=["ingest"]))
    with pytest.raises(UsageError, match=f"The run for {day} is not finished"):
        keep(crowded)
    assert len(files(crowded, "run_releases")) == CROWDED
    for name in ("lake", "landing", "exports"):
        monkeypatch.setenv(f"CCARE_{name.upper()}", str(getattr(crowded, name)))
    assert CliRunner().invoke(app, ["maintain", "--keep-days", "x"]).exit_code == 2


@pytest.fixture
def transfers(spark: Any, tmp_path: Path) -> Iterator[tuple[Settings, Published]]:
    """The ledger's own table, made by Spark with its checks and append-only guard: two commits into one day."""
    settings, declared = settings_in(tmp_path), table("ledger_transfers")
    needed: dict[str, Any] = {
        "string": "x",
        "bigint": 1,
        "int": 1,
        "date": DAY,
        "timestamp": NOW,
        "boolean": False,
    }
    whole = {c.name: needed[c.type] for c in declared.columns if c.type in needed}
    for n in range(2):
        row = whole | {"transfer_id": f"{n:064x}", "credit_account": "y", "asset": "POINT", "code": "earn"}
        arrow = pa.Table.from_pylist([row], schema=arrow_schema(declared))
        storage.write(spark, settings.lake, declared, spark.createDataFrame(arrow), "r")
    version = deltalog.latest_version(settings.lake, declared.name)
    assert version is not None
    yield settings, publish(settings, {declared.name: version})


@pytest.mark.spark
def test_the_ledger_may_be_put_together_and_upkeep_cut_off_is_adopted(
    transfers: tuple[Settings, Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, last = transfers
    lake, name = settings.lake, "ledger_transfers"
    monkeypatch.setattr("ccare.runtime.compaction.PAYS_FROM", 2)
    rows = sorted(row["transfer_id"] for row in deltalog.rows(lake, name))
    version = compact(lake, name, "r")
    assert version == last.table_versions[name] + 1 and len(deltalog.data_files(lake, name, version)) == 1
    assert sorted(row["transfer_id"] for row in deltalog.rows(lake, name)) == rows
    assert appended_only(lake, table(name)) == ""
    assert only_rearranged(lake, name, version - 1, version) and not only_rearranged(lake, name, 0, version)
    record = RunRecord("next", DAY + timedelta(days=1), 0, "close", DAY, 2, NOW)
    drop_leftovers(settings, LakeState(manifest.published(lake)), record)
    assert record.versions == {name: version}
