"""WeChat Pay trade bill ALL: detail lines as typed rows, equal to its summary row in all seven totals.

Every value has a back-tick before it, which also tells a comma between cells from one inside a name. Refunds are
positive; a refund's own amounts stand in its refund columns. 用户标识 (an openid) is read only where payments are
made of the lines; names never are.

- paid: amount 订单金额, receipt 应结订单金额, merchant discount their difference (coupons that the merchant bears
  are not settled), platform discount 代金券金额
- refunded: amount 申请退款金额, receipt 退款金额, merchant discount their difference, platform 充值券退款金额
- REVOKED with a refund number is a refund; without one the trade was never settled and the line is refused.
  A refund whose 退款状态 is FAIL gave nothing back and is refused too. Both count in the summary.
- 手续费 has five decimals: the summary is checked in 1/100,000 yuan, a line keeps whole fen, halves rounded up.
"""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from operator import add, itemgetter
from pathlib import Path

from ccare.sources.bill_exports import require_export
from ccare.sources.bill_files import opened
from ccare.sources.bills import (
    HEAD_LINES,
    PAID,
    REFUNDED,
    BillLine,
    BillRefused,
    Chosen,
    MerchantOf,
    cells_of,
    columns_of,
    faults,
    fen,
    half_up,
    instant,
    named,
    payload,
    require_equal,
    text_lines,
    units,
    yuan,
)

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
_FEE = COLUMNS.index("手续费") - _TEXTS
_SUMMED = ("应结订单金额", "退款金额", "充值券退款金额", "手续费", "订单金额", "申请退款金额")
_TOTALS = ("应结订单总金额", "退款总金额", "充值券退款总金额", "手续费总金额", "订单总金额", "申请退款总金额")
_COUNT = "总交易单数"
_summed = itemgetter(*(COLUMNS.index(name) - _TEXTS for name in _SUMMED))
_KEPT = frozenset(COLUMNS) - {"商户号", "特约商户号|子商户号"}
_NONE = frozenset(("", "0"))
"""A cell that says there is none: no refund number, no partner's merchant."""
_DECIMALS, _FEN = 5, 1000
"""Sums are kept in 1/100,000 yuan, of which 1,000 are a fen."""
_PAYER = "用户标识"
_STATUSES = frozenset(("SUCCESS", "REFUND", "REVOKED"))


class _Totals:
    """Lines so far, and each summed column in 1/100,000 yuan."""

    def __init__(self) -> None:
        self.count = 0
        self.sums = [0] * len(_SUMMED)


def bill_lines(path: Path, merchant_of: MerchantOf, *, payers: bool = False) -> Iterator[BillLine]:
    """Every detail line of a delivered bill, in order; BillRefused (at any point) says take none of them.

    With ``payers`` each line names its payer, where the bill has the column.
    """
    with opened(path) as members:
        if len(members) > 1:
            raise BillRefused(
                f"It holds {len(members)} csv files; one bill belongs in it.",
                remedy="Deliver each bill as the platform gave it.",
            )
        yield from _lines(text_lines(members[0].chunks()), merchant_of, payers)


def _lines(text: Iterator[str], merchant_of: MerchantOf, payers: bool) -> Iterator[BillLine]:
    head = list(islice(text, 1))
    header = [named(cell) for cell in cells_of(head[0], 1)] if head else []
    if COLUMNS[3] not in header or COLUMNS[15] not in header or "退款申请时间" in header:
        require_export([*head, *islice(text, HEAD_LINES)], STREAM)
    chosen: Chosen = itemgetter(*columns_of(header, COLUMNS))
    payer = header.index(_PAYER) if payers and _PAYER in header else None
    totals = _Totals()
    number = 1
    for number, line in enumerate(text, start=2):
        if line.startswith("`"):
            yield _line(number, line, header, chosen, merchant_of, totals, payer)
        elif named(line.split(",", 1)[0]) == _COUNT:
            _check_summary(line, next(text, ""), totals)
            return
        elif line.strip():
            yield _line(number, line, header, chosen, merchant_of, totals, payer)
    raise BillRefused(
        f"It ends after line {number} without its summary ({_COUNT} …).",
        remedy="The download was cut short: download it again.",
    )


def _cells(line: str, number: int, width: int) -> list[str]:
    """By comma and back-tick; by RFC 4180 where that does not give the header's cells."""
    cells = line[1:].split(",`") if line.startswith("`") else []
    if len(cells) == width and '"' not in line:
        return cells
    by_quotes = [cell.strip().removeprefix("`") for cell in cells_of(line, number)]
    for found in (by_quotes, cells):
        if len(found) == width:
            return found
    raise BillRefused(
        f"Line {number} has {len(by_quotes)} cells and its header {width}.",
        remedy="Download it again, not saved by a spreadsheet program.",
    )


def _line(
    number: int,
    line: str,
    header: list[str],
    chosen: Chosen,
    merchant_of: MerchantOf,
    totals: _Totals,
    payer: int | None = None,
) -> BillLine:
    cells = _cells(line, number, len(header))
    at_told, own, partner, trade_no, order_no, status, refund_no, refund_status, currency, *money = map(
        str.strip, chosen(cells)
    )
    merchant = merchant_of(own if partner in _NONE else partner)
    refund_no = "" if refund_no in _NONE else refund_no
    reasons = ["nul_character"] if "\0" in line else []
    amounts, bad = _amounts(money)
    reasons += bad
    totals.count += 1
    totals.sums = list(map(add, totals.sums, _summed(amounts)))
    settled, coupon, returned, coupon_returned, fee, ordered, asked = amounts
    kind = PAID if status == "SUCCESS" else REFUNDED if status == "REFUND" or refund_no else None
    if kind == REFUNDED:
        amount, receipt, platform, told = asked, returned, coupon_returned, money[6]
    else:
        amount, receipt, platform, told = ordered, settled, coupon, money[5]
    if status not in _STATUSES:
        reasons.append("unknown_kind")
    elif kind is None:
        reasons.append("revoked_without_refund")
    if kind == REFUNDED and refund_status == "FAIL":
        reasons.append("refund_failed")
    if currency != "CNY":
        reasons.append("currency_not_cny")
    if min(amount, receipt, platform) < 0 or receipt > amount:
        reasons.append("sign_against_kind")
    at = instant(at_told)
    reasons += faults(kind, trade_no, refund_no, at, told)
    sound = not reasons
    return BillLine(
        number,
        merchant,
        f"{kind}|{trade_no}|{refund_no if kind == REFUNDED else ''}",
        trade_no,
        None if order_no in _NONE else order_no,
        kind,
        refund_no or None if kind == REFUNDED else None,
        at,
        amount // _FEN,
        receipt // _FEN,
        (amount - receipt) // _FEN,
        platform // _FEN,
        abs(half_up(fee, _FEN)),
        "" if sound else ",".join(dict.fromkeys(reasons)),
        None if sound else sha256(line.encode()).hexdigest(),
        None if sound else payload(header, cells, _KEPT),
        None if payer is None else cells[payer].strip() or None,
    )


def _amounts(money: list[str]) -> tuple[list[int], list[str]]:
    """Amounts in 1/100,000 yuan and the reasons against those that are none; only the fee has more than fen."""
    fee = money[_FEE]
    try:
        amounts = [fen(text) * _FEN for text in money[:_FEE]]
        return [*amounts, _fee(fee), fen(money[-2]) * _FEN, fen(money[-1]) * _FEN], []
    except ValueError:
        pass
    read, reasons = [], []
    for place, text in enumerate(money):
        try:
            read.append(_fee(text) if place == _FEE else fen(text) * _FEN)
        except ValueError:
            reasons.append("bad_fee_fen" if place == _FEE else "bad_amount_fen")
            read.append(0)
    return read, reasons


@lru_cache(maxsize=1 << 16)
def _fee(text: str) -> int:
    return units(text, _DECIMALS) if text else 0


def _check_summary(header: str, row: str, totals: _Totals) -> None:
    names = [named(cell) for cell in header.split(",")]
    told = [cell.strip().removeprefix("`").strip() for cell in row.split(",")]
    if len(told) != len(names):
        raise BillRefused("Its summary row is cut short.", remedy="Download it again.")
    (count, *sums) = (told[place] for place in columns_of(names, (_COUNT, *_TOTALS)))
    require_equal(_COUNT, count, str(totals.count), totals.count)
    for name, text, found in zip(_TOTALS, sums, totals.sums, strict=True):
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
