"""What every settlement bill shares: its text line by line, its amounts as integers, and refusal by name.

Nothing here holds a whole file: text is decoded chunk by chunk and handed on line by line.
"""

import codecs
import csv
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from ccare.errors import CcareError

ALIPAY, WECHAT = "alipay", "wechat"
PAID, REFUNDED = "paid", "refunded"
LINE_MAX = 1 << 20
"""Characters of one line; a file with a longer one is refused: the bound on memory."""
HEAD_LINES = 64
"""A bill's header stands within this many lines."""
_DIGITS_MAX = 15
_FIRST_YEAR, _LAST_YEAR = 2000, 2100


class BillRefused(CcareError):
    """A file that is not taken at all. The sentence never holds a name, an account or a cell's text."""


Chosen = Callable[[list[str]], tuple[str, ...]]
"""Picks a line's cells in the order of a format's columns."""
MerchantOf = Callable[[str], str]
"""An account as a bill writes it -> merchant id; raises BillRefused where nobody is known by it."""


class BillLine(NamedTuple):
    """One detail line. Amounts are magnitudes in fen, ``kind`` tells the sign; ``position`` counts lines from 1.

    ``reasons`` joins every fault of the line with commas, empty where it is sound; ``digest`` (SHA-256 of the
    line) and ``payload`` (its impersonal cells as JSON) are given only where it is not. ``payer``, as the bill
    writes it, is read only where it is asked for, and never stored.
    """

    position: int
    merchant_id: str
    line_key: str
    trade_no: str
    merchant_order_no: str | None
    kind: str | None
    refund_no: str | None
    occurred_at: datetime | None
    amount_fen: int | None
    receipt_fen: int | None
    merchant_discount_fen: int | None
    platform_discount_fen: int | None
    fee_fen: int | None
    reasons: str = ""
    digest: str | None = None
    payload: str | None = None
    payer: str | None = None


def units(text: str, decimals: int) -> int:
    """Yuan as written -> whole units of 10^-decimals yuan, by integer work only.

    ValueError where it is no plain decimal, or says more than ``decimals`` digits can hold.
    """
    negative = text.startswith("-")
    whole, dot, part = text.removeprefix("-").partition(".")
    told = whole + part
    # str.isdigit is true of full-width and superscript digits too: only ASCII ones are an amount.
    if not (told.isascii() and told.isdigit() and whole and len(whole) <= _DIGITS_MAX) or (dot and not part):
        raise ValueError("not an amount in yuan")
    kept, beyond = part[:decimals], part[decimals:]
    if beyond.strip("0"):
        raise ValueError("more decimals than the unit holds")
    value = int(whole + kept.ljust(decimals, "0"))
    return -value if negative else value


@lru_cache(maxsize=1 << 16)
def fen(text: str) -> int:
    """Yuan as written -> fen, exact; an empty cell is 0. ValueError where it is no amount of whole fen."""
    return units(text, 2) if text else 0


def half_up(value: int, unit: int) -> int:
    """``value`` in whole ``unit``s, halves away from zero: 0.5 fen is 1 fen, -0.5 fen is -1 fen."""
    rounded = (abs(value) * 2 + unit) // (2 * unit)
    return -rounded if value < 0 else rounded


def yuan(value: int, decimals: int = 2) -> str:
    """Whole units of 10^-decimals yuan -> yuan as written."""
    whole, part = divmod(abs(value), 10**decimals)
    return f"{'-' if value < 0 else ''}{whole}.{part:0{decimals}d}"


def instant(text: str) -> datetime | None:
    """``2019-09-16 08:00:00`` on a bill's own clock, which is Beijing's; None where it is no such time."""
    if len(text) != 19 or text[4] + text[7] + text[10] + text[13] + text[16] != "-- ::":
        return None
    try:
        at = datetime.fromisoformat(f"{text}+08:00")
    except ValueError:
        return None
    return at if _FIRST_YEAR <= at.year < _LAST_YEAR else None


def text_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines without their ends, decoded strictly: GB18030 first, then UTF-8 with or without a byte order mark."""
    incoming = iter(chunks)
    head = b""
    while len(head) < LINE_MAX and (chunk := next(incoming, b"")):
        head += chunk
    decode = codecs.getincrementaldecoder(_encoding(head))("strict").decode
    rest, number = "", 0
    for chunk in chain((head,), incoming, (b"",)):
        try:
            text = rest + decode(chunk, final=not chunk)
        except UnicodeDecodeError:
            raise BillRefused(
                f"After line {number} it holds bytes that are not text.", remedy=_AGAIN
            ) from None
        lines = text.split("\n")
        rest = lines.pop()
        number += len(lines)
        if len(rest) > LINE_MAX or max(map(len, lines), default=0) > LINE_MAX:
            raise BillRefused(
                f"After line {number} a line is longer than {LINE_MAX:,} characters.", remedy=_AGAIN
            )
        yield from (line.removesuffix("\r") for line in lines)
    if rest:
        yield rest.removesuffix("\r")


_AGAIN = "Download the bill again and deliver it as it came, not saved by a spreadsheet program."
_WORDS = ("支付宝", "微信", "交易", "账务", "账单", "业务")


def _encoding(head: bytes) -> str:
    """By the words that every export begins with: bytes of UTF-8 often decode as GB18030 too, into nonsense."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    for encoding in ("gb18030", "utf-8"):
        if any(word.encode(encoding) in head for word in _WORDS):
            return encoding
    raise BillRefused("It is no bill that is known, in GB18030 or in UTF-8.", remedy=_AGAIN)


def cells_of(line: str, number: int) -> list[str]:
    """A line's cells by RFC 4180; a cell that runs over the line's end ends with it."""
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader((line,)))
    except csv.Error:
        raise BillRefused(f"Line {number} cannot be split into cells.", remedy=_AGAIN) from None


def named(cell: str) -> str:
    """A header cell as columns are looked up: half-width brackets, no blanks, tabs or back-ticks."""
    return cell.translate(_PLAIN).strip()


_PLAIN = str.maketrans({"（": "(", "）": ")", "\t": None, "`": None, " ": None, "\ufeff": None})


def columns_of(header: list[str], wanted: Iterable[str]) -> list[int]:
    """Where each wanted column stands; a name may give alternatives with ``|``. BillRefused names what is missing."""
    places: dict[str, int] = {}
    for place, name in enumerate(header):
        if name and name in places:
            raise BillRefused(f"Column {name} stands twice in its header.", remedy=_AGAIN)
        places[name] = place
    found = [next((places[n] for n in name.split("|") if n in places), None) for name in wanted]
    missing = [name.split("|")[0] for name, place in zip(wanted, found, strict=True) if place is None]
    if missing:
        raise BillRefused(f"Its header has no column {', '.join(missing)}.", remedy=_AGAIN)
    return [place for place in found if place is not None]


def require_equal(name: str, told: str, found: str, lines: int) -> None:
    """BillRefused where a total that the bill tells differs from its own lines."""
    if told != found:
        raise BillRefused(
            f"Its total {name} is {told} and its {lines} lines give {found}.",
            remedy="The file was changed or cut short: download it again. No line of it was taken.",
        )


def faults(kind: str | None, trade_no: str, refund_no: str, at: object, amount: str) -> list[str]:
    """Reasons that a bill's line may have whatever its format."""
    found = []
    if not trade_no:
        found.append("missing_trade_no")
    elif len(trade_no) > 64 or "E+" in trade_no:
        # A spreadsheet program rounds long numbers and writes them so.
        found.append("bad_trade_no")
    if kind == REFUNDED and not refund_no:
        found.append("missing_refund_no")
    if at is None:
        found.append("bad_occurred_at")
    if not amount:
        found.append("missing_amount_fen")
    return found


def payload(header: list[str], cells: list[str], kept: frozenset[str]) -> str:
    """The impersonal cells of a refused line as JSON."""
    told = {n: cell.strip() for n, cell in zip(header, cells, strict=True) if n in kept and cell.strip()}
    return json.dumps(told, ensure_ascii=False)
