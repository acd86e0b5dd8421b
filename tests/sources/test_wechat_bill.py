"""WeChat Pay bills: back-ticks, positive refunds, five decimals, and a summary that must be met."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccare.sources.bills import BillRefused
from ccare.sources.wechat_bill import bill_lines
from tests.sources import bill_writer as w
from tests.sources.bill_lines import BillLine, one_by_one

ROWS = [
    w.wechat_row(trade_no="4200001", amount=1234, settled=1200, coupon=34, fee="0.07200"),
    w.wechat_row(trade_no="4200002", amount=990, fee="0.05940", name="拿铁, 大杯"),
    w.wechat_row(trade_no="4200001", amount=500, settled=480, refund_no="5030001", fee="-0.02850"),
    w.wechat_row(
        trade_no="4200001", amount=200, refund_no="5030002", fee="-0.01200", at="2026-03-01 09:00:00"
    ),
]


def merchant_of(mch_id: str) -> str:
    if mch_id not in (w.MCH_ID, "1600000009"):
        raise BillRefused(f"Nobody has the number ending in {mch_id[-4:]}.")
    return f"m-{mch_id[-1]}"


def parsed(folder: Path, text: str, encoding: str = "utf-8") -> list[BillLine]:
    path = folder / "bill.csv"
    path.write_bytes(text.encode(encoding))
    return one_by_one(bill_lines(path, merchant_of))


def test_lines_of_a_bill(tmp_path: Path) -> None:
    first, second, partial, rest = parsed(tmp_path, w.wechat_text(ROWS))
    assert first == BillLine(
        position=2,
        merchant_id="m-1",
        line_key="paid|4200001|",
        trade_no="4200001",
        merchant_order_no="o-4200001",
        kind="paid",
        refund_no=None,
        occurred_at=w.at("2026-03-01 08:00:05"),
        amount_fen=1234,
        receipt_fen=1200,
        merchant_discount_fen=34,
        platform_discount_fen=34,
        fee_fen=7,
    )
    assert (second.amount_fen, second.fee_fen, second.reasons) == (990, 6, ""), (
        "a comma in a name; 5.94 fen are 6"
    )
    assert (partial.kind, partial.refund_no, partial.amount_fen, partial.receipt_fen) == (
        "refunded", "5030001", 500, 480)  # fmt: skip
    assert (partial.merchant_discount_fen, partial.fee_fen) == (20, 3), "2.85 fen are 3, a magnitude"
    assert rest.line_key == "refunded|4200001|5030002"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, end: str) -> None:
    assert len(parsed(tmp_path, w.wechat_text(ROWS, end=end), encoding)) == 4


def test_quotes_partners_and_columns_by_name(tmp_path: Path) -> None:
    quoted = w.wechat_text(ROWS).replace("`拿铁, 大杯", '"`拿铁, ""大杯"""')
    assert [line.amount_fen for line in parsed(tmp_path, quoted)] == [1234, 990, 500, 200]
    mid_quote = w.wechat_text(ROWS).replace("`咖啡", '`5" 盘, 圆')
    assert [line.amount_fen for line in parsed(tmp_path, mid_quote)] == [1234, 990, 500, 200]
    turned = [*w.WECHAT_HEADER[9:], *w.WECHAT_HEADER[:9]]
    assert parsed(tmp_path, w.wechat_text(ROWS, header=turned)) == parsed(tmp_path, w.wechat_text(ROWS))
    partner = [w.wechat_row(trade_no="t", amount=1, partner="1600000009")]
    assert parsed(tmp_path, w.wechat_text(partner))[0].merchant_id == "m-9"
    with pytest.raises(BillRefused, match="ending in 7777"):
        parsed(tmp_path, w.wechat_text([*ROWS, w.wechat_row(trade_no="t", amount=1, partner="1600007777")]))


@pytest.mark.parametrize(
    ("old", "new", "total"),
    [
        ("`9.90,`0.00,`\r\n", "`9.91,`0.00,`\r\n", "订单总金额 is 22.24000 and its 4 lines give 22.25000"),
        ("`0.05940", "`0.05941", "手续费总金额 is 0.09090 and its 4 lines give 0.09091"),
        ("`4,`21.90", "`5,`21.90", "总交易单数 is 5 and its 4 lines give 4"),
        ("`4,`21.90,`6.80", "`4,`21.90,`6.81", "退款总金额"),
        ("`22.24,`7.00", "`22.24,`7.01", "申请退款总金额"),
    ],
)
def test_one_unit_changed_and_the_file_is_refused(tmp_path: Path, old: str, new: str, total: str) -> None:
    text = w.wechat_text(ROWS)
    assert text.count(old) == 1, text
    with pytest.raises(BillRefused, match=total):
        parsed(tmp_path, text.replace(old, new))


def test_coupons_of_payments_are_the_only_amount_that_no_total_covers(tmp_path: Path) -> None:
    text = w.wechat_text(ROWS)
    assert len(parsed(tmp_path, text.replace("`0.34,", "`0.35,"))) == 4, "代金券金额"
    names = ("应结订单金额", "退款金额", "充值券退款金额", "手续费", "订单金额", "申请退款金额")
    for name in names:
        other = {**ROWS[0], name: "77.00"}
        line, changed = (w.wechat_text([row]).split("\r\n")[1] for row in (ROWS[0], other))
        with pytest.raises(BillRefused, match="Its total"):
            parsed(tmp_path, text.replace(line, changed))


def test_fees_told_in_fen_and_a_cut_bill(tmp_path: Path) -> None:
    text = w.wechat_text(ROWS)
    assert len(parsed(tmp_path, text.replace("`0.09090", "`0.09"))) == 4
    with pytest.raises(BillRefused, match="手续费总金额"):
        parsed(tmp_path, text.replace("`0.09090", "`0.10"))
    with pytest.raises(BillRefused, match="without its summary"):
        parsed(tmp_path, text[: text.index("总交易单数")])
    with pytest.raises(BillRefused, match="cut short"):
        parsed(tmp_path, text[: text.index("`4,`21.90") + 5])
    assert parsed(tmp_path, w.wechat_text([])) == []


def test_revoked_failed_and_bad_lines(tmp_path: Path) -> None:
    rows = [
        w.wechat_row(trade_no="t1", amount=10, refund_no="r1", status="REVOKED"),
        w.wechat_row(trade_no="t2", amount=10, status="REVOKED"),
        w.wechat_row(trade_no="t3", amount=10, refund_no="r3", refund_status="FAIL"),
        w.wechat_row(trade_no="4.00123E+27", amount=10, currency="USD", at="2026-3-1 8:00"),
        w.wechat_row(trade_no="t5", amount=10, settled=11),
        w.wechat_row(trade_no="t6", amount=10, refund_no="r6", fee="free"),
    ]
    lines = parsed(tmp_path, w.wechat_text([{**row, "手续费": "0"} for row in rows]))
    assert [(line.kind, line.reasons) for line in lines] == [
        ("refunded", ""),
        (None, "revoked_without_refund"),
        ("refunded", "refund_failed"),
        ("paid", "currency_not_cny,bad_trade_no,bad_occurred_at"),
        ("paid", "sign_against_kind"),
        ("refunded", ""),
    ]
    text = w.wechat_text([{**row, "手续费": "0"} for row in rows])
    bad_fee = parsed(tmp_path, text.replace("`r6,`o-r6,`0.10,`0.00,`,`PROCESSING,`咖啡,`,`0,", "`r6,`o-r6,`0.10,`0.00,`,`PROCESSING,`咖啡,`,`0.000001,"))  # fmt: skip # noqa: E501
    assert bad_fee[-1].reasons == "bad_fee_fen"
    assert w.OPENID not in str(lines) and "咖啡" not in str(lines) and w.MCH_ID not in str(lines)


_SUCCESS = [name for name in w.WECHAT_HEADER if "退款" not in name]


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (",".join(_SUCCESS), "SUCCESS"),
        (",".join([*w.WECHAT_HEADER[:14], "退款申请时间", "退款成功时间", *w.WECHAT_HEADER[14:]]), "REFUND"),
        ("记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额（元）", "fund flow"),
        ("微信支付账单明细,,\n交易时间,交易类型,交易对方,商品,收/支,金额(元),支付方式,当前状态", "consumer"),
        ("#支付宝业务明细查询\n" + ",".join(w.ALIPAY_HEADER), "Deliver it to alipay_bill"),
        ("#支付宝账务明细查询\n账务流水号,业务流水号", "账务明细"),
    ],
)
def test_another_export_is_refused_by_name(tmp_path: Path, head: str, told: str) -> None:
    with pytest.raises(BillRefused) as refused:
        parsed(tmp_path, head + "\n")
    assert told in str(refused.value) and "ALL" in refused.value.remedy


_FEN = st.integers(0, 10**12)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            _FEN, st.booleans(), st.integers(0, 10**9), st.text(st.sampled_from("ab,`中\"'"), max_size=6)
        ),
        max_size=30,
    )
)
def test_random_bills_come_back_line_by_line(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[int, bool, int, str]]
) -> None:
    rows = [
        w.wechat_row(trade_no=f"t{n}", amount=amount, refund_no=f"r{n}" if refund else "",
                     fee=f"{fee // 10**5}.{fee % 10**5:05d}", name=name.replace(",`", "、"))
        for n, (amount, refund, fee, name) in enumerate(told)
    ]  # fmt: skip
    lines = parsed(tmp_path_factory.mktemp("bill"), w.wechat_text(rows))
    found = [(b.amount_fen, b.kind == "refunded", b.fee_fen) for b in lines]
    assert found == [(amount, refund, (fee + 500) // 1000) for amount, refund, fee, _ in told]
