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
from functools import reduce
from itertools import chain, islice
from pathlib import Path

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
    split,
    table_of,
)
from ccare.sources.bill_exports import export_of, require_export
from ccare.sources.bill_files import Member, opened
from ccare.sources.bill_text import HEAD_LINES, after, head_of, lines_of, text_blocks, text_lines
from ccare.sources.bills import (
    PAID,
    REFUNDED,
    BillRefused,
    MerchantOf,
    cells_of,
    columns_of,
    fen,
    named,
    payload,
    require_equal,
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
_PAID, _REFUNDED = "交易", "退款"
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

    def add(self, of_kind: pa.BooleanArray, *columns: pa.Int64Array) -> None:
        """The lines that are ``of_kind``: their amount, receipt and discount."""
        self.count += of_kind.true_count
        amount, receipt, discount = (exact_sum(column.filter(of_kind)) for column in columns)
        self.amount += amount
        self.receipt += receipt
        self.discount += discount

    @property
    def sums(self) -> dict[str, int]:
        """By the footer's names."""
        return {"订单金额": self.amount, "商家实收": self.receipt, "商家优惠": self.discount}


def bill_lines(path: Path, merchant_of: MerchantOf) -> Iterator[pa.Table]:
    """Every detail line of a delivered bill, in order, as tables of BILL_LINE.

    BillRefused (at any point) says take none of them.
    """
    with opened(path) as members:
        detail, summary = _told_apart(members)
        totals = {PAID: Totals(), REFUNDED: Totals()}
        yield from _tables(text_blocks(detail.chunks()), merchant_of, totals)
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


def _tables(
    blocks: Iterator[bytes], merchant_of: MerchantOf, totals: dict[str, Totals]
) -> Iterator[pa.Table]:
    head, read = head_of(blocks)
    headers = ([named(cell) for cell in cells_of(line, n)] for n, line in enumerate(head, start=1))
    place, header = next(((n, h) for n, h in enumerate(headers, start=1) if COLUMNS[0] in h), (0, []))
    if not header or export_of(head[:place]) != STREAM:
        require_export(head, STREAM)
    places = columns_of(header, COLUMNS)
    bill = _Bill(header, places, merchant_of(_account(head[:place])), totals)
    number = place
    for block in chain((after(read, place),), blocks):
        lines = array_of(block) if block else pa.array([], pa.string())
        footer = pc.index(pc.starts_with(lines, "#"), True).as_py()
        found = footer if footer >= 0 else len(lines)
        if found:
            yield bill.table(block, lines.slice(0, found), number + 1)
        number += found
        if footer >= 0:
            following = chain(lines_of(block)[footer:], *map(lines_of, blocks))
            _check_footer(list(islice(following, HEAD_LINES + 1)), totals)
            return
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


@dataclass(frozen=True)
class _Bill:
    """What a bill's lines are read by, and what they add up to."""

    header: list[str]
    places: list[int]
    merchant: str
    totals: dict[str, Totals]

    def table(self, block: bytes, lines: pa.StringArray, first: int) -> pa.Table:
        """The first ``lines`` of a block, of which ``first`` is the number of the first."""
        cells = self._cells(block, lines, first)
        trade_no, order_no, kind, at_told, refund_no, *money = map(cells.column, self.places)
        told = amounts(money, fen, 2)
        amount, receipt, discount, red_packet, *platform, fee = (pc.fill_null(a, 0) for a in told)
        paid, refunded = pc.equal(kind, _PAID), pc.equal(kind, _REFUNDED)
        for name, of_kind in ((PAID, paid), (REFUNDED, refunded)):
            self.totals[name].add(of_kind, amount, receipt, discount)
        at = instants(at_told)
        faults = Faults(len(trade_no))
        if b"\0" in block:
            faults.add("nul_character", pa.array(["\0" in "".join(cells.row(n)) for n in faults.all_lines]))
        for reason, read in zip(_AMOUNTS, told, strict=True):
            faults.add(reason, read.is_null())
        faults.add("unknown_kind", pc.invert(pc.or_(paid, refunded)))
        against = pc.or_(pc.and_(paid, pc.less(amount, 0)), pc.and_(refunded, pc.greater(amount, 0)))
        faults.add("sign_against_kind", against)
        add_common(faults, refunded, trade_no, refund_no, at, money[0])
        kind = pc.if_else(paid, PAID, pc.if_else(refunded, REFUNDED, pa.scalar(None, pa.string())))
        columns = {
            "merchant_id": pa.repeat(self.merchant, len(kind)),
            "line_key": pc.binary_join_element_wise(pc.fill_null(kind, "None"), trade_no, refund_no, "|"),
            "trade_no": trade_no,
            "merchant_order_no": none_if_empty(order_no),
            "kind": kind,
            "refund_no": pc.if_else(refunded, none_if_empty(refund_no), None),
            "occurred_at": at,
            "amount_fen": pc.abs(amount),
            "receipt_fen": pc.abs(receipt),
            "merchant_discount_fen": pc.abs(pc.add(discount, red_packet)),
            "platform_discount_fen": pc.abs(reduce(pc.add, platform)),
            "fee_fen": pc.abs(fee),
        }
        refused = Refused(lambda: lines_of(block), first, lambda row: payload(self.header, row, _KEPT))
        return table_of(columns, cells, faults, refused)

    def _cells(self, block: bytes, lines: pa.StringArray, first: int) -> Cells:
        width = len(self.header)

        def by_hand(line: str, number: int) -> list[str] | None:
            if not line.strip():
                return None
            cells = cells_of(line, number)
            if len(cells) != width:
                raise BillRefused(
                    f"Line {number} has {len(cells)} cells and its header {width}.",
                    remedy="Download it again, not saved by a spreadsheet program.",
                )
            return cells

        # Cells end in a tab that keeps spreadsheet programs from reading long numbers as such.
        bare = array_of(block.replace(b"\t", b"")).slice(0, len(lines))
        plain = pc.invert(pc.match_substring(bare, '"'))
        return split(bare, first, width, plain, ",", by_hand)


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
