"""Alipay 业务明细 (bill_type=trade): detail lines as typed rows, equal to its footer and summary to the fen.

Columns are found by name. A refund repeats its trade's number, is negative and has its own 退款批次号; both sides
are kept as magnitudes. 对方账户 is masked by the platform and is no user key: it is not read at all, nor are names.

- amount: 订单金额; receipt: 商家实收
- merchant discount: 商家优惠 + 商家红包消费金额; platform discount: 支付宝红包 + 集分宝 + 支付宝优惠.
  券核销金额 tells part of these a second time and is not added.
- time: 完成时间, Beijing's clock; of a refund it is the refund's own.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from operator import itemgetter
from pathlib import Path

from ccare.sources.bill_exports import export_of, require_export
from ccare.sources.bill_files import Member, opened
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
    instant,
    named,
    payload,
    require_equal,
    text_lines,
    yuan,
)

STREAM = "alipay_bill"
COLUMNS = (
    "支付宝交易号",
    "商户订单号",
    "业务类型",
    "完成时间",
    "退款批次号/请求号|退款批次号",
    "订单金额(元)",
    "商家实收(元)",
    "商家优惠(元)",
    "商家红包消费金额(元)",
    "支付宝红包(元)",
    "集分宝(元)",
    "支付宝优惠(元)",
    "服务费(元)",
)
_AMOUNTS = tuple(f"bad_{name}" for name in ("amount_fen", "receipt_fen", *["discount_fen"] * 5, "fee_fen"))
_KINDS = {"交易": PAID, "退款": REFUNDED}
_KEPT = frozenset(
    name for column in COLUMNS for name in column.split("|")
)  # of a refused line; names and accounts are left out
_ACCOUNT = re.compile(r"账号[:：]\s*\[?\s*([^\]\s,]+)")
_COUNT = re.compile(r"合计[:：]\s*(\d+)笔")
_SUM = re.compile(r"(商家实收|商家优惠)(?:退款)?共\s*(-?[\d,]+(?:\.\d+)?)元")


@dataclass
class Totals:
    """What the lines of one kind add up to, signed as written: lines, and fen by name of the footer."""

    count: int = 0
    amount: int = 0
    receipt: int = 0
    discount: int = 0

    def add(self, amount: int, receipt: int, discount: int) -> None:
        """One line more."""
        self.count += 1
        self.amount += amount
        self.receipt += receipt
        self.discount += discount

    @property
    def sums(self) -> dict[str, int]:
        """By the footer's names."""
        return {"订单金额": self.amount, "商家实收": self.receipt, "商家优惠": self.discount}


def bill_lines(path: Path, merchant_of: MerchantOf) -> Iterator[BillLine]:
    """Every detail line of a delivered bill, in order; BillRefused (at any point) says take none of them."""
    with opened(path) as members:
        detail, summary = _told_apart(members)
        totals = {PAID: Totals(), REFUNDED: Totals()}
        yield from _lines(text_lines(detail.chunks()), merchant_of, totals)
        if summary is not None:
            _check_summary(text_lines(summary.chunks()), totals)


def _told_apart(members: list[Member]) -> tuple[Member, Member | None]:
    """The detail file and the summary, by their own first lines: names inside archives cannot be relied on."""
    if len(members) == 1:
        return members[0], None
    details: list[Member] = []
    summaries: list[Member] = []
    for member in members:
        head = list(islice(text_lines(member.chunks()), HEAD_LINES))
        is_summary = export_of(head) == "alipay_summary"
        if not is_summary:
            require_export(head, STREAM)
        (summaries if is_summary else details).append(member)
    if len(details) != 1 or len(summaries) > 1:
        raise BillRefused(
            f"It holds {len(details)} detail files and {len(summaries)} summaries; one and at most one belong in it.",
            remedy="Deliver each bill as the platform gave it.",
        )
    return details[0], summaries[0] if summaries else None


def _lines(text: Iterator[str], merchant_of: MerchantOf, totals: dict[str, Totals]) -> Iterator[BillLine]:
    head: list[str] = []
    header: list[str] = []
    for line in islice(text, HEAD_LINES):
        head.append(line)
        header = [named(cell) for cell in cells_of(line, len(head))]
        if COLUMNS[0] in header:
            break
    if COLUMNS[0] not in header or export_of(head) != STREAM:
        require_export([*head, *islice(text, HEAD_LINES)], STREAM)
    chosen: Chosen = itemgetter(*columns_of(header, COLUMNS))
    merchant = merchant_of(_account(head))
    number = first = len(head)
    for number, line in enumerate(text, start=first + 1):
        if line.startswith("#"):
            _check_footer([line, *islice(text, HEAD_LINES)], totals)
            return
        if line.strip():
            yield _line(number, line, header, chosen, merchant, totals)
    raise BillRefused(
        f"It ends after line {number} without its footer (交易合计, 退款合计).",
        remedy="The download was cut short: download it again.",
    )


def _account(head: Iterable[str]) -> str:
    found = next((match for line in head if (match := _ACCOUNT.search(line))), None)
    if found is None:
        raise BillRefused(
            "It does not say whose it is: the line 账号 is missing.", remedy="Download it again."
        )
    return found[1]


def _line(
    number: int,
    line: str,
    header: list[str],
    chosen: Chosen,
    merchant: str,
    totals: dict[str, Totals],
) -> BillLine:
    # Cells end in a tab that keeps spreadsheet programs from reading long numbers as such.
    cells = cells_of(line.replace("\t", ""), number)
    if len(cells) != len(header):
        raise BillRefused(
            f"Line {number} has {len(cells)} cells and its header {len(header)}.",
            remedy="Download it again, not saved by a spreadsheet program.",
        )
    trade_no, order_no, kind_told, at_told, refund_no, *money = map(str.strip, chosen(cells))
    kind = _KINDS.get(kind_told)
    reasons = ["nul_character"] if "\0" in line else []
    try:
        amounts = [fen(text) for text in money]
    except ValueError:
        amounts = _readable(money, reasons)
    amount, receipt, discount, red_packet, *platform, fee = amounts
    if kind is None:
        reasons.append("unknown_kind")
    else:
        totals[kind].add(amount, receipt, discount)
        if (amount < 0) if kind == PAID else (amount > 0):
            reasons.append("sign_against_kind")
    at = instant(at_told)
    reasons += faults(kind, trade_no, refund_no, at, money[0])
    sound = not reasons
    return BillLine(
        number,
        merchant,
        f"{kind}|{trade_no}|{refund_no}",
        trade_no,
        order_no or None,
        kind,
        refund_no or None if kind == REFUNDED else None,
        at,
        abs(amount),
        abs(receipt),
        abs(discount + red_packet),
        abs(sum(platform)),
        abs(fee),
        "" if sound else ",".join(dict.fromkeys(reasons)),
        None if sound else sha256(line.encode()).hexdigest(),
        None if sound else payload(header, cells, _KEPT),
    )


def _readable(money: list[str], reasons: list[str]) -> list[int]:
    """Amounts with 0 where one cannot be read, which adds its reason."""
    amounts = []
    for reason, text in zip(_AMOUNTS, money, strict=True):
        try:
            amounts.append(fen(text))
        except ValueError:
            reasons.append(reason)
            amounts.append(0)
    return amounts


def _check_footer(lines: list[str], totals: dict[str, Totals]) -> None:
    for kind, told in ((PAID, "交易合计"), (REFUNDED, "退款合计")):
        line = next((x for x in lines if told in x), None)
        count = _COUNT.search(line) if line else None
        sums = {name: amount.replace(",", "") for name, amount in _SUM.findall(line or "")}
        if count is None or "商家实收" not in sums:
            raise BillRefused(
                f"Its footer has no {told}.", remedy="The download was cut short: download it again."
            )
        _compare(told, totals[kind], int(count[1]), sums)


def _compare(where: str, total: Totals, count: int, sums: dict[str, str]) -> None:
    require_equal(f"{where} 笔数", str(count), str(total.count), total.count)
    for name, told in sums.items():
        # A refund is written with or without its sign.
        found = abs(total.sums[name])
        require_equal(f"{where} {name}", yuan(abs(_told(told))), yuan(found), total.count)


def _told(text: str) -> int:
    try:
        return fen(text)
    except ValueError:
        raise BillRefused("A total of it is no amount in yuan.", remedy="Download it again.") from None


def _check_summary(text: Iterator[str], totals: dict[str, Totals]) -> None:
    """The summary's row 合计 (or the sum of its rows) against the lines: counts, 订单金额 and 商家实收."""
    rows = [[named(cell) for cell in line.split(",")] for line in islice(text, 1 << 16) if line[:1] != "#"]
    header = next((i for i, row in enumerate(rows) if "交易订单总笔数" in row), None)
    if header is None:
        raise BillRefused("Its summary has no column 交易订单总笔数.", remedy="Download it again.")
    names, found = rows[header], [row for row in rows[header + 1 :] if len(row) == len(rows[header])]
    found = [row for row in found if "合计" in row] or found
    paid, refunded = totals[PAID], totals[REFUNDED]
    lines = paid.count + refunded.count
    own = {"交易订单总笔数": paid.count * 100, "退款订单总笔数": refunded.count * 100}
    own |= {f"{n}(元)": paid.sums[n] + refunded.sums[n] for n in ("订单金额", "商家实收")}
    for name, expected in own.items():
        if name in names:
            told = sum(_told(row[names.index(name)] or "0") for row in found)
            require_equal(f"汇总 {name}", yuan(told), yuan(expected), lines)
