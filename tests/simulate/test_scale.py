"""ccare simulate: the same bytes however it is shared out, rows that make sense together, and the fates it promises."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from ccare.cli import app
from ccare.errors import UsageError
from ccare.runtime import deltalog
from ccare.runtime.close_days import close_days
from ccare.runtime.settings import Settings, key_file
from ccare.simulate.scale import Simulated, World, simulate_landing
from ccare.simulate.scale.world import LAYOUT, open_world
from ccare.tables.streams import STREAMS

FIRST = date(2026, 3, 5)
WORLD = World(merchants=40, users=700, days=24, seed=11, first_day=FIRST, timezone="Asia/Shanghai")
OF_COMMANDS = {"redemptions", "funding", "adjustments", "approvals"}
"""Streams that ccare's own ledger commands deliver."""
FAULTY = replace(WORLD, late_share=3000, duplicate_share=2000, bad_share=1500)


def digests(landing: Path) -> dict[str, str]:
    files = (p for p in landing.rglob("*.jsonl"))
    return {str(p.relative_to(landing)): sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Simulated]:
    landing = tmp_path_factory.mktemp("whole")
    return landing, simulate_landing(landing, FAULTY, threads=1)


def test_parts_and_threads_give_the_same_bytes(whole: tuple[Path, Simulated], tmp_path: Path) -> None:
    parts = [simulate_landing(tmp_path, FAULTY, part=(n, 3), threads=3) for n in (3, 1, 2)]
    assert digests(tmp_path) == digests(whole[0])
    told = {path: fates for part in parts for path, fates in part.files.items()}
    assert told == whole[1].files


def test_another_seed_gives_other_lines_and_a_finished_landing_stays(
    whole: tuple[Path, Simulated], tmp_path: Path
) -> None:
    few = replace(FAULTY, seed=12, days=2)
    first = simulate_landing(tmp_path, few)
    again = simulate_landing(tmp_path, few)
    assert (first.written, again.written) == (True, False)
    assert (again.files, again.late) == (first.files, first.late)
    name = "payments/2026-03-06/payments-2026-03-05.jsonl"
    assert (tmp_path / name).read_bytes() != (whole[0] / name).read_bytes()
    with pytest.raises(UsageError, match=r"other parameters \(bad_share"):
        simulate_landing(tmp_path, WORLD)


def test_it_keeps_apart_from_real_deliveries_and_from_other_simulations(tmp_path: Path) -> None:
    (tmp_path / "real" / "payments" / "2026-03-06").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"not simulated \(payments\)"):
        simulate_landing(tmp_path / "real", WORLD)
    few = replace(WORLD, users=20, days=2)
    simulate_landing(tmp_path / "parts", few, part=(1, 2))
    with pytest.raises(UsageError, match=r"other parameters \(seed\)"):
        simulate_landing(tmp_path / "parts", replace(few, seed=12), part=(2, 2))


def test_a_part_or_size_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Part 3 of 2"):
        simulate_landing(tmp_path, WORLD, part=(3, 2))
    with pytest.raises(UsageError, match="0 users cannot"):
        replace(WORLD, users=0)


@pytest.fixture(scope="module")
def events(whole: tuple[Path, Simulated]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Every readable line of the landing, once: what was planted on top (x…, copies) left out."""
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE lines AS SELECT DISTINCT split_part(parse_dirpath(filename), '/', -2) AS stream, line "
            "FROM read_csv($1, columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = '', "
            "header = false, filename = true)",
            [str(whole[0] / "*" / "*" / "*.jsonl")],
        )
        con.execute("""
            CREATE TABLE events AS
            SELECT stream, e.* FROM (
                SELECT stream, from_json(line, '{"event_id":"VARCHAR","event_type":"VARCHAR","occurred_at":"VARCHAR",
                    "hour_start":"VARCHAR","merchant_id":"VARCHAR","user_id":"VARCHAR","origin":"VARCHAR",
                    "trade_no":"VARCHAR","amount_fen":"BIGINT","voucher_code":"VARCHAR","impressions":"BIGINT",
                    "clicks":"BIGINT","scene":"VARCHAR","terminal_id":"VARCHAR","stay_ms":"BIGINT"}') AS e
                FROM lines WHERE json_valid(line))
            WHERE e.event_id NOT LIKE 'x%' OR e.event_id IS NULL""")
        yield con


def test_the_shares_of_the_page_are_what_is_written(tmp_path: Path) -> None:
    """1 % late, 0.5 % twice, 0.2 % with a fault, of payments, visits, content and vouchers; within four deviations."""
    world = replace(WORLD, users=6_000)
    found = simulate_landing(tmp_path, world)
    streams = ("payments", "mini_program", "life_account", "vouchers")
    files = {p: fates for p, fates in found.files.items() if p.split("/")[0] in streams}
    events = sum(fates.get("accepted", 0) for fates in files.values())
    assert events > 20_000
    late = sum(sum(fates.values()) for path, fates in files.items() if path.endswith("-late.jsonl"))
    twice = sum(fates.get("duplicate", 0) for fates in files.values())
    bad = sum(
        n for fates in files.values() for fate, n in fates.items() if fate not in ("accepted", "duplicate")
    )
    for share, lines in ((0.01, late), (0.005, twice), (0.002, bad)):
        spread = 4 * (share * events) ** 0.5
        assert abs(lines - share * events) < spread + 0.1 * share * events, (share, lines / events)


def test_half_of_the_sales_at_a_till_carry_a_scan(events: duckdb.DuckDBPyConnection) -> None:
    """Offline purchases are those with a till and no visit's scene: half are scene 1011, the others have none."""
    told = events.execute(
        "SELECT count(*) FILTER (scene = '1011'), count(*) FROM events "
        "WHERE stream = 'payments' AND event_type = 'paid' AND terminal_id IS NOT NULL "
        "AND (scene IS NULL OR scene = '1011')"
    ).fetchone()
    assert told is not None and told[1] > 200
    assert abs(told[0] / told[1] - 0.5) < 0.1


def test_the_bytes_are_pinned_to_the_layout(tmp_path: Path) -> None:
    """Where this fails and is meant to, raise LAYOUT (ccare/simulate/scale/world.py) and pin the new hash beside it."""
    few = World(merchants=5, users=60, days=3, seed=3, first_day=FIRST, timezone="Asia/Shanghai")
    simulate_landing(tmp_path, few)
    told = "\n".join(f"{path} {digest}" for path, digest in sorted(digests(tmp_path).items()))
    assert sha256(told.encode()).hexdigest() == BYTES[LAYOUT]


BYTES = {1: "8bc298ed886940644f4650e5e0bbb98455413f2be5fb5a1864fc220c3c6ad2f1"}
"""Layout -> hash of the files of a small world; never change one that is written."""


def count(con: duckdb.DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def test_every_stream_is_there_and_every_row_is_simulated(
    events: duckdb.DuckDBPyConnection, whole: tuple[Path, Simulated]
) -> None:
    streams = {row[0] for row in events.execute("SELECT DISTINCT stream FROM events").fetchall()}
    assert streams == set(STREAMS) - OF_COMMANDS
    assert count(events, "SELECT count(*) FROM events WHERE origin IS DISTINCT FROM 'simulated'") == 0
    told = whole[1].delivered("9999-12-31")
    accepted = sum(fates["accepted"] for fates in told.values())
    assert count(events, "SELECT count(*) FROM events") == accepted
    ids = "SELECT count(*) - count(DISTINCT (stream, event_id)) FROM events WHERE event_id IS NOT NULL"
    assert count(events, ids) == 0
    for stream in ("payments", "mini_program", "life_account", "vouchers", "traffic"):
        kinds = events.execute(
            "SELECT DISTINCT event_type FROM events WHERE stream = $1", [stream]
        ).fetchall()
        rare = {
            "unused",
            "live_enter",
            "comment",
            "share",
            "unfollow",
            "uncollect",
            "refuse",
            "member_leave",
            "voucher_click",
        }
        assert {k for (k,) in kinds} | rare >= set(STREAMS[stream].event_types), stream


@pytest.mark.parametrize(
    "broken",
    [
        # refunds: of a trade, after it, not more than it
        "SELECT count(*) FROM events r LEFT JOIN events p ON p.event_type = 'paid' AND p.trade_no = r.trade_no "
        "WHERE r.event_type = 'refunded' AND (p.trade_no IS NULL OR r.occurred_at <= p.occurred_at "
        "OR r.amount_fen > p.amount_fen OR r.merchant_id <> p.merchant_id OR r.amount_fen < 1)",
        # a voucher that is used was received before, by the payer, and its trade names it
        "SELECT count(*) FROM events u LEFT JOIN events r ON r.event_type = 'received' AND r.voucher_code = "
        "u.voucher_code LEFT JOIN events p ON p.event_type = 'paid' AND p.trade_no = u.trade_no "
        "WHERE u.event_type = 'used' AND (r.voucher_code IS NULL OR r.occurred_at >= u.occurred_at "
        "OR r.user_id <> u.user_id OR p.voucher_code IS DISTINCT FROM u.voucher_code)",
        # whoever leaves came before: of each pair's changes the first turns the relation on
        "SELECT count(*) FROM (SELECT event_type FROM events WHERE event_type IN ('follow', 'unfollow') "
        "QUALIFY row_number() OVER (PARTITION BY merchant_id, user_id ORDER BY occurred_at) = 1) "
        "WHERE event_type = 'unfollow'",
        "SELECT count(*) FROM (SELECT event_type FROM events WHERE event_type IN ('collect', 'uncollect') "
        "QUALIFY row_number() OVER (PARTITION BY merchant_id, user_id ORDER BY occurred_at) = 1) "
        "WHERE event_type = 'uncollect'",
        "SELECT count(*) FROM events WHERE clicks > impressions",
        "SELECT count(*) FROM events WHERE merchant_id NOT IN "
        "(SELECT merchant_id FROM events WHERE stream = 'merchants')",
        # what happens to content follows its exposure
        "SELECT count(*) FROM events v LEFT JOIN events e ON e.event_id = regexp_replace(v.event_id, 's\\d$', 's1') "
        "WHERE v.event_type = 'view' AND (e.event_id IS NULL OR e.occurred_at >= v.occurred_at)",
    ],
)
def test_rows_make_sense_together(events: duckdb.DuckDBPyConnection, broken: str) -> None:
    assert count(events, broken) == 0


def test_weeks_have_a_weekend_and_merchants_a_heavy_tail(events: duckdb.DuckDBPyConnection) -> None:
    weekend = "SELECT avg(n) FROM (SELECT CAST(occurred_at[:10] AS DATE) AS d, count(*) AS n FROM events "
    weekend += "WHERE event_type = 'paid' AND stream = 'payments' GROUP BY d) WHERE isodow(d) {}"
    (saturday,) = events.execute(weekend.format("IN (6, 7)")).fetchone() or (0,)
    (tuesday,) = events.execute(weekend.format("< 5")).fetchone() or (0,)
    assert saturday > 1.2 * tuesday
    sizes = events.execute(
        "SELECT count(*) AS n FROM events WHERE event_type = 'paid' GROUP BY merchant_id ORDER BY n DESC"
    ).fetchall()
    total = sum(n for (n,) in sizes)
    assert sizes[0][0] > 0.15 * total
    assert sum(n for (n,) in sizes[:8]) > 0.5 * total


def test_purchases_repeat_as_the_published_model_says() -> None:
    """CDNOW's BG/NBD (r .243, alpha 4.414, a .793, b 2.426): E[X(31.857 weeks)] 1.0405, P(X(39) = 0) 0.5738."""
    world = replace(WORLD, merchants=2000, users=40_000, days=39 * 7 + 60)
    with duckdb.connect() as con:
        open_world(con, world)
        told = con.execute("""
            SELECT count(*), sum(within), count(*) FILTER (ever = 0)
            FROM (SELECT p.pair, count(*) FILTER (j > 0 AND day - birth <= 223) AS within,
                         count(*) FILTER (j > 0 AND day - birth <= 273) AS ever
                  FROM pairs p JOIN purchases USING (pair) WHERE birth BETWEEN 0 AND 59 GROUP BY p.pair)
        """).fetchone()
    assert told is not None
    pairs, repeats, none = told
    assert pairs > 10_000
    assert repeats / pairs == pytest.approx(1.0405, rel=0.06)
    assert none / pairs == pytest.approx(0.5738, abs=0.015)


@pytest.mark.spark
@pytest.mark.slow
def test_a_run_finds_the_fates_that_were_promised(spark: Any, tmp_path: Path) -> None:
    """Three days closed: each file's lines accepted, duplicate and refused as planted, for the planted reasons."""
    world = replace(FAULTY, users=500, days=3)
    result = simulate_landing(tmp_path / "landing", world)
    settings = Settings(
        lake=tmp_path / "lake",
        landing=tmp_path / "landing",
        exports=tmp_path / "exports",
        timezone=world.timezone,
        pseudonym_key=b"a fixed key of more than thirty-two bytes",
        spark_master="local[2]",
    )
    last = world.date_of(world.days - 1)
    close_days(settings, world.first_day, last, said=lambda line: None, to_step="publish")
    until = (last + timedelta(days=1)).isoformat()
    planted = {path: fates for path, fates in result.files.items() if path.split("/")[1] <= until}
    assert any("-late" in path for path in planted)
    assert {fate for fates in planted.values() for fate in fates} >= {
        "accepted",
        "duplicate",
        "malformed_json",
    }
    found = deltalog.rows(settings.lake, "raw_files", deltalog.latest_version(settings.lake, "raw_files"))
    told = {r["path"]: (r["rows_accepted"], r["rows_duplicate"], r["rows_rejected"]) for r in found}
    assert told == {path: _fates(fates) for path, fates in planted.items()}
    version = deltalog.latest_version(settings.lake, "core_rejected_events")
    refused = deltalog.rows(settings.lake, "core_rejected_events", version)
    reasons = Counter((r["stream"], tuple(r["reasons"])) for r in refused)
    expected: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for stream, fates in result.delivered(until).items():
        expected.update({(stream, (f,)): n for f, n in fates.items() if f not in ("accepted", "duplicate")})
    assert reasons == expected


def _fates(fates: dict[str, int]) -> tuple[int, int, int]:
    accepted, duplicate = fates.get("accepted", 0), fates.get("duplicate", 0)
    return accepted, duplicate, sum(fates.values()) - accepted - duplicate


def test_the_command_writes_files_and_the_lakes_own_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCARE_LAKE", str(tmp_path / "lake"))
    monkeypatch.delenv("CCARE_PSEUDONYM_KEY", raising=False)
    monkeypatch.delenv("CCARE_PSEUDONYM_KEY_FILE", raising=False)
    wanted = ["simulate", "--merchants", "5", "--users", "40", "--days", "2", "--seed", "3", "--out"]
    command = [*wanted, str(tmp_path / "landing"), "--first-day", "2026-05-01", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["files"] and told["parameters"]["first_day"] == "2026-05-01"
    assert (tmp_path / "landing" / "payments" / "2026-05-03").is_dir()
    key = key_file(tmp_path / "lake")
    assert len(key.read_text()) >= 32 and key.stat().st_mode & 0o777 == 0o600
    again = CliRunner().invoke(app, command)
    assert json.loads(again.stdout)["written"] is False
    assert "lines a minute" not in CliRunner().invoke(app, command[:-1]).stdout, "nothing was written"
    other = [*wanted, str(tmp_path / "other")]
    assert re.search(
        r"^[\d,]+ lines a minute, in [\d.]+ s$", CliRunner().invoke(app, other).stdout, re.MULTILINE
    )
