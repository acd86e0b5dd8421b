"""Refused rows can be listed, and their lines delivered again from the landing files, wherever these stand now."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ccare.cli import app
from ccare.errors import InputMissing
from ccare.events.read import LINE_MAX_BYTES
from ccare.runtime import deltalog, manifest
from ccare.runtime.rejected import _lines_at, list_rejected, replay_rejected
from ccare.runtime.settings import Settings
from ccare.runtime.verify import verify_lake
from tests.runtime.test_closing import DAYS, KEY, close, settings_in
from tests.small_landing import write_day

pytestmark = [pytest.mark.spark, pytest.mark.slow]

NEW = {"merchant_id": "new", "name": "New", "industry": "retail", "own_brand": False, "joined_on": "2026-03-01",
       "valid_from": "2026-03-01"}  # fmt: skip
TRADE = {"event_id": "n1", "event_type": "paid", "occurred_at": "2026-03-01T10:00:00Z", "merchant_id": "new",
         "user_id": "user-1", "trade_no": "n1", "amount_fen": 700}  # fmt: skip


@pytest.fixture(scope="module")
def lake(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A day whose payments name a merchant that is delivered the day after."""
    settings = settings_in(tmp_path_factory.mktemp("rejected"))
    write_day(settings.landing, DAYS[0], history=3)
    folder = settings.landing / "payments" / DAYS[1].isoformat()
    lines = [json.dumps(TRADE), '{"half":', json.dumps({**TRADE, "event_id": "n2", "trade_no": "n2"})]
    lines.append(json.dumps({**TRADE, "event_id": "n4", "store_id": "x" * LINE_MAX_BYTES}))
    (folder / "early.jsonl").write_text("\n".join(lines) + "\n")
    cells = {**TRADE, "event_id": "n3", "trade_no": "n3"}
    row = ",".join(map(str, cells.values()))
    (folder / "early.csv").write_text(",".join(cells) + f"\n{row}\n{row.replace('n3', 'n5')}")
    close(settings, DAYS[0])
    return settings


def test_refused_rows_are_listed(lake: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    row = manifest.latest(lake.lake)
    assert row is not None
    found = list_rejected(lake, row, reason=None, file=None, day=None)
    told = [(Path(r["path"]).name, r["position"], r["reasons"]) for r in found]
    assert told == [
        ("early.csv", 2, ["unknown_merchant"]),
        ("early.csv", 3, ["unterminated_line"]),
        ("early.jsonl", 1, ["unknown_merchant"]),
        ("early.jsonl", 2, ["malformed_json"]),
        ("early.jsonl", 3, ["unknown_merchant"]),
        ("early.jsonl", 4, ["line_too_long"]),
    ]
    assert len(list_rejected(lake, row, reason="malformed_json", file="early.jsonl", day=DAYS[0])) == 1
    for name, value in {
        "CCARE_LAKE": lake.lake,
        "CCARE_LANDING": lake.landing,
        "CCARE_EXPORTS": lake.exports,
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("CCARE_PSEUDONYM_KEY", KEY)
    shown = CliRunner().invoke(app, ["rejected", "--reason", "unknown_merchant"])
    assert shown.exit_code == 0
    assert "payments\tunknown_merchant\t3" in shown.output
    assert "user-1" not in shown.output


def test_their_lines_are_delivered_again_and_judged_by_the_next_close(lake: Settings) -> None:
    row = manifest.latest(lake.lake)
    assert row is not None
    folder = lake.landing / "payments" / DAYS[1].isoformat()
    (folder / "early.jsonl").rename(folder / "moved.jsonl")
    result = replay_rejected(lake, row, DAYS[0])
    assert sorted(result.delivered.values()) == [1, 3] and not result.gone
    assert {Path(path).name: n for path, n in result.cut.items()} == {"early.csv": 1, "early.jsonl": 1}
    write_day(lake.landing, DAYS[1])
    merchants = lake.landing / "merchants" / DAYS[2].isoformat()
    merchants.mkdir(parents=True)
    (merchants / "new.jsonl").write_text(json.dumps(NEW) + "\n")
    said = close(lake, DAYS[1])
    assert any("late: payments" in line and str(DAYS[0]) in line for line in said)
    taken = {r["event_id"] for r in deltalog.rows(lake.lake, "core_payments")}
    assert {"n1", "n2", "n3"} <= taken
    assert verify_lake(lake, lambda line: None).ok
    again = manifest.latest(lake.lake)
    assert again is not None
    left = list_rejected(lake, again, reason=None, file=None, day=DAYS[1])
    assert [r["reasons"] for r in left] == [["malformed_json"]], "what is still bad is refused again"


def test_a_file_that_is_gone_is_said_to_be(lake: Settings) -> None:
    row = manifest.latest(lake.lake)
    assert row is not None
    folder = lake.landing / "payments" / DAYS[1].isoformat()
    # A replay of all that a file holds has the file's own bytes, and serves in its place.
    for path in (folder / "early.csv", *folder.glob("replay-*")):
        path.unlink()
    result = replay_rejected(lake, row, DAYS[0])
    assert [Path(path).name for path in result.gone] == ["early.csv"]
    for path in (folder / "moved.jsonl", *lake.landing.glob("payments/*/replay-*")):
        path.unlink()
    with pytest.raises(InputMissing, match="None of the 4 rows"):
        replay_rejected(lake, row, DAYS[0])


def test_lines_are_given_by_number_and_long_ones_never_held(tmp_path: Path) -> None:
    longest, path = b"y" * (LINE_MAX_BYTES - 1), tmp_path / "a.jsonl"
    with path.open("wb") as out:
        out.write(b"first\r\n")
        out.writelines([b"x" * LINE_MAX_BYTES] * 100)
        out.write(b"\n" + longest + b"\n" + longest + b"y\n\nlast")
    tracemalloc.start()
    found = list(_lines_at(path, {1, 2, 3, 4, 5, 6}))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [b"first\r\n", longest + b"\n", b"\n", b"last"]
    assert most < 10 * LINE_MAX_BYTES
    assert list(_lines_at(path, {3, 6})) == [longest + b"\n", b"last"]
    path.write_bytes(b"a\n" + b"z" * LINE_MAX_BYTES)
    assert list(_lines_at(path, {1, 2})) == [b"a\n"]
