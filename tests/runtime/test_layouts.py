"""Orders of fields that a delivery's lines seem to have: the frequent ones, of declared names only, never an error."""

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ccare.runtime.intake import Delivery
from ccare.runtime.layouts import LAYOUTS_MAX, layouts
from ccare.tables.streams import PAYMENTS

DAY = date(2026, 3, 2)


def delivered(folder: Path, name: str, content: bytes, header: tuple[str, ...] = ()) -> Delivery:
    (folder / name).write_bytes(content)
    when = datetime(2026, 3, 2, tzinfo=UTC)
    return Delivery("payments", name, DAY, DAY, len(content), name, 1, when, "taken", header=header)


def line(*names: str) -> bytes:
    return json.dumps(dict.fromkeys(names, "x")).encode() + b"\n"


PAID, BACK = ("event_id", "trade_no", "amount_fen"), ("trade_no", "event_id", "refund_no")


def test_the_most_frequent_orders_come_first(tmp_path: Path) -> None:
    content = line(*BACK) + line(*PAID) * 3 + line("event_id") + line("trade_no") * 2 + line(*BACK) * 2
    found = layouts([delivered(tmp_path, "a.jsonl", content)], tmp_path, PAYMENTS)
    assert found[0] in (PAID, BACK)
    assert set(found) == {PAID, BACK, ("trade_no",)}
    assert len(found) == LAYOUTS_MAX


def test_of_several_files_the_largest_tells_packed_or_not(tmp_path: Path) -> None:
    files = [
        delivered(tmp_path, "a.jsonl", line(*PAID)),
        delivered(tmp_path, "b.jsonl.gz", gzip.compress(line(*BACK), compresslevel=0)),
        delivered(tmp_path, "c.csv", b"event_id\n" * 200, header=("event_id",)),
    ]
    assert files[1].bytes > files[0].bytes
    assert layouts(files, tmp_path, PAYMENTS) == (BACK,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}\n[]\n5\nnull\n\xff\n{\n" + b"[" * 40_000 + b"\n",
        line("13800138000", "event_id"),
        b'{"event_id": 1, "event_id": 2}\n',
        b'["event_id", 1]\n[{"event_id": 1}]\n"event_id"\n',
    ],
    ids=["nothing", "no objects", "a name that nobody declared", "a name twice", "lists"],
)
def test_what_is_no_object_of_declared_names_is_no_order(tmp_path: Path, content: bytes) -> None:
    assert layouts([delivered(tmp_path, "a.jsonl", content)], tmp_path, PAYMENTS) == ()


def test_a_missing_file_and_a_broken_one_have_none(tmp_path: Path) -> None:
    gone = delivered(tmp_path, "gone.jsonl", line(*PAID))
    (tmp_path / "gone.jsonl").unlink()
    assert layouts([gone], tmp_path, PAYMENTS) == ()
    broken = delivered(tmp_path, "a.jsonl.gz", b"no gzip")
    assert layouts([broken], tmp_path, PAYMENTS) == ()
