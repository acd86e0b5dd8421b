"""What lands is looked at once before Spark: a bad file is refused alone, in words, in bounded memory."""

import gzip
import json
import os
import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import zstandard

from ccare.errors import InputMissing, UsageError
from ccare.runtime import deltalog
from ccare.runtime import survey as surveys
from ccare.runtime.fates import file_lines
from ccare.runtime.ingest import require_inputs
from ccare.runtime.intake import Delivery, deliveries, require_complete
from ccare.runtime.passes import file_row
from ccare.runtime.rowstore import write_rows
from ccare.runtime.settings import Settings
from ccare.runtime.survey import survey
from ccare.tables import table

DAY = date(2026, 3, 1)
HEADER = "event_id,event_type,occurred_at,merchant_id,trade_no,amount_fen"


def deliver(landing: Path, name: str, data: bytes, stream: str = "payments") -> Path:
    folder = landing / stream / "2026-03-02"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    return path


def found(landing: Path) -> dict[str, Delivery]:
    return {d.path.split("/", 2)[-1]: d for d in deliveries(landing, DAY, DAY, {})}


def test_every_packing_has_its_lines_counted(tmp_path: Path) -> None:
    text = b'{"a":1}\n{"a":2}\nlast without newline'
    deliver(tmp_path, "a.jsonl", text)
    deliver(tmp_path, "b.jsonl.gz", gzip.compress(text) + gzip.compress(b"\n" + text))
    two = zstandard.ZstdCompressor().compress(text) + zstandard.ZstdCompressor().compress(b"\n" + text)
    deliver(tmp_path, "c.jsonl.zst", two)
    deliver(tmp_path, "d.csv", f"{HEADER}\n1,2,3,4,5,6\n".encode())
    deliver(tmp_path, "e.csv.gz", gzip.compress(f"\ufeff{HEADER}\r\n1,2,3,4,5,6\r\n".encode()))
    deliver(tmp_path, "f.jsonl", b"")
    deliver(tmp_path, "g.csv", b"")
    files = found(tmp_path)
    assert {name: (d.status, d.lines) for name, d in files.items()} == {
        "a.jsonl": ("taken", 3),
        "b.jsonl.gz": ("taken", 6),
        "c.jsonl.zst": ("taken", 6),
        "d.csv": ("taken", 1),
        "e.csv.gz": ("taken", 1),
        "f.jsonl": ("taken", 0),
        "g.csv": ("taken", 0),
    }
    assert files["d.csv"].header == files["e.csv.gz"].header == tuple(HEADER.split(","))


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_csv_whose_last_line_has_no_newline_may_be_cut_unless_its_sidecar_knows_it(
    tmp_path: Path, name: str
) -> None:
    text = f"{HEADER}\n1,2,3,4,5,6\n1,2,3,4,5,6".encode()

    def seen(data: bytes) -> tuple[int, int]:
        deliver(tmp_path, name, gzip.compress(data) if name.endswith(".gz") else data)
        return found(tmp_path)[name].lines, found(tmp_path)[name].unfinished

    assert seen(text + b"\n") == (2, 0)
    assert seen(HEADER.encode()) == (0, 0)
    assert seen(text) == (2, 3), "the line is counted from the header's on"
    path = tmp_path / found(tmp_path)[name].path
    told = json.dumps({"rows": 2, "sha256": survey(path).sha256})
    path.with_name("a.manifest.json").write_text(told)
    assert seen(text) == (2, 0)


@pytest.mark.parametrize("ending", [".jsonl.gz", ".jsonl.zst"])
@pytest.mark.parametrize("kept", [0.2, 0.9, -1])
def test_a_cut_file_is_refused_alone(tmp_path: Path, ending: str, kept: float) -> None:
    noise = random.Random(3).randbytes(200_000).hex().encode()
    packed = gzip.compress(noise) if ending == ".jsonl.gz" else zstandard.ZstdCompressor().compress(noise)
    deliver(tmp_path, f"cut{ending}", packed[: kept if kept < 0 else int(len(packed) * kept)])
    deliver(tmp_path, "whole.jsonl", b"{}\n")
    files = found(tmp_path)
    assert files[f"cut{ending}"].status == "refused"
    assert "cannot be unpacked whole" in files[f"cut{ending}"].note
    assert files["whole.jsonl"].status == "taken"


def test_a_bit_flipped_in_a_gzip_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b'{"a": 1}\n' * 1000))
    packed[-6] ^= 1
    deliver(tmp_path, "flipped.jsonl.gz", bytes(packed))
    assert found(tmp_path)["flipped.jsonl.gz"].status == "refused"


def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "RATIO_FREE_BYTES", 1 << 20)
    deliver(tmp_path, "bomb.jsonl.zst", zstandard.ZstdCompressor().compress(bytes(64 << 20)))
    deliver(tmp_path, "bomb.jsonl.gz", gzip.compress(bytes(64 << 20)))
    assert {d.note for d in found(tmp_path).values()} == {"it unpacks to more than 250 times its size"}
    monkeypatch.setattr(surveys, "MAX_UNPACKED_BYTES", 1 << 20)
    plain = deliver(tmp_path, "long.jsonl", b"x" * (5 << 20))
    assert "more than 1,048,576 bytes" in survey(plain).fault


def test_what_is_no_delivery_is_named(tmp_path: Path) -> None:
    sound = deliver(tmp_path, "sound.jsonl", b"{}\n")
    folder = sound.parent
    deliver(tmp_path, "_hidden.jsonl", b"{}\n")
    deliver(tmp_path, ".hidden.jsonl", b"{}\n")
    deliver(tmp_path, "bell\x07.jsonl", b"{}\n")
    deliver(tmp_path, "table.parquet", b"PAR1")
    deliver(tmp_path, "0-empty.jsonl", b"")
    (folder / "link.jsonl").symlink_to(sound)
    (folder / "folder.jsonl").mkdir()
    os.mkfifo(folder / "pipe.jsonl")
    (folder.parent / "2026-03-01").symlink_to(folder)
    files = found(tmp_path)
    assert files.pop("sound.jsonl").status == files.pop("0-empty.jsonl").status == "taken"
    assert {d.status for d in files.values()} == {"refused"}
    assert {name: d.note for name, d in files.items()} == {
        "_hidden.jsonl": "a name that begins with _ or . is a hidden file's",
        ".hidden.jsonl": "a name that begins with _ or . is a hidden file's",
        "bell\x07.jsonl": "its name holds control characters",
        "table.parquet": "the name must end in .jsonl, .jsonl.gz, .jsonl.zst, .csv, .csv.gz",
        "link.jsonl": "a link is not a delivery",
        "folder.jsonl": "it is not a file",
        "pipe.jsonl": "it is not a file",
        "2026-03-01": "a link is not a delivery",
    }


@pytest.mark.parametrize(
    ("header", "note"),
    [
        (HEADER.replace(",trade_no", ""), "its header lacks trade_no"),
        (HEADER + ",amount_fen", "its header names amount_fen more than once"),
        ("\n", "it has no header line"),
        ("caf\xe9", "its header is not UTF-8"),
        (",".join(f"c{n}" for n in range(70)), "its header has 70 columns, more than 64"),
        ("x" * (1 << 17), "its first line is too long to be a header"),
        ("a,b\rc,d\r", "its lines end in a carriage return alone, not in LF or CRLF"),
        ("a,b\rc,d\r" * (1 << 14), "its lines end in a carriage return alone, not in LF or CRLF"),
    ],
)
def test_a_csv_header_is_checked_by_name(tmp_path: Path, header: str, note: str) -> None:
    deliver(tmp_path, "a.csv", (header + "\n1,2\n").encode("latin-1"))
    assert (found(tmp_path)["a.csv"].status, found(tmp_path)["a.csv"].note) == ("refused", note)


def test_columns_may_stand_in_any_order_and_more_may_stand_there(tmp_path: Path) -> None:
    names = sorted([*HEADER.split(","), "shoe_size"])
    deliver(tmp_path, "a.csv", (",".join(names) + "\n").encode())
    assert (found(tmp_path)["a.csv"].status, found(tmp_path)["a.csv"].header) == ("taken", tuple(names))


def test_a_sidecar_must_match(tmp_path: Path) -> None:
    path = deliver(tmp_path, "a.jsonl", b"{}\n{}\n")
    sidecar = path.with_name("a.manifest.json")
    told = {"rows": 2, "sha256": survey(path).sha256}
    for changed, note in (
        ({}, ""),
        ({"rows": 3}, "it has 2 lines and its sidecar says 3"),
        ({"sha256": "0" * 64}, "its bytes are not those that its sidecar names"),
    ):
        sidecar.write_text(json.dumps({**told, **changed}))
        assert found(tmp_path)["a.jsonl"].note == note
    for text in ("{", "[]", '{"rows": 2}', "[" * 50_000, "\xff"):
        sidecar.write_bytes(text.encode("latin-1"))
        assert found(tmp_path)["a.jsonl"].note == "its sidecar is not readable", text[:20]
    sidecar.write_text(json.dumps({**told, "more": "x" * (1 << 16)}))
    assert found(tmp_path)["a.jsonl"].note == "its sidecar is longer than 65,536 bytes"


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Refuses to open a file from then on, as the kernel does without read permission: root may read everything."""
    locked: set[str] = set()
    opened, streamed = Path.open, pa.input_stream

    def checked(path: Any) -> None:
        if str(path) in locked:
            raise PermissionError(13, "Permission denied", str(path))

    def path_open(self: Path, *args: Any, **options: Any) -> Any:
        checked(self)
        return opened(self, *args, **options)

    def stream(path: Any, **options: Any) -> Any:
        checked(path)
        return streamed(path, **options)

    monkeypatch.setattr(Path, "open", path_open)
    monkeypatch.setattr(surveys.pa, "input_stream", stream)
    return lambda path: locked.symmetric_difference_update({str(path)})


@pytest.mark.parametrize(
    ("name", "stream"), [("a.jsonl", "payments"), ("a.csv.gz", "payments"), ("a.zip", "alipay_bill")]
)
def test_what_may_not_be_read_is_refused_alone_and_tried_again(
    tmp_path: Path, unreadable: Callable[[Path], None], name: str, stream: str
) -> None:
    path = deliver(tmp_path, name, gzip.compress(f"{HEADER}\n".encode()), stream)
    deliver(tmp_path, "empty.jsonl", b"")
    deliver(tmp_path, "whole.jsonl", b"{}\n")
    unreadable(path)
    files = found(tmp_path)
    assert (files[name].status, files[name].note) == ("refused", "it cannot be read: Permission denied")
    assert files["whole.jsonl"].status == files["empty.jsonl"].status == "taken"
    first = files[name]
    known = {(stream, first.path): (first.sha256, first.bytes, first.modified_at, first.status)}
    assert first.path not in {d.path for d in deliveries(tmp_path, DAY, DAY, known)}, "nothing new to say"
    unreadable(path)
    assert first.path in {d.path for d in deliveries(tmp_path, DAY, DAY, known)}, "readable by now"


def test_a_sidecar_that_may_not_be_read_refuses_its_file_alone(
    tmp_path: Path, unreadable: Callable[[Path], None]
) -> None:
    path = deliver(tmp_path, "a.jsonl", b"{}\n")
    deliver(tmp_path, "b.jsonl", b"{ }\n")
    sidecar = path.with_name("a.manifest.json")
    sidecar.write_text(json.dumps({"rows": 1, "sha256": survey(path).sha256}))
    unreadable(sidecar)
    files = found(tmp_path)
    assert (files["a.jsonl"].note, files["b.jsonl"].note) == ("its sidecar is not readable", "")


def test_a_name_that_is_not_utf8_is_stored_as_text(tmp_path: Path) -> None:
    name = os.fsdecode("账单.jsonl".encode("gbk"))
    deliver(tmp_path / "landing", name, b"{}\n")
    deliver(tmp_path / "landing", name, b"PK", "alipay_bill")
    deliver(tmp_path / "landing", "账单.jsonl", b"{}\n")
    run: Any = SimpleNamespace(record=SimpleNamespace(posted_at=datetime(2026, 3, 2, tzinfo=UTC), run_id="r"))
    files = deliveries(tmp_path / "landing", DAY, DAY, {})
    lake, rows = tmp_path / "lake", [file_row(run, d, {}) for d in files]
    stored = deltalog.rows(lake, "raw_files", write_rows(lake, table("raw_files"), rows, "r"))
    # Two of the four bytes happen to be UTF-8.
    told = "payments/2026-03-02/\\udcd5˵\\udca5.jsonl"
    by_path = {row["path"]: (row["file_status"], row["file_note"]) for row in stored}
    assert by_path == {
        "payments/2026-03-02/账单.jsonl": ("taken", None),
        told: ("refused", "its name is not UTF-8"),
        told.replace("payments", "alipay_bill"): ("refused", "its name is not UTF-8"),
    }
    for line in file_lines(files):
        assert line.encode()
    known = {(d.stream, d.path): (d.sha256, d.bytes, d.modified_at, d.status) for d in files}
    assert deliveries(tmp_path / "landing", DAY, DAY, known) == []


def test_known_files_are_passed_over_and_changed_ones_noted(tmp_path: Path) -> None:
    deliver(tmp_path, "a.jsonl", b"{}\n")
    first = found(tmp_path)["a.jsonl"]
    known = {("payments", first.path): (first.sha256, first.bytes, first.modified_at, first.status)}
    assert deliveries(tmp_path, DAY, DAY, known) == []
    deliver(tmp_path, "again.jsonl", b"{}\n")
    (again,) = deliveries(tmp_path, DAY, DAY, known)
    assert (again.status, again.note) == ("repeated", f"same bytes as {first.path}")
    deliver(tmp_path, "a.jsonl", b"{}\n{}\n")
    changed = next(d for d in deliveries(tmp_path, DAY, DAY, known) if d.path == first.path)
    assert (changed.status, changed.note) == ("taken", "this name was delivered before with other bytes")


def test_lines_before_each_split_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "CHUNK", 64)
    monkeypatch.setattr(surveys, "BLOCK_BYTES", 128)
    draw = random.Random(5)
    lines = [b"x" * draw.randrange(60) for _ in range(200)]
    data = b"\n".join(lines) + b"\n"
    starts = [0]
    for text in lines:
        starts.append(starts[-1] + len(text) + 1)
    seen = survey(deliver(tmp_path, "a.jsonl", data))
    assert seen.lines == 200
    # A reader of a split takes the lines that begin after its first byte, for the one before reads on to a line's end.
    for n, before in enumerate(seen.blocks):
        expected = 0 if n == 0 else sum(1 for at in starts if at <= n * 128)
        assert before == expected, n


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", True),
        (b"plain\n", True),
        ("五福 \U0001f600 é\n".encode() * 9, True),
        (b"plain\n\x00\x7f", True),
        (b"\xff\n", False),
        (b"cut \xe4\xba", False),
        (b"\xe4\xba\n\x94\n", False),
        (b"an overlong slash \xc0\xaf\n", False),
        (b"half a pair \xed\xa0\x80\n", False),
        (b"beyond \xf4\x90\x80\x80\n", False),
        (b"plain\n" * 9 + b"\x80\n" + b"plain\n" * 9, False),
    ],
)
@pytest.mark.parametrize("chunk", [1, 2, 3, 64])
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_is_known_as_text_only_where_every_byte_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, text: bool, chunk: int, packed: bool
) -> None:
    monkeypatch.setattr(surveys, "CHUNK", chunk)
    name, told = ("a.jsonl.gz", gzip.compress(data)) if packed else ("a.jsonl", data)
    assert survey(deliver(tmp_path, name, told)).text is text


@pytest.mark.parametrize("chunk", [1, 4, 64])
def test_a_file_without_a_backslash_is_known_to_hide_no_character(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(surveys, "CHUNK", chunk)
    plain, hiding = b'{"a":"b/c"}\n', b'{"a":"b"}\n{"a":"\\u0000"}\n'
    assert not survey(deliver(tmp_path, "a.jsonl", plain)).escapes
    assert survey(deliver(tmp_path, "b.jsonl", hiding)).escapes
    assert survey(deliver(tmp_path, "c.jsonl.gz", gzip.compress(hiding))).escapes


def test_what_a_day_lacks_is_said_before_spark_starts(tmp_path: Path) -> None:
    settings = Settings(lake=tmp_path / "lake", landing=tmp_path / "landing", exports=tmp_path / "exports")
    with pytest.raises(InputMissing, match="does not exist"):
        require_inputs(settings, DAY, ())
    deliver(settings.landing, "a.jsonl", b"")
    with pytest.raises(InputMissing, match="no folder dated 2026-03-02 for mini_program, life_account"):
        require_inputs(settings, DAY, ())
    let_go = ("mini_program", "life_account")
    with pytest.raises(InputMissing, match="No pseudonym key"):
        require_inputs(settings, DAY, let_go)
    require_inputs(settings.with_(pseudonym_key=b"k" * 40), DAY, let_go)
    with pytest.raises(UsageError, match="paymnts is not required"):
        require_complete(settings.landing, DAY, ("paymnts",))
