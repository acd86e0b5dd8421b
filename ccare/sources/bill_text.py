"""A bill's text: decoded chunk by chunk into whole lines; nothing here holds a whole file."""

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain

from ccare.sources.bills import AGAIN, BillRefused

LINE_MAX = 1 << 20
"""Characters of one line; a file with a longer one is refused: the bound on memory."""
HEAD_LINES = 64
"""A bill's header stands within this many lines."""
_WORDS = ("支付宝", "微信", "交易", "账务", "账单", "业务")


def text_blocks(chunks: Iterable[bytes]) -> Iterator[str]:
    """Whole lines, each with a line feed behind it, about as many as a chunk holds; none of them is empty.

    Decoded strictly: GB18030 first, then UTF-8 with or without a byte order mark.
    """
    incoming = iter(chunks)
    head = b""
    while len(head) < LINE_MAX and (chunk := next(incoming, b"")):
        head += chunk
    decode = codecs.getincrementaldecoder(_encoding(head))("strict").decode
    rest, number = "", 0
    for chunk in chain((head,), incoming, (b"",)):
        try:
            text = decode(chunk, final=not chunk)
        except UnicodeDecodeError:
            raise BillRefused(
                f"After line {number} it holds bytes that are not text.", remedy=AGAIN
            ) from None
        whole, ended, begun = text.rpartition("\n")
        if ended:
            block = f"{rest}{whole}\n".replace("\r\n", "\n")
            if _longest(block) > LINE_MAX:
                raise _too_long(number)
            number += block.count("\n")
            yield block
        rest = begun if ended else rest + begun
        if len(rest) > LINE_MAX:
            raise _too_long(number)
    if rest:
        yield rest.removesuffix("\r") + "\n"


def text_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The same, line by line, without their ends."""
    for block in text_blocks(chunks):
        yield from lines_of(block)


def lines_of(block: str) -> list[str]:
    """A block's lines, without their ends."""
    return block.removesuffix("\n").split("\n")


def head_of(blocks: Iterator[str]) -> tuple[list[str], str]:
    """The first HEAD_LINES lines, fewer where there are no more, and what was read behind them."""
    text = ""
    while text.count("\n") < HEAD_LINES and (block := next(blocks, "")):
        text += block
    *lines, rest = text.split("\n", HEAD_LINES)
    return lines, rest


def _longest(block: str) -> int:
    """Characters of the longest line, looked for only where the block is long enough to hold one too long."""
    return max(map(len, block.split("\n"))) if len(block) > LINE_MAX else 0


def _too_long(number: int) -> BillRefused:
    return BillRefused(f"After line {number} a line is longer than {LINE_MAX:,} characters.", remedy=AGAIN)


def _encoding(head: bytes) -> str:
    """By the words that every export begins with: bytes of UTF-8 often decode as GB18030 too, into nonsense."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    for encoding in ("gb18030", "utf-8"):
        if any(word.encode(encoding) in head for word in _WORDS):
            return encoding
    raise BillRefused("It is no bill that is known, in GB18030 or in UTF-8.", remedy=AGAIN)
