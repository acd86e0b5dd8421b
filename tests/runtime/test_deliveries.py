"""The same deliveries however they are packed, cut, ordered or repeated leave the same core tables, on either road."""

import csv
import gzip
import io
import json
import random
import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import hypothesis
import pytest
import zstandard
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st

from ccare.events.parse import parse
from ccare.events.read import LINE_MAX_BYTES
from ccare.events.slots import load_slots
from ccare.runtime import deltalog, ingest
from ccare.runtime.close_days import close_days
from ccare.runtime.intake import deliveries
from ccare.runtime.lease import read_record
from ccare.runtime.lines import landing_frames
from ccare.runtime.settings import Settings, default_conf
from ccare.tables.streams import PAYMENTS
from tests.runtime.test_closing import DAYS, settings_in
from tests.small_landing import write_day

pytestmark = [pytest.mark.spark, pytest.mark.slow]

TABLES = (
    *("core_payments", "core_mini_program_events", "core_life_account_events", "core_voucher_events"),
    *("core_traffic_hours", "core_merchants", "core_staff", "core_redemption_requests"),
)
PROVENANCE = {"file_sha256", "position"}
Lines = list[dict[str, Any]]


def ingested(settings: Settings) -> list[str]:
    said: list[str] = []
    close_days(settings, DAYS[0], DAYS[0], said=said.append, from_step="ingest", to_step="ingest")
    return said


def core_rows(settings: Settings) -> dict[str, list[str]]:
    """Every core row but where it was delivered, as text in order."""
    result = {}
    for name in TABLES:
        version = deltalog.latest_version(settings.lake, name)
        rows = deltalog.rows(settings.lake, name, version)
        kept = [{k: str(v) for k, v in row.items() if k not in PROVENANCE} for row in rows]
        result[name] = sorted(json.dumps(row, sort_keys=True) for row in kept)
    return result


def as_json(rows: Lines) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_csv(rows: Lines) -> bytes:
    names = sorted({name for row in rows for name in row})
    out = io.StringIO()
    writer = csv.DictWriter(out, names[::-1], lineterminator="\r\n")
    writer.writeheader()
    # CSV has no booleans: they are written as JSON writes them.
    writer.writerows({k: json.dumps(v) if isinstance(v, bool) else v for k, v in row.items()} for row in rows)
    return out.getvalue().encode()


PACKINGS: dict[str, Callable[[Lines], bytes]] = {
    ".jsonl": as_json,
    ".jsonl.gz": lambda rows: gzip.compress(as_json(rows)),
    ".jsonl.zst": lambda rows: zstandard.ZstdCompressor().compress(as_json(rows)),
    ".csv": as_csv,
    ".csv.gz": lambda rows: gzip.compress(as_csv(rows)),
}


def repacked(source: Path, target: Path, seed: int) -> None:
    """Every file anew: shuffled, some lines twice or more, in one to seven pieces that are packed each its own way."""
    draw = random.Random(seed)
    for path in sorted(source.glob("*/*/*.jsonl")):
        folder = target / path.relative_to(source).parent
        folder.mkdir(parents=True, exist_ok=True)
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        rows += draw.choices(rows, k=len(rows) // 5 + 1)
        draw.shuffle(rows)
        packings = draw.choices(sorted(PACKINGS), k=draw.randint(1, 7))
        for number, ending in enumerate(packings):
            if piece := rows[number :: len(packings)]:
                (folder / f"piece {number} [中文]{ending}").write_bytes(PACKINGS[ending](piece))


def write_traffic(landing: Path) -> None:
    """Hours of public traffic on two days, a test user of a shop, and what a merchant asks for its points."""
    hour = {"event_type": "delivered", "slot": "search_box", "source": "free", "arm": "treated"}
    traffic = [
        {
            **hour,
            "event_id": f"h{day}-{number}",
            "merchant_id": f"m{number % 5}",
            "hour_start": f"{DAYS[0] - timedelta(days=day)}T{number % 24:02d}:00:00Z",
            "impressions": 100 + number,
            "clicks": number % 7,
        }
        for day in range(2)
        for number in range(40)
    ]
    asked = {"merchant_id": "m1", "slot": "search_box", "points": 5}
    at = f"{DAYS[0]}T09:00:00Z"
    rows = {
        "traffic": traffic,
        "staff": [
            {"merchant_id": f"m{n}", "user_id": f"user-{n}", "valid_from": "2025-01-01"} for n in range(3)
        ],
        "redemptions": [{**asked, "request_id": f"r{n}", "requested_at": at} for n in range(3)],
    }
    for stream, lines in rows.items():
        folder = landing / stream / str(DAYS[0] + timedelta(days=1))
        folder.mkdir(parents=True)
        (folder / f"{stream}.jsonl").write_bytes(as_json(lines))


@pytest.fixture(scope="module")
def plain(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Deliveries as they came, ingested."""
    settings = settings_in(tmp_path_factory.mktemp("plain"))
    write_day(settings.landing, DAYS[0], history=3)
    write_traffic(settings.landing)
    ingested(settings)
    assert all(core_rows(settings).values()), "every table has rows to lose"
    return settings


@pytest.mark.parametrize("bulk", [False, True], ids=["small", "bulk"])
@hypothesis.settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32))
def test_any_split_order_repetition_and_packing_gives_the_same_core_rows(
    plain: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bulk: bool, seed: int
) -> None:
    if bulk:
        monkeypatch.setattr(ingest, "SMALL_LINES", 0)
    settings = settings_in(Path(tempfile.mkdtemp(dir=tmp_path)))
    repacked(plain.landing, settings.landing, seed)
    bad = settings.landing / "payments" / "2026-03-02" / "bad.jsonl"
    first = json.loads((plain.landing / "payments/2026-03-02/payments.jsonl").read_text().splitlines()[0])
    # Of two contents of one id and date the smaller digest stays: with 5 fen this row has the greater one.
    bad.write_text('{"event_id":\n' + json.dumps({**first, "amount_fen": 5, "shoe_size": 9}) + "\n")
    said = "\n".join(ingested(settings))
    assert core_rows(settings) == core_rows(plain)
    assert "payments has fields that are left out: shoe_size" in said
    files = deltalog.rows(settings.lake, "raw_files")
    for row in files:
        assert row["rows_read"] == row["rows_accepted"] + row["rows_duplicate"] + row["rows_rejected"], row
    assert sum(row["rows_duplicate"] for row in files) > 100, seed
    rejected = deltalog.rows(settings.lake, "core_rejected_events")
    assert sorted((row["position"], *row["reasons"]) for row in rejected) == [
        (1, "malformed_json"),
        (2, "event_id_conflict"),
    ]


@pytest.mark.parametrize("guess", ["right", "nothing", "in vain"])
def test_whichever_ids_are_guessed_to_stand_twice_the_same_rows_stay(
    plain: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guess: str
) -> None:
    monkeypatch.setattr(ingest, "SMALL_LINES", 0)
    settings = settings_in(tmp_path)
    shutil.copytree(plain.landing, settings.landing)
    folder = settings.landing / "payments" / "2026-03-02"
    lines = (folder / "payments.jsonl").read_text().splitlines()
    (folder / "again.jsonl").write_text("\n".join(lines[:7]) + "\n")
    ids = [json.loads(line)["event_id"] for line in lines]
    if guess != "right":
        monkeypatch.setattr(ingest, "twins", lambda *_: ids[7:] if guess == "in vain" else [])
    ingested(settings)
    assert core_rows(settings) == core_rows(plain)
    files = [Path(path).name for path in deltalog.data_files(settings.lake, "core_payments", 1)]
    apart = [name for name in files if name.startswith("shared-")]
    assert len(apart) == (guess != "nothing")
    if guess == "right":
        held = duckdb.read_parquet(str(next(settings.lake.rglob(apart[0])))).fetchall()
        assert len(held) == 7, "of each pair one is left, in a file of their own"


@pytest.mark.parametrize("bulk", [False, True], ids=["small", "bulk"])
def test_records_that_contradict_each_other_have_fates_that_add_up(
    plain: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bulk: bool
) -> None:
    if bulk:
        monkeypatch.setattr(ingest, "SMALL_LINES", 0)
    settings = settings_in(tmp_path)
    shutil.copytree(plain.landing, settings.landing)
    folder = settings.landing / "merchants" / "2026-03-02"
    lines = (folder / "merchants.jsonl").read_text().splitlines()
    other = {**json.loads(lines[0]), "name": "Another"}
    (folder / "again.jsonl").write_text("\n".join([lines[1], json.dumps(other), lines[2]]) + "\n")
    ingested(settings)
    files = [r for r in deltalog.rows(settings.lake, "raw_files") if r["stream"] == "merchants"]
    fates = [tuple(sum(r[f"rows_{n}"] for r in files) for n in ("read", "accepted", "duplicate", "rejected"))]
    assert fates == [(len(lines) + 3, len(lines), 2, 1)]
    (told,) = deltalog.rows(settings.lake, "core_rejected_events")
    assert (told["stream"], told["reasons"]) == ("merchants", ["record_conflict"])
    assert len(deltalog.rows(settings.lake, "core_merchants")) == len(lines)


def test_every_row_names_its_file_and_line(plain: Settings) -> None:
    paths = {row["file_sha256"]: row["path"] for row in deltalog.rows(plain.lake, "raw_files")}
    rows = deltalog.rows(plain.lake, "core_payments")
    lines = {p: (plain.landing / p).read_text().splitlines() for p in paths.values()}
    for row in rows:
        line = lines[paths[row["file_sha256"]]][row["position"] - 1]
        assert json.loads(line)["event_id"] == row["event_id"]


def test_a_bulk_pass_that_was_cut_leaves_nothing_half_taken(
    plain: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "SMALL_LINES", 0)
    settings = settings_in(tmp_path)
    settings.landing.symlink_to(plain.landing)

    def cut(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ingest, "_store_rejected", cut)
        with pytest.raises(KeyboardInterrupt):
            ingested(settings)
    assert read_record(settings.lake) is not None, "the run is open"
    ingested(settings)
    assert core_rows(settings) == core_rows(plain)


def test_long_lines_are_refused_alone_wherever_they_stand(
    plain: Settings, spark: Any, tmp_path: Path
) -> None:
    sound = (plain.landing / "payments/2026-03-02/payments.jsonl").read_bytes().splitlines(keepends=True)[:2]
    folder = tmp_path / "payments" / "2026-03-02"
    folder.mkdir(parents=True)
    start = b'{"event_id":"long","store_id":"'
    long = [start + b"x" * size + b'"}\n' for size in (LINE_MAX_BYTES, 12 * LINE_MAX_BYTES)]
    short = start + b"x" * (LINE_MAX_BYTES - 1 - len(start) - 2) + b'"}\n'
    (folder / "long.jsonl").write_bytes(b"".join([sound[0], *long, sound[1], short, long[0]]))
    files = deliveries(tmp_path, DAYS[0], DAYS[0], {})
    assert [(d.status, d.lines) for d in files] == [("taken", 6)]
    lines = landing_frames(spark, tmp_path, files, b"k" * 40)["landing"]
    slots = load_slots(default_conf(), DAYS[0])
    rows = parse(lines, PAYMENTS, slots, "UTC", None).orderBy("position").collect()
    told = [(row.position, [r for r in row.reasons if "_too_" in r]) for row in rows]
    too_long = ["line_too_long"]
    assert told == [(1, []), (2, too_long), (3, too_long), (4, []), (5, []), (6, too_long)]
    assert not rows[3].reasons and rows[4].reasons
    kept = max(len((row.value or "").encode()) for row in rows)
    assert kept == LINE_MAX_BYTES, "no more of a line is kept"


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.zst"])
def test_a_line_of_100_megabytes_refuses_its_file_before_spark_holds_it(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "payments" / "2026-03-02"
    folder.mkdir(parents=True)
    noise = [random.Random(n).randbytes(1 << 19).hex().encode() for n in range(4)] * 25
    data = b"".join([b'{"event_id":1}\n{"event_id":"', *noise, b'"}\n{}\n'])
    packed = zstandard.ZstdCompressor().compress(data) if ending.endswith("zst") else data
    (folder / f"long{ending}").write_bytes(packed)
    (folder / "whole.jsonl").write_bytes(b"{}\n" + b"x" * (1 << 24) + b"\n{}\n")
    files = deliveries(tmp_path, DAYS[0], DAYS[0], {})
    assert [(d.status, d.note) for d in files] == [
        ("refused", "its line 2 is longer than 16,777,216 bytes"),
        ("taken", ""),
    ]
