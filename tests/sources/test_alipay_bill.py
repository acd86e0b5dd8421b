"""Alipay bills: every trap of the published format, and no line taken from a file that does not add up."""

import gzip
import stat
import zipfile
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccare.sources import bill_files
from ccare.sources.alipay_bill import bill_lines
from ccare.sources.bill_text import text_lines
from ccare.sources.bills import BillRefused, fen, half_up, units
from tests.sources import bill_writer as w
from tests.sources.bill_lines import BillLine, one_by_one

ROWS = [
    w.alipay_row(trade_no="2026030122001", amount=1250, discount=50, platform=20, fee=7),
    w.alipay_row(trade_no="2026030122002", amount=990, name='拿铁, 大杯 "热"', at="2026-03-01 23:59:59"),
    w.alipay_row(trade_no="2026030122001", amount=200, refund_no="rf-1", fee=1, at="2026-03-01 12:00:00"),
    w.alipay_row(
        trade_no="2026030122001", amount=300, discount=50, refund_no="rf-2", at="2026-03-01 13:00:00"
    ),
    w.alipay_row(trade_no="2026030122003", amount=0),
]


def merchant_of(account: str) -> str:
    if account != w.ACCOUNT:
        raise BillRefused(f"Nobody has the account ending in {account[-4:]}.")
    return "m1"


def parsed(path: Path) -> list[BillLine]:
    return one_by_one(bill_lines(path, merchant_of))


def parsed_text(folder: Path, text: str, encoding: str = "gb18030", name: str = "bill.csv") -> list[BillLine]:
    (folder / name).write_bytes(text.encode(encoding))
    return parsed(folder / name)


def test_lines_of_a_bill(tmp_path: Path) -> None:
    first, second, partial, rest, free = parsed_text(tmp_path, w.alipay_text(ROWS))
    assert first == BillLine(
        position=6,
        merchant_id="m1",
        line_key="paid|2026030122001|",
        trade_no="2026030122001",
        merchant_order_no="o-2026030122001",
        kind="paid",
        refund_no=None,
        occurred_at=w.at("2026-03-01 08:00:05"),
        amount_fen=1250,
        receipt_fen=1200,
        merchant_discount_fen=50,
        platform_discount_fen=20,
        fee_fen=7,
    )
    assert (second.trade_no, second.amount_fen, second.reasons) == ("2026030122002", 990, ""), (
        "a quoted comma"
    )
    assert (partial.kind, partial.trade_no, partial.refund_no) == ("refunded", first.trade_no, "rf-1")
    assert (partial.amount_fen, partial.fee_fen, partial.occurred_at) == (200, 1, w.at("2026-03-01 12:00:00"))
    assert (rest.line_key, rest.receipt_fen) == ("refunded|2026030122001|rf-2", 250)
    assert (free.amount_fen, free.reasons) == (0, ""), "a trade of nothing is a trade"


def test_zip_of_detail_and_summary_with_gbk_names(tmp_path: Path) -> None:
    w.alipay_zip(tmp_path / "bill.zip", ROWS)
    with zipfile.ZipFile(tmp_path / "bill.zip") as archive:
        assert not any(info.flag_bits & 0x800 for info in archive.infolist()), "the platform sets no flag"
    with bill_files.opened(tmp_path / "bill.zip") as members:
        assert members[0].name.endswith("_业务明细.csv")
    assert parsed(tmp_path / "bill.zip") == parsed_text(tmp_path, w.alipay_text(ROWS))


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_encodings_line_ends_and_gzip(tmp_path: Path, encoding: str, end: str) -> None:
    text = w.alipay_text(ROWS).replace("\r\n", end)
    lines = parsed_text(tmp_path, text, encoding)
    assert [line.amount_fen for line in lines] == [1250, 990, 200, 300, 0]
    (tmp_path / "bill.csv.gz").write_bytes(gzip.compress(text.encode(encoding)))
    assert parsed(tmp_path / "bill.csv.gz") == lines


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    expected = parsed_text(tmp_path, w.alipay_text(ROWS))
    turned = [*w.ALIPAY_HEADER[5:], *w.ALIPAY_HEADER[:5]]
    assert parsed_text(tmp_path, w.alipay_text(ROWS, header=turned)) == expected
    unionpay = [*w.ALIPAY_HEADER[:-2], "实收净额（元）", "商户识别号", "交易方式", "备注"]
    assert parsed_text(tmp_path, w.alipay_text(ROWS, header=unionpay)) == expected
    half = w.alipay_text(ROWS).replace("（元）", "(元)")
    assert parsed_text(tmp_path, half) == expected
    lacking = [name for name in w.ALIPAY_HEADER if name != "完成时间"]
    with pytest.raises(BillRefused, match="no column 完成时间"):
        parsed_text(tmp_path, w.alipay_text(ROWS, header=lacking))


@pytest.mark.parametrize(
    ("old", "new", "total"),
    [
        ("9.90\t,9.90", "9.90\t,9.91", "交易合计 商家实收 is 21.90 and its 3 lines give 21.91"),
        ("商家实收共21.90元", "商家实收共21.91元", "交易合计 商家实收 is 21.91 and its 3 lines give 21.90"),
        ("商家优惠共0.50元", "商家优惠共0.51元", "交易合计 商家优惠"),
        (
            "商家实收退款共-4.50元",
            "商家实收退款共-4.49元",
            "退款合计 商家实收 is 4.49 and its 2 lines give 4.50",
        ),
        ("交易合计：3笔", "交易合计：4笔", "交易合计 笔数 is 4 and its 3 lines give 3"),
        ("退款合计：2笔", "退款合计：1笔", "退款合计 笔数"),
    ],
)
def test_one_fen_changed_and_the_file_is_refused(tmp_path: Path, old: str, new: str, total: str) -> None:
    text = w.alipay_text(ROWS)
    assert text.count(old) == 1
    with pytest.raises(BillRefused, match=total):
        parsed_text(tmp_path, text.replace(old, new))


def test_the_summary_must_agree_and_a_cut_bill_is_refused(tmp_path: Path) -> None:
    summary = w.alipay_summary(ROWS)
    for old, new, what in (("3\t", "4\t", "交易订单总笔数"), ("17.40,", "17.41,", "订单金额")):
        w.alipay_zip(tmp_path / "bill.zip", ROWS, summary=summary.replace(old, new))
        with pytest.raises(BillRefused, match=what):
            parsed(tmp_path / "bill.zip")
    text = w.alipay_text(ROWS)
    with pytest.raises(BillRefused, match="without its footer"):
        parsed_text(
            tmp_path, text[: text.index("#-----------------------------------------业务明细列表结束")]
        )
    with pytest.raises(BillRefused, match="no 退款合计"):
        parsed_text(tmp_path, text[: text.index("#退款合计")])
    with pytest.raises(BillRefused, match="cells and its header"):
        parsed_text(tmp_path, text.replace("rf-1\t,", "rf-1\t,,"))


UNCOVERED = ("商家红包消费金额（元）", "支付宝红包（元）", "集分宝（元）", "支付宝优惠（元）", "服务费（元）")


def test_the_page_says_which_columns_no_total_covers(tmp_path: Path) -> None:
    """One fen more in a line of the detail, every total left as it was: docs/how-to/bills.md names what that passes."""
    for name in (*UNCOVERED, "订单金额（元）"):
        told = w.yuan(fen(ROWS[0].get(name, "0.00")) + 1)
        detail = w.alipay_text([{**ROWS[0], name: told}, *ROWS[1:]])
        assert len(parsed_text(tmp_path, detail)) == len(ROWS), f"{name}: the footer does not tell it"
        w.alipay_zip(tmp_path / "bill.zip", ROWS, detail=detail)
        if name in UNCOVERED:
            assert len(parsed(tmp_path / "bill.zip")) == len(ROWS), f"{name}: nor does the summary"
        else:
            with pytest.raises(BillRefused, match="汇总 订单金额"):
                parsed(tmp_path / "bill.zip")
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "bills.md").read_text(encoding="utf-8")
    (said,) = (part for part in page.split("\n\n") if part.startswith("So of an Alipay bill"))
    assert all(name.removesuffix("（元）") in said for name in UNCOVERED)


def test_bad_lines_name_every_reason_and_keep_no_person(tmp_path: Path) -> None:
    bad = w.alipay_row(
        trade_no="4.00123E+27", amount=100, refund_no="", at="2026-02-30 10:00:00", operator="李雷"
    )
    bad["服务费（元）"] = "0.001"
    strange = {**w.alipay_row(trade_no="t9", amount=5), "业务类型": "代扣"}
    turned = {**w.alipay_row(trade_no="t8", amount=5), "订单金额（元）": "-0.05"}
    unnamed = {
        **w.alipay_row(trade_no="", amount=7, refund_no="rf"),
        "退款批次号/请求号": "",
        "业务类型": "退款",
    }
    lines = parsed_text(tmp_path, w.alipay_text([bad, strange, turned, unnamed, *ROWS]))
    assert [line.reasons for line in lines[:4]] == [
        "bad_fee_fen,bad_trade_no,bad_occurred_at",
        "unknown_kind",
        "sign_against_kind",
        "missing_trade_no,missing_refund_no",
    ]
    assert all(line.reasons == "" and line.payload is None for line in lines[4:])
    told = "".join(str(line) for line in lines)
    for personal in ("津水", "602", "李雷", "咖啡", "拿铁", w.ACCOUNT):
        assert personal not in told
    assert lines[0].payload and '"服务费(元)": "0.001"' in lines[0].payload and lines[0].digest


def test_nul_is_a_reason_and_text_is_data(tmp_path: Path) -> None:
    odd = "x' or '1'='1`;drop"
    rows = [w.alipay_row(trade_no=odd, amount=1), w.alipay_row(trade_no="t\0t", amount=2)]
    lines = parsed_text(tmp_path, w.alipay_text(rows))
    assert (lines[0].trade_no, lines[0].reasons, lines[1].reasons) == (odd, "", "nul_character")


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("#支付宝账务明细查询\n#账号：[1]\n账务流水号,业务流水号,商户订单号,业务类型", "账务明细"),
        ("#支付宝业务汇总查询\n门店编号,门店名称,交易订单总笔数", "业务汇总"),
        (
            "支付宝（中国）\n交易时间,交易分类,交易对方,对方账号,商品说明,收/支,金额,收/付款方式,交易状态",
            "consumer",
        ),
        (",".join(w.WECHAT_HEADER), "Deliver it to wechat_bill"),
        (
            "微信支付账单明细\n交易时间,交易类型,交易对方,商品,收/支,金额(元),支付方式,当前状态",
            "consumer's WeChat",
        ),
        ("交易,of,another,kind", "no export that is known"),
    ],
)
def test_another_export_is_refused_by_name(tmp_path: Path, head: str, told: str) -> None:
    for encoding in ("gb18030", "utf-8"):
        with pytest.raises(BillRefused) as refused:
            parsed_text(tmp_path, head + "\n", encoding)
        assert told in str(refused.value) and "业务明细" in refused.value.remedy


def test_files_that_are_no_text_or_too_long_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BillRefused, match="no bill that is known"):
        parsed_text(tmp_path, w.alipay_text(ROWS), "utf-16")
    with pytest.raises(BillRefused, match="no bill that is known"):
        parsed_text(tmp_path, "")
    broken = w.alipay_text(ROWS).encode("gb18030") + b"\xff\xff\n"
    (tmp_path / "bill.csv").write_bytes(broken)
    with pytest.raises(BillRefused, match="not text"):
        parsed(tmp_path / "bill.csv")
    with pytest.raises(BillRefused, match="longer than"):
        parsed_text(tmp_path, w.alipay_text(ROWS) + "#" + "x" * (2 << 20))
    with pytest.raises(BillRefused, match="ending in 9999"):
        parsed_text(tmp_path, w.alipay_text(ROWS, account="2088000000009999"))


def _zipped(
    path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], packed: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(path, "w", packed) as archive:
        for member, data in members:
            archive.writestr(member, data)
    return path


def test_archive_attacks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = w.alipay_text(ROWS).encode("gb18030")
    link = zipfile.ZipInfo("link.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    inner = _zipped(tmp_path / "inner.zip", ("a.csv", text)).read_bytes()
    locked = bytearray(_zipped(tmp_path / "x.zip", ("a.csv", text)).read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(signature) + flags] |= 1
    cut = _zipped(tmp_path / "x.zip", ("a.csv", text)).read_bytes()
    # The data says otherwise than its checksum.
    turned = bytearray(_zipped(tmp_path / "x.zip", ("a.csv", text), packed=zipfile.ZIP_STORED).read_bytes())
    turned[turned.index("咖啡".encode("gb18030"))] ^= 1
    attacks = {
        r"leads out of it": _zipped(tmp_path / "1.zip", ("../a.csv", text)),
        r"absolute path": _zipped(tmp_path / "2.zip", ("/etc/a.csv", text)),
        r"leads out of it \(": _zipped(tmp_path / "3.zip", ("..\\a.csv", text)),
        r"a link as a member": _zipped(tmp_path / "4.zip", (link, b"/etc/passwd")),
        r"another archive": _zipped(tmp_path / "5.zip", ("a.zip", inner)),
        r"archive inside an archive": _zipped(tmp_path / "6.zip", ("a.csv", inner)),
        r"more than 8 members": _zipped(tmp_path / "7.zip", *((f"{n}.csv", b"") for n in range(9))),
        r"of more than 8 members": _zipped(tmp_path / "8.zip", *((f"{n}.csv", b"") for n in range(3000))),
        r"more than 200 times": _zipped(tmp_path / "9.zip", ("a.csv", text + b"0" * (40 << 20))),
        r"unusual way": _zipped(tmp_path / "10.zip", ("a.csv", text), packed=zipfile.ZIP_BZIP2),
        r"without a csv": _zipped(tmp_path / "11.zip", ("a.txt", text)),
        r"2 detail files": _zipped(tmp_path / "12.zip", ("a.csv", text), ("b.csv", text)),
        r"encrypted": _written(tmp_path / "13.zip", bytes(locked)),
        r"end is missing": _written(tmp_path / "14.zip", cut[: len(cut) // 2]),
        r"unpacked whole": _written(tmp_path / "15.zip", bytes(turned)),
        r"cannot be unpacked": _written(tmp_path / "16.csv.gz", gzip.compress(text)[:-20]),
        r"archive inside": _written(tmp_path / "17.csv", inner),
    }
    for told, path in attacks.items():
        with pytest.raises(BillRefused, match=told):
            parsed(path)
    monkeypatch.setattr(bill_files, "MAX_UNPACKED_BYTES", 100)
    for path in (_zipped(tmp_path / "18.zip", ("a.csv", text)), _written(tmp_path / "19.csv", text)):
        with pytest.raises(BillRefused, match="unpacks to more"):
            parsed(path)


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


_FEN = st.integers(0, 10**12)
_TEXT = st.text(st.characters(codec="gb18030", exclude_categories=("Cs", "Cc")), max_size=12)
_BILL = st.lists(
    st.tuples(_FEN, st.integers(0, 10**6), st.booleans(), _TEXT, st.integers(0, 10**6)), max_size=30
)


@settings(max_examples=60, deadline=None)
@given(_BILL, st.sampled_from(["gb18030", "utf-8-sig"]))
def test_random_bills_come_back_line_by_line(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[int, int, bool, str, int]], encoding: str
) -> None:
    rows = [
        w.alipay_row(trade_no=f"t{n}", amount=amount, receipt=amount, platform=discount, fee=fee, name=name,
                     refund_no=f"r{n}" if refund else "")
        for n, (amount, discount, refund, name, fee) in enumerate(told)
    ]  # fmt: skip
    lines = parsed_text(tmp_path_factory.mktemp("bill"), w.alipay_text(rows), encoding)
    found = [(b.amount_fen, b.platform_discount_fen, b.kind == "refunded", b.fee_fen) for b in lines]
    assert found == [(amount, discount, refund, fee) for amount, discount, refund, _, fee in told]
    assert all(line.reasons == "" for line in lines)


@given(st.decimals(-(10**12), 10**12, places=2))
def test_yuan_to_fen_equals_decimal(value: Decimal) -> None:
    assert fen(f"{value:f}") == int(value * 100)


@given(st.integers(-(10**15), 10**15))
def test_half_up_equals_decimal(value: int) -> None:
    expected = (Decimal(value) / 1000).quantize(Decimal(1), ROUND_HALF_UP)
    assert half_up(value, 1000) == int(expected)


@pytest.mark.parametrize(
    "text",
    ["-", ".5", "1.", "1e3", "1,000.00", "１.00", "1_0", " 1", "+1", "0.001", "9" * 16, "nan", "²"],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        fen(text)


def test_more_decimals_only_where_they_say_nothing() -> None:
    assert (fen("1.500"), fen("-0.05"), fen("7"), units("0.05940", 5)) == (150, -5, 700, 5940)


def test_a_bill_is_never_held_whole() -> None:
    text = w.alipay_text(ROWS * 40_000).encode("gb18030")
    chunks = (text[at : at + bill_files.CHUNK] for at in range(0, len(text), bill_files.CHUNK))
    left = iter(enumerate(chunks, start=1))
    read = 0

    def counted() -> Iterator[bytes]:
        nonlocal read
        for read, chunk in left:  # noqa: B007
            yield chunk

    lines = text_lines(counted())
    for _ in range(10):
        next(lines)
    assert read <= 2 < len(text) // bill_files.CHUNK, "a line is handed on before the next chunk is read"
