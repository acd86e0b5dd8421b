"""``ccare forget`` on a real lake: the link goes and stays gone, sums and points do not move."""

import json
import shutil
import signal
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ccare.errors import InputMissing, UsageError
from ccare.events.forgotten import FORGOTTEN_STAFF
from ccare.events.pseudonym import token_of
from ccare.growth.snapshot import connect
from ccare.ledger.trades import trade_nets
from ccare.runtime import deltalog, manifest
from ccare.runtime.close_days import close_days
from ccare.runtime.day import close_for
from ccare.runtime.digest import lake_digest
from ccare.runtime.forget import Receipt, Request, forget
from ccare.runtime.lease import RunRecord, read_record, save_record
from ccare.runtime.purge import holds_users
from ccare.runtime.settings import Settings
from ccare.runtime.verify import verify_lake
from ccare.tables import stored_tables
from tests.forks import Forks
from tests.runtime.test_closing import KEY, environment, settings_in
from tests.small_landing import FIRST, _write, write_day

pytestmark = [pytest.mark.spark, pytest.mark.slow]

DAYS = [FIRST + timedelta(days=n) for n in range(4)]
STAFF, PLAIN = "user-1", "user-3"


def close(settings: Settings, day: date) -> list[str]:
    said: list[str] = []
    close_days(settings, day, day, said=said.append, to_step="publish")
    return said


def ask(settings: Settings, user: str, **options: Any) -> Receipt:
    return forget(settings, Request(user, None, "the office", "case 7"), lambda line: None, **options)


def trades(day: date) -> list[dict[str, Any]]:
    """Trades of both users at m1 on ``day``, one of each given back in part."""
    rows = []
    for user in (STAFF, PLAIN):
        common = {"merchant_id": "m1", "user_id": user, "occurred_at": f"{day}T10:00:00Z"}
        common |= {"trade_no": f"x-{user}-{day}"}
        rows.append({"event_id": f"xp-{user}-{day}", "event_type": "paid", "amount_fen": 700_000, **common})
        back = {"event_id": f"xr-{user}-{day}", "event_type": "refunded", "refund_no": f"xr-{user}-{day}"}
        rows.append({**common, **back, "amount_fen": 7_000})
    return rows


@pytest.fixture(scope="module")
def closed(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two days closed; user-1 is staff of two merchants."""
    settings = settings_in(tmp_path_factory.mktemp("forget"))
    for n, day in enumerate(DAYS[:2]):
        write_day(settings.landing, day, history=0 if n else 12)
        delivered = day + timedelta(days=1)
        folder = settings.landing / "payments" / str(delivered)
        with (folder / "payments.jsonl").open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in trades(day))
        if n == 0:
            staff = [{"merchant_id": m, "user_id": STAFF} for m in ("m1", "m2")]
            _write(settings.landing, "staff", delivered, staff)
        close(settings, day)
    return settings


def copied(closed: Settings, folder: Path) -> Settings:
    for name in ("lake", "landing"):
        shutil.copytree(getattr(closed, name), folder / name)
    return settings_in(folder)


def nets(settings: Settings) -> dict[tuple[str, date], int]:
    """What every merchant and effective date is entitled to, from what is published."""
    last = manifest.published(settings.lake)[-1]
    record = RunRecord("t", last.business_date, 0, "republish", DAYS[0], 1, datetime.now(UTC))
    close_now = close_for(settings, record)
    con = connect(settings.lake, last)
    con.execute(
        """create or replace temp table ledger_touched_keys as
        select distinct merchant_id, business_date as effective_date from state_user_days where business_date >= ?""",
        [close_now.earn_start],
    )
    dates = con.execute("select distinct effective_date from ledger_touched_keys order by all").fetchall()
    query = trade_nets(close_now, tuple(row[0] for row in dates))
    rows = con.execute(f"select merchant_id, effective_date, units from ({query})").fetchall()
    return {(merchant, day): units for merchant, day, units in rows}


def holders(settings: Settings, text: str) -> set[str]:
    """Tables whose published rows hold ``text`` in any column."""
    last = manifest.published(settings.lake)[-1]
    con = connect(settings.lake, last)
    found = set()
    for name in last.table_versions:
        rows = con.execute(f"select count(*) from {name} t where t::varchar like '%' || ? || '%'", [text])
        if (rows.fetchone() or (0,))[0]:
            found.add(name)
    return found


def total(settings: Settings, query: str) -> Any:
    con = connect(settings.lake, manifest.published(settings.lake)[-1])
    return con.execute(query).fetchall()


def well(settings: Settings) -> None:
    verified = verify_lake(settings, lambda line: None)
    assert verified.ok, [check for check in verified.checks if not check.ok]


GMV = "select sum(amount_fen) filter (event_type = 'paid'), count(*) from core_payments"


def test_the_link_goes_and_stays_gone(closed: Settings, forks: Forks, tmp_path: Path) -> None:
    settings = copied(closed, tmp_path / "a")
    tokens = {user: token_of(KEY.encode(), user) for user in (STAFF, PLAIN)}
    before, gmv, posted = nets(settings), total(settings, GMV), lake_digest(settings)["tables"]
    assert before[("m1", DAYS[1])] > 0
    assert {"core_payments", "core_staff", "state_users"} <= holders(settings, tokens[STAFF])
    assert "state_refund_days" in holders(settings, tokens[PLAIN])

    receipt = ask(settings, STAFF)
    assert receipt.rows["core_staff"] == 2
    assert receipt.rows["core_payments"] >= 4
    row = manifest.published(settings.lake)[-1]
    assert (row.kind, row.business_date, row.seq) == ("forget", DAYS[1], receipt.seq)
    assert row.control_totals["core_payments.forgotten_rows"] == receipt.rows["core_payments"]
    _killed_and_run_again_ends_the_same(closed, forks, tmp_path / "b", lake_digest(settings)["digest"])
    ask(settings, PLAIN)
    well(settings)
    assert nets(settings) == before, "no entitlement moves"
    assert total(settings, GMV) == gmv
    now = lake_digest(settings)["tables"]
    assert {n: now[n] for n in now if n.startswith("ledger_")} == {
        n: posted[n] for n in posted if n.startswith("ledger_")
    }
    for user in (STAFF, PLAIN):
        assert holders(settings, tokens[user]) == set()
    staff = total(settings, "select merchant_id, user_key from core_staff order by 1")
    assert staff == [("m1", FORGOTTEN_STAFF), ("m2", FORGOTTEN_STAFF)]

    _old_files_come_again(settings, tokens, before)
    close(settings, DAYS[0])  # told again from the versions that its own close left
    well(settings)
    _purged(settings, tokens)


def _old_files_come_again(settings: Settings, tokens: dict[str, str], before: dict[Any, int]) -> None:
    """The same lines under another name with one line more, and a trade that comes late."""
    write_day(settings.landing, DAYS[2])
    old = settings.landing / "payments" / str(DAYS[1] + timedelta(days=1)) / "payments.jsonl"
    late = {**trades(DAYS[1])[2], "event_id": "late", "trade_no": "late", "amount_fen": 500}
    again = settings.landing / "payments" / str(DAYS[2] + timedelta(days=1)) / "again.jsonl"
    again.write_text(old.read_text() + json.dumps(late) + "\n")
    _write(settings.landing, "staff", DAYS[2] + timedelta(days=1), [{"merchant_id": "m1", "user_id": STAFF}])
    lines = len(old.read_text().splitlines())
    close(settings, DAYS[2])
    well(settings)
    files = total(settings, "select rows_accepted, rows_duplicate from raw_files where path like '%again%'")
    assert files == [(1, lines)], "what was taken before is known although its user is gone"
    assert total(settings, "select user_key from core_payments where event_id = 'late'") == [(None,)]
    for user in (STAFF, PLAIN):
        assert holders(settings, tokens[user]) == set()
    falls = f"select * from ledger_transfers where booked_date = '{DAYS[2]}' and code in ('fall', 'debt')"
    fallen = {row[0] for row in total(settings, falls.replace("*", "distinct effective_date"))}
    assert not fallen & {DAYS[0], DAYS[1]}, "no booked entitlement falls"


def _purged(settings: Settings, tokens: dict[str, str]) -> None:
    versions = manifest.published(settings.lake)[-1].table_versions
    users = [t.name for t in stored_tables() if holds_users(t) and t.name in versions]
    older = {p for name in users for p in (settings.lake / name).rglob("*.parquet")}
    digest = lake_digest(settings)["digest"]
    again = ask(settings, PLAIN, purge_now=True)
    assert again.already
    left = {p for name in users for p in (settings.lake / name).rglob("*.parquet")}
    assert sum(again.purged.values()) == len(older - left) > 0
    assert left == {
        Path(p) for name in users for p in deltalog.data_files(settings.lake, name, versions[name])
    }
    well(settings)
    assert lake_digest(settings)["digest"] == digest
    for path in settings.lake.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(token.encode() in data for token in tokens.values()), path
    with pytest.raises(InputMissing, match="purged"):
        close(settings, DAYS[0])
    assert read_record(settings.lake) is None, "what can never be told again does not stand in the way"


def _killed_and_run_again_ends_the_same(closed: Settings, forks: Forks, folder: Path, digest: str) -> None:
    settings = copied(closed, folder)
    seen = manifest.published(settings.lake)[-1].seq
    for place in ("state_user_days.committed", "manifest.appended"):
        words = ["forget", "-", "--by", "the office", "--reason", "case 7"]
        result = forks.run(words, environment(settings, place), given=STAFF)
        assert result.returncode == -signal.SIGKILL, result.stderr
        published = manifest.published(settings.lake)[-1].seq
        assert published == seen + (place == "manifest.appended"), "readers see all of it or nothing"
        assert STAFF not in (result.stdout + result.stderr).split()
    assert ask(settings, STAFF).already
    assert lake_digest(settings)["digest"] == digest
    well(settings)


def test_nobody_is_forgotten_while_a_run_is_open(closed: Settings, tmp_path: Path) -> None:
    settings = copied(closed, tmp_path)
    save_record(settings.lake, RunRecord("open", DAYS[2], 0, "close", DAYS[0], 3, datetime.now(UTC)))
    with pytest.raises(UsageError, match="not finished"):
        ask(settings, PLAIN)
    empty = settings.with_(lake=tmp_path / "empty")
    with pytest.raises(InputMissing, match="Nothing is published"):
        ask(empty, PLAIN)
