"""WeChat Pay trade bill ALL: detail lines as typed rows, equal to its summary row in all seven totals.

Every value has a back-tick before it, which also tells a comma between cells from one inside a name. Refunds are
positive; a refund's own amounts stand in its refund columns. 用户标识 (an openid) is told only where payments are
made of the lines, and an order number that holds it is not; names are never read.

- paid: amount 订单金额, receipt 应结订单金额, merchant discount their difference (coupons that the merchant bears
  are not settled), platform discount 代金券金额
- refunded: amount 申请退款金额, receipt 退款金额, merchant discount their difference, platform 充值券退款金额
- REVOKED with a refund number is a refund; without one the trade was never settled and the line is refused.
  A refund whose 退款状态 is FAIL gave nothing back and is refused too. Both count in the summary.
- 手续费 has five decimals: the summary is checked in 1/100,000 yuan, a line keeps whole fen, halves rounded up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ccare.sources.bill_columns import (
    Cells,
    Faults,
    Refused,
    add_common,
    amounts,
    array_of,
    exact_sum,
    instants,
    none_if_empty,
    once,
    split,
    table_of,
)
from ccare.sources.bill_exports import require_export
from ccare.sources.bill_files import opened
from ccare.sources.bill_text import after, head_of, lines_of, text_blocks
from ccare.sources.bills import (
    PAID,
    REFUNDED,
    BillRefused,
    MerchantOf,
    cells_of,
    columns_of,
    fen,
    half_up,
    named,
    payload,
    require_equal,
    units,
    yuan,
)
from ccare.tables.streams import MASK, OWN_ID_CHARACTERS

STREAM = "wechat_bill"
COLUMNS = (
    "交易时间",
    "商户号",
    "特约商户号|子商户号",
    "微信订单号",
    "商户订单号",
    "交易状态",
    "微信退款单号",
    "退款状态",
    "货币种类",
    "应结订单金额",
    "代金券金额",
    "退款金额",
    "充值券退款金额",
    "手续费",
    "订单金额",
    "申请退款金额",
)
_TEXTS = 9
_FEE = "手续费"
_SUMMED = ("应结订单金额", "退款金额", "充值券退款金额", "手续费", "订单金额", "申请退款金额")
_TOTALS = ("应结订单总金额", "退款总金额", "充值券退款总金额", "手续费总金额", "订单总金额", "申请退款总金额")
_COUNT = "总交易单数"
_KEPT = frozenset(COLUMNS) - {"商户号", "特约商户号|子商户号"}
_NONE = pa.array(["", "0"])
"""A cell that says there is none: no refund number, no partner's merchant."""
_DECIMALS, _FEN = 5, 1000
"""Sums are kept in 1/100,000 yuan, of which 1,000 are a fen."""
_PAYER = "用户标识"
_STATUSES = pa.array(["SUCCESS", "REFUND", "REVOKED"])
_FEE_MAX = 10**17
"""Of a fee, in 1/100,000 yuan: what is greater is none, and its double would not fit 64 bits."""


class _Totals:
    """Lines so far, and each summed column in 1/100,000 yuan."""

    def __init__(self) -> None:
        self.count = 0
        self.sums = dict.fromkeys(_SUMMED, 0)

    def add(self, money: dict[str, pa.Int64Array]) -> None:
        """The lines of a block; their amounts by column, the fee in 1/100,000 yuan and all others in fen."""
        self.count += len(money[_SUMMED[0]])
        for name in _SUMMED:
            self.sums[name] += exact_sum(money[name]) * (1 if name == _FEE else _FEN)


def bill_lines(path: Path, merchant_of: MerchantOf, *, payers: bool = False) -> Iterator[pa.Table]:
    """Every detail line of a delivered bill, in order, as tables of BILL_LINE.

    BillRefused (at any point) says take none of them. With ``payers`` each line names its payer, where the bill has
    the column.
    """
    with opened(path) as members:
        if len(members) > 1:
            raise BillRefused(
                f"It holds {len(members)} csv files; one bill belongs in it.",
                remedy="Deliver each bill as the platform gave it.",
            )
        yield from _tables(text_blocks(members[0].chunks()), merchant_of, payers)


def _tables(blocks: Iterator[bytes], merchant_of: MerchantOf, payers: bool) -> Iterator[pa.Table]:
    head, read = head_of(blocks)
    header = [named(cell) for cell in cells_of(head[0], 1)] if head else []
    if COLUMNS[3] not in header or COLUMNS[15] not in header or "退款申请时间" in header:
        require_export(head, STREAM)
    places = columns_of(header, COLUMNS)
    payer = header.index(_PAYER) if _PAYER in header else None
    bill = _Bill(header, places, merchant_of, payer, payers, _Totals())
    number = 1
    for block in chain((after(read, 1),), blocks):
        lines = array_of(block) if block else pa.array([], pa.string())
        summary = _summary_in(lines)
        found = len(lines) if summary is None else summary
        if found:
            yield bill.table(block, lines.slice(0, found), number + 1)
        number += found
        if summary is not None:
            told = chain(lines_of(block)[summary:], *map(lines_of, blocks))
            _check_summary(next(told), next(told, ""), bill.totals)
            return
    raise BillRefused(
        f"It ends after line {number} without its summary ({_COUNT} …).",
        remedy="The download was cut short: download it again.",
    )


def _summary_in(lines: pa.StringArray) -> int | None:
    """Where the summary's header stands; only a line without a back-tick before it can be one."""
    for line in np.flatnonzero(~np.asarray(pc.starts_with(lines, "`"))).tolist():
        if named(lines[line].as_py().split(",", 1)[0]) == _COUNT:
            return line
    return None


@dataclass(frozen=True)
class _Bill:
    """What a bill's lines are read by, and what they add up to.

    ``payer``: where the payer's column stands; ``names_payer``: whether it is asked for.
    """

    header: list[str]
    places: list[int]
    merchant_of: MerchantOf
    payer: int | None
    names_payer: bool
    totals: _Totals

    def table(self, block: bytes, lines: pa.StringArray, first: int) -> pa.Table:
        """The first ``lines`` of a block, of which ``first`` is the number of the first."""
        cells = self._cells(lines, first)
        texts = dict(zip(COLUMNS, map(cells.column, self.places), strict=True))
        faults = Faults(len(cells.positions))
        if b"\0" in block:
            faults.add("nul_character", pa.array(["\0" in "".join(cells.row(n)) for n in faults.all_lines]))
        money = _money(texts, faults)
        self.totals.add(money)
        status, refund_no = texts["交易状态"], _or_empty(texts["微信退款单号"])
        paid = pc.equal(status, "SUCCESS")
        back = pc.or_(pc.equal(status, "REFUND"), pc.not_equal(refund_no, ""))
        refunded = pc.and_(back, pc.invert(paid))
        known = pc.is_in(status, _STATUSES)
        faults.add("unknown_kind", pc.invert(known))
        faults.add("revoked_without_refund", pc.and_(known, pc.invert(pc.or_(paid, refunded))))
        faults.add("refund_failed", pc.and_(refunded, pc.equal(texts["退款状态"], "FAIL")))
        faults.add("currency_not_cny", pc.not_equal(texts["货币种类"], "CNY"))
        amount = pc.if_else(refunded, money["申请退款金额"], money["订单金额"])
        receipt = pc.if_else(refunded, money["退款金额"], money["应结订单金额"])
        platform = pc.if_else(refunded, money["充值券退款金额"], money["代金券金额"])
        below = pc.less(pc.min_element_wise(amount, receipt, platform), 0)
        faults.add("sign_against_kind", pc.or_(below, pc.greater(receipt, amount)))
        at, trade_no = instants(texts["交易时间"]), texts["微信订单号"]
        told = pc.if_else(refunded, texts["申请退款金额"], texts["订单金额"])
        add_common(faults, refunded, trade_no, refund_no, at, told)
        kind = pc.if_else(paid, PAID, pc.if_else(refunded, REFUNDED, pa.scalar(None, pa.string())))
        own_refund = pc.if_else(refunded, refund_no, "")
        columns = {
            "merchant_id": self._merchants(texts),
            "line_key": pc.binary_join_element_wise(pc.fill_null(kind, "None"), trade_no, own_refund, "|"),
            "trade_no": trade_no,
            "merchant_order_no": none_if_empty(_or_empty(texts["商户订单号"])),
            "kind": kind,
            "refund_no": none_if_empty(own_refund),
            "occurred_at": at,
            "amount_fen": amount,
            "receipt_fen": receipt,
            "merchant_discount_fen": pc.subtract(amount, receipt),
            "platform_discount_fen": platform,
            "fee_fen": _whole_fen(money[_FEE]),
        }
        if self.payer is not None:
            payer = cells.column(self.payer)
            columns["merchant_order_no"] = _without(columns["merchant_order_no"], payer)
            if self.names_payer:
                columns["payer"] = none_if_empty(payer)
        refused = Refused(lambda: lines_of(block), first, lambda row: payload(self.header, row, _KEPT))
        return table_of(columns, cells, faults, refused)

    def _cells(self, lines: pa.StringArray, first: int) -> Cells:
        """By comma and back-tick; by RFC 4180 where that does not give the header's cells."""
        width = len(self.header)

        def by_hand(line: str, number: int) -> list[str] | None:
            if not line.strip():
                return None
            by_ticks = line[1:].split(",`") if line.startswith("`") else []
            by_quotes = [cell.strip().removeprefix("`") for cell in cells_of(line, number)]
            for found in (by_quotes, by_ticks):
                if len(found) == width:
                    return found
            raise BillRefused(
                f"Line {number} has {len(by_quotes)} cells and its header {width}.",
                remedy="Download it again, not saved by a spreadsheet program.",
            )

        quoted = pc.match_substring(lines, '"')
        plain = pc.and_(pc.starts_with(lines, "`"), pc.invert(quoted))
        return split(lines, first, width, plain, ",`", by_hand, skipped=1)

    def _merchants(self, texts: dict[str, pa.StringArray]) -> pa.StringArray:
        partner = texts["特约商户号|子商户号"]
        account = pc.if_else(pc.is_in(partner, _NONE), texts["商户号"], partner)
        return once(account, self.merchant_of, pa.string())


def _or_empty(texts: pa.StringArray) -> pa.StringArray:
    return pc.if_else(pc.is_in(texts, _NONE), "", texts)


def _without(texts: pa.StringArray, payer: pa.StringArray) -> pa.StringArray:
    """``texts``, MASK where one holds its line's payer."""
    pairs = zip(texts.to_pylist(), payer.to_pylist(), strict=True)
    named = [bool(text and one and len(one) >= OWN_ID_CHARACTERS and one in text) for text, one in pairs]
    return pc.if_else(pa.array(named, pa.bool_()), MASK, texts) if any(named) else texts


def _whole_fen(fee: pa.Int64Array) -> pa.Int64Array:
    """A fee's magnitude in whole fen, halves rounded up."""
    return pc.divide(pc.add(pc.multiply(pc.abs(fee), 2), _FEN), 2 * _FEN)


def _money(texts: dict[str, pa.StringArray], faults: Faults) -> dict[str, pa.Int64Array]:
    """Amounts in fen, the fee in 1/100,000 yuan, 0 where there is none; only the fee has more than fen."""
    names = COLUMNS[_TEXTS:]
    fens = [name for name in names if name != _FEE]
    found = dict(zip(fens, amounts([texts[name] for name in fens], fen, 2), strict=True))
    (found[_FEE],) = amounts([texts[_FEE]], _fee, _DECIMALS)
    for name in names:
        faults.add("bad_fee_fen" if name == _FEE else "bad_amount_fen", found[name].is_null())
    return {name: pc.fill_null(found[name], 0) for name in names}


@lru_cache(maxsize=1 << 16)
def _fee(text: str) -> int:
    fee = units(text, _DECIMALS) if text else 0
    if abs(fee) > _FEE_MAX:
        raise ValueError("no fee")
    return fee


def _check_summary(header: str, row: str, totals: _Totals) -> None:
    names = [named(cell) for cell in header.split(",")]
    told = [cell.strip().removeprefix("`").strip() for cell in row.split(",")]
    if len(told) != len(names):
        raise BillRefused("Its summary row is cut short.", remedy="Download it again.")
    (count, *sums) = (told[place] for place in columns_of(names, (_COUNT, *_TOTALS)))
    require_equal(_COUNT, count, str(totals.count), totals.count)
    for name, text, found in zip(_TOTALS, sums, totals.sums.values(), strict=True):
        try:
            value = units(text, _DECIMALS)
        except ValueError:
            raise BillRefused(
                f"Its total {name} is no amount in yuan.", remedy="Download it again."
            ) from None
        # A total of fees may be written in fen: then so is the sum of the lines.
        decimals = max(2, len(text.partition(".")[2]))
        if decimals < _DECIMALS:
            found = half_up(found, 10 ** (_DECIMALS - decimals)) * 10 ** (_DECIMALS - decimals)
        require_equal(name, yuan(value, _DECIMALS), yuan(found, _DECIMALS), totals.count)
