"""A bill's columns hold what its lines say one by one, wherever it is cut into blocks and whatever a cell holds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccare.sources import alipay_bill, bill_files, bill_text, wechat_bill
from ccare.sources.bill_columns import amounts, exact_sum, instants
from ccare.sources.bills import fen
from tests.sources import bill_writer as w
from tests.sources.bill_lines import BillLine, one_by_one

NAMES = ("咖啡", "拿铁, 大杯", '5" 盘, 圆', "卡布奇诺（热）", "")


def bills(folder: Path) -> dict[str, Path]:
    """A bill of each format, with quotes, blank lines, faults, refunds and a NUL among its lines."""
    told = []
    for n in range(60):
        row = {
            "trade_no": f"2026{n:06d}",
            "amount": n * 37,
            "name": NAMES[n % 5],
            "at": f"2026-03-01 10:{n:02d}:00",
        }
        row |= {"refund_no": f"r{n}"} if n % 7 == 3 else {}
        row |= {"trade_no": "4.2E+27"} if n == 21 else {"trade_no": f"t\0{n}"} if n == 40 else {}
        told.append(row | ({"at": "2026-02-30 10:00:00"} if n == 33 else {}))
    texts = {"alipay": w.alipay_text([w.alipay_row(**row) for row in told]),
             "wechat": w.wechat_text([w.wechat_row(**row) for row in told])}  # fmt: skip
    paths = {}
    for name, text in texts.items():
        lines = text.split("\r\n")
        lines.insert(20, "")
        lines.insert(31, " \t ")
        paths[name] = folder / f"{name}.csv"
        paths[name].write_bytes("\r\n".join(lines).encode("gb18030" if name == "alipay" else "utf-8"))
    return paths


def read(name: str, path: Path) -> list[BillLine]:
    module = {"alipay": alipay_bill, "wechat": wechat_bill}[name]
    return one_by_one(module.bill_lines(path, lambda account: f"m{account[-1]}"))


@pytest.mark.parametrize("name", ["alipay", "wechat"])
@pytest.mark.parametrize("chunk", [61, 499, 1000, 4096])
def test_lines_are_the_same_wherever_a_bill_is_cut(
    name: str, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bills(tmp_path)[name]
    whole = read(name, path)
    assert len(whole) == 60
    monkeypatch.setattr(bill_files, "CHUNK", chunk)
    monkeypatch.setattr(bill_text, "LINE_MAX", 900)
    assert read(name, path) == whole
    faulty = {line.trade_no: line.reasons for line in whole if line.reasons}
    assert faulty == {
        "4.2E+27": "bad_trade_no",
        "t\0" + "40": "nul_character",
        "2026000033": "bad_occurred_at",
    }
    written = path.read_bytes().decode("gb18030" if name == "alipay" else "utf-8").split("\r\n")
    for line in whole:
        assert line.trade_no in written[line.position - 1].replace("\t", ""), "each knows its place"


@settings(deadline=None)
@given(st.lists(st.integers(-(2**62), 2**62), max_size=40))
def test_a_sum_is_exact_however_large(values: list[int]) -> None:
    assert exact_sum(pa.array(values, pa.int64())) == sum(values)


_CLOCK = st.one_of(
    st.datetimes(datetime(1999, 12, 30), datetime(2100, 1, 2)).map(lambda at: f"{at:%Y-%m-%d %H:%M:%S}"),
    st.from_regex(r"20[0-9]{2}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-6][0-9]:[0-6][0-9]", fullmatch=True),
    st.sampled_from(
        ["", "2026-03-01", "2026-03-01T10:00:00", "2026-03-01 10+01:00", "2026-03-01 10:00:00Z", "nan"]
    ),
    st.text(max_size=20),
)


@settings(deadline=None)
@given(st.lists(_CLOCK, min_size=1, max_size=12))
def test_times_are_those_of_the_calendar(texts: list[str]) -> None:
    def expected(text: str) -> datetime | None:
        try:
            at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            return None
        padded = f"{at:%Y-%m-%d %H:%M:%S}" == text
        return at - timedelta(hours=8) if padded and 2000 <= at.year < 2100 else None

    assert instants(pa.array(texts)).to_pylist() == [expected(text) for text in texts]


_CELL = st.one_of(
    st.from_regex(r"-?[0-9]{1,17}(\.[0-9]{0,4})?", fullmatch=True),
    st.sampled_from(["", "-", ".5", "1e3", "１.00", "0.000", "-0.00", "1,0.00", " 1.00", "+1.00"]),
)


@settings(deadline=None)
@given(st.lists(st.tuples(_CELL, _CELL), min_size=1, max_size=20))
def test_amounts_are_what_each_cell_says(cells: list[tuple[str, str]]) -> None:
    def expected(text: str) -> int | None:
        try:
            return fen(text)
        except ValueError:
            return None

    columns = [pa.array(column, pa.string()) for column in zip(*cells, strict=True)]
    found = [column.to_pylist() for column in amounts(columns, fen, 2)]
    assert list(zip(*found, strict=True)) == [tuple(map(expected, row)) for row in cells]
