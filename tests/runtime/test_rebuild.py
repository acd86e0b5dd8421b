"""State derived again from core rows equals what the closes left, and puts right what does not; odd merchants."""

import json
import shutil
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from ccare.errors import StateOutdated, UsageError
from ccare.growth.snapshot import connect
from ccare.runtime import deltalog, manifest
from ccare.runtime.digest import lake_digest
from ccare.runtime.forget import Request, forget
from ccare.runtime.lease import RunRecord, read_record, save_record
from ccare.runtime.rebuild import DEFAULT_REASON, Rebuilt, rebuild
from ccare.runtime.repair import repair
from ccare.runtime.settings import Settings
from ccare.runtime.verify import verify_lake
from ccare.tables import stored_tables
from tests.runtime.test_closing import close, settings_in
from tests.small_landing import FIRST, _merchant, _write, write_day

pytestmark = [pytest.mark.spark, pytest.mark.slow]

DAYS = [FIRST + timedelta(days=n) for n in range(3)]
STATE = [each.name for each in stored_tables() if each.layer == "state"]
USERS = {"m100": 1, "m101": 900, "m102": 0}
"""Merchants beside the small landing's: of one user, of very many, and one whose users are all unknown."""
STAFF = {"merchant_id": "m101", "user_id": "u7"}


def event(number: str, kind: str, day: date, merchant: str, user: str | None, **more: Any) -> dict[str, Any]:
    common = {"event_id": number, "event_type": kind, "occurred_at": f"{day}T09:00:00Z"}
    return {**common, "merchant_id": merchant, "user_id": user, **more}


def paid(number: str, day: date, merchant: str, user: str | None) -> dict[str, Any]:
    return event(f"p{number}", "paid", day, merchant, user, trade_no=f"t{number}", amount_fen=1_000)


def append(settings: Settings, stream: str, day: date, rows: Iterable[dict[str, Any]]) -> None:
    """More rows in the delivery of ``day``, in a file of their own."""
    folder = settings.landing / stream / str(day + timedelta(days=1))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def deliver(settings: Settings) -> None:
    """Three days: late, repeated and refunded rows, a refund before its trade, users who turn out to be staff."""
    for n, day in enumerate(DAYS):
        write_day(settings.landing, day, history=0 if n else 6)
    append(settings, "merchants", DAYS[0], [_merchant(int(name[1:])) for name in USERS])
    rows = [paid(f"{m}-{n}", DAYS[0], m, f"u{n}") for m, users in USERS.items() for n in range(users)]
    rows += [paid(f"m102-{n}", DAYS[0], "m102", None) for n in range(5)]
    append(settings, "payments", DAYS[0], rows)
    early = event(
        "early", "refunded", DAYS[1], "m100", "u0", trade_no="tlast", refund_no="early", amount_fen=40
    )
    repeated = rows[3]
    late = [paid("late", DAYS[0] - timedelta(days=4), "m100", "u0"), repeated, early]
    append(settings, "payments", DAYS[1], late)
    _write(settings.landing, "staff", DAYS[1] + timedelta(days=1), [STAFF])
    append(
        settings, "payments", DAYS[2], [paid("last", DAYS[1], "m100", "u0"), paid("x", DAYS[2], "m102", None)]
    )


@pytest.fixture(scope="module")
def closed(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = settings_in(tmp_path_factory.mktemp("rebuild"))
    deliver(settings)
    close(settings, DAYS[0], DAYS[1])
    for user in ("user-3", "u9", "u7"):
        forget(settings, Request(user, None, "the office", "case 1"), lambda line: None)
    close(settings, DAYS[2])
    return settings


@pytest.fixture
def copy(closed: Settings, tmp_path: Path) -> Settings:
    for name in ("lake", "landing"):
        shutil.copytree(getattr(closed, name), tmp_path / name)
    return settings_in(tmp_path)


def again(settings: Settings, first: date | None = None, reason: str = DEFAULT_REASON) -> Rebuilt:
    return rebuild(settings, first, reason, lambda line: None)


def ask(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    return connect(settings.lake, manifest.latest(settings.lake)).execute(query).fetchall()


def test_one_user_very_many_and_none_that_is_known(closed: Settings) -> None:
    dau = f"select merchant_id, dau, gmv_fen from state_merchant_days where business_date = '{DAYS[0]}'"
    assert {(m, n, fen) for m, n, fen in ask(closed, dau) if m in USERS} == {
        ("m100", 1, 1_000),
        ("m101", 898, 900_000),  # one was forgotten, one turned out to be staff a day later
        ("m102", 0, 5_000),
    }
    pairs = dict(ask(closed, "select merchant_id, count(*) from state_users group by all"))
    assert (pairs["m100"], pairs["m101"], pairs.get("m102")) == (1, 899, None)
    told = f"select merchant_id, c_mau28, r_gmv from metric_merchants where as_of_date = '{DAYS[2]}'"
    metrics = {m: (users, gmv) for m, users, gmv in ask(closed, told) if m in USERS}
    assert metrics == {"m100": (1, 3_000), "m101": (898, 900_000), "m102": (0, 6_000)}
    assert verify_lake(closed, lambda line: None).ok


def test_state_equals_what_its_core_rows_give(copy: Settings) -> None:
    before = lake_digest(copy)
    for first in (None, DAYS[1]):
        found = again(copy, first)
        assert {name: each.total for name, each in found.differences.items()} == dict.fromkeys(STATE, 0)
        assert found.seq is None and "nothing to publish" in found.lines()[-1]
        assert all(each.rows for each in found.differences.values())
    assert lake_digest(copy) == before
    assert read_record(copy.lake) is None


def outdated(settings: Settings) -> None:
    """As an older ccare might have left it: state_users without a column, user days of a merchant gone."""
    last, lake = manifest.published(settings.lake)[-1], settings.lake
    users = DeltaTable(str(lake / "state_users")).to_pyarrow_table().drop_columns(["first_paid_date"])
    write_deltalake(str(lake / "state_users"), users, mode="overwrite", schema_mode="overwrite")
    DeltaTable(str(lake / "state_user_days")).delete("merchant_id = 'm100'")
    written = {name: deltalog.latest_version(lake, name) or 0 for name in ("state_users", "state_user_days")}
    manifest.append(
        lake,
        last,
        run_id="older",
        business_date=last.business_date,
        revision=last.revision + 9,
        kind="republish",
        table_versions={**last.table_versions, **written},
        control_totals=last.control_totals,
        inputs_digest="",
        code_version="0.0",
        policy_version=last.policy_version,
        published_at=datetime.now(UTC),
    )


def test_state_of_an_older_version_is_refused_and_rebuilt(closed: Settings, copy: Settings) -> None:
    outdated(copy)
    rows, day = manifest.published(copy.lake), DAYS[2] + timedelta(days=1)
    write_day(copy.landing, day)
    for work in (lambda: close(copy, day), lambda: close(copy, DAYS[2])):
        with pytest.raises(
            StateOutdated, match="state_users was written by another ccare: it lacks first_paid"
        ) as no:
            work()
        assert no.value.exit_code == 1 and "ccare state --rebuild" in no.value.remedy
    assert manifest.published(copy.lake) == rows and read_record(copy.lake) is None
    with pytest.raises(UsageError, match="after the last closed day"):
        again(copy, day)
    # A run that the older version began stands in nobody's way: it has posted nothing.
    save_record(copy.lake, RunRecord("open", day, 0, "close", DAYS[0], len(rows) + 1, datetime.now(UTC)))

    found = again(copy, reason="after the update")
    row = manifest.published(copy.lake)[-1]
    assert (row.seq, row.kind, row.business_date) == (len(rows) + 1, "rebuild", DAYS[2])
    assert found.seq == row.seq and found.differences["state_merchant_days"].total == 0
    assert found.differences["state_user_days"].missing == 3, "m100: a late day, the first and the second"
    assert found.differences["state_users"].changed > 0
    told = dict(
        ask(copy, "select table_name, rows_missing from run_rebuilds where reason = 'after the update'")
    )
    assert told == {name: each.missing for name, each in found.differences.items()}
    now, then = lake_digest(copy)["tables"], lake_digest(closed)["tables"]
    assert {name: now[name] for name in STATE} == {name: then[name] for name in STATE}
    assert verify_lake(copy, lambda line: None).ok
    close(copy, DAYS[2])
    assert lake_digest(copy)["tables"]["metric_merchants"] == then["metric_merchants"]
    close(copy, day)
    assert manifest.published(copy.lake)[-1].business_date == day


def test_a_rebuild_cut_off_is_taken_back_and_waits_for_an_open_run(copy: Settings) -> None:
    before = lake_digest(copy)["digest"]
    cut = RunRecord("cut", DAYS[2], 3, "rebuild", DAYS[0], 9, datetime.now(UTC))
    signed = CommitProperties(custom_metadata={"userMetadata": cut.run_id})
    DeltaTable(str(copy.lake / "state_user_days")).delete("merchant_id = 'm100'", commit_properties=signed)
    save_record(copy.lake, cut)
    assert again(copy, DAYS[2]).seq is None
    assert lake_digest(copy)["digest"] == before
    save_record(copy.lake, RunRecord("open", DAYS[2], 0, "close", DAYS[0], 9, datetime.now(UTC)))
    with pytest.raises(UsageError, match="not finished, so state cannot be rebuilt"):
        again(copy)


def test_lost_state_is_set_aside_and_derived_from_core_rows(copy: Settings) -> None:
    before, lake = lake_digest(copy)["tables"], copy.lake
    version = manifest.published(lake)[-1].table_versions["state_users"]
    deltalog.commit_file(lake, "state_users", version).unlink()
    shutil.rmtree(lake / "state_refund_days")
    found = repair(copy, dry_run=False)
    assert found.rows == {"state_users": 0, "state_refund_days": 0} and found.left == []
    assert (lake / "_lost").is_dir() and list((lake / "_lost").glob("state_users-*"))
    # Cut off here, nothing but a rebuild may read what stands there.
    with pytest.raises(StateOutdated, match="was written by another ccare: it was lost"):
        close(copy, DAYS[2] + timedelta(days=1))
    result = again(copy, reason="lost")
    assert result.differences["state_users"].missing == result.differences["state_users"].rows > 0
    now = lake_digest(copy)["tables"]
    assert {name: now[name] for name in STATE} == {name: before[name] for name in STATE}
    assert manifest.published(lake)[-1].kind == "rebuild"
    assert verify_lake(copy, lambda line: None).ok


def test_state_without_its_core_rows_is_left_to_a_backup(copy: Settings) -> None:
    for name in ("state_users", "core_payments"):
        shutil.rmtree(copy.lake / name)
    found = repair(copy, dry_run=False)
    assert {loss.table for loss in found.left} == {"state_users", "core_payments"} and not found.rows
