"""Ids that lines of a delivery seem to share: found whatever the spelling, and never an error."""

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ccare.runtime import twins as guessing
from ccare.runtime.intake import Delivery
from ccare.runtime.twins import twins

DAY = date(2026, 3, 2)


def delivered(folder: Path, name: str, content: bytes, header: tuple[str, ...] = ()) -> Delivery:
    (folder / name).write_bytes(content)
    when = datetime(2026, 3, 2, tzinfo=UTC)
    return Delivery(
        "payments", name, DAY, DAY, len(content), name, content.count(b"\n"), when, "taken", header=header
    )


def lines(*ids: str, apart: str = ":") -> bytes:
    said = (json.dumps({"event_type": "paid", "event_id": each}, separators=(",", apart)) for each in ids)
    return "".join(f"{line}\n" for line in said).encode()


@pytest.mark.parametrize("apart", [":", ": ", " : "], ids=["tight", "spaced", "wide"])
def test_ids_of_one_file_and_of_two_are_found_whatever_the_spacing(tmp_path: Path, apart: str) -> None:
    files = [
        delivered(tmp_path, "a.jsonl", lines("one", "two", "one", "it's", apart=apart)),
        delivered(tmp_path, "b.jsonl.gz", gzip.compress(lines("two", "three", "it's", apart=apart))),
    ]
    assert sorted(twins(files, tmp_path, tmp_path)) == ["it's", "one", "two"]


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    broken = (
        b"\xff\xfe\n\n{\n"
        + b"\x01\n"
        + b'{"event_id":"'
        + b"x" * (2 << 20)
        + b'"}\n'
        + b'{"event_id":""}\n' * 2
    )
    found = twins([delivered(tmp_path, "a.jsonl", lines("one") + broken + lines("one"))], tmp_path, tmp_path)
    assert found in ([], ["one"])


def test_a_csv_file_a_missing_one_and_a_pattern_give_no_guess(tmp_path: Path) -> None:
    table = delivered(tmp_path, "a.csv", b"event_id\n1\n1\n", header=("event_id",))
    assert twins([table], tmp_path, tmp_path) == []
    gone = delivered(tmp_path, "gone.jsonl", lines("one", "one"))
    (tmp_path / "gone.jsonl").unlink()
    assert twins([gone], tmp_path, tmp_path) == []
    pattern = delivered(tmp_path, "[a].jsonl", lines("one", "one"))
    assert twins([pattern], tmp_path, tmp_path) in ([], ["one"])


def test_a_delivery_that_says_everything_twice_gives_no_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guessing, "TWINS_MAX", 2)
    few = [delivered(tmp_path, "few.jsonl", lines("1", "2", "1", "2", "3"))]
    many = [delivered(tmp_path, "many.jsonl", lines("1", "2", "3", "1", "2", "3"))]
    assert sorted(twins(few, tmp_path, tmp_path)) == ["1", "2"]
    assert twins(many, tmp_path, tmp_path) == []
