"""A bill's text: decoded chunk by chunk into whole lines; nothing here holds a whole file."""

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain

from ccare.sources.bills import AGAIN, BillRefused

LINE_MAX = 1 << 20
"""Bytes of one line as UTF-8; a file with a longer one is refused: the bound on memory."""
HEAD_LINES = 64
"""A bill's header stands within this many lines."""
_WORDS = ("支付宝", "微信", "交易", "账务", "账单", "业务")


def text_blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines as UTF-8, each with a line feed behind it, about as many as a chunk holds, never none.

    Decoded strictly: GB18030 first, then UTF-8 with or without a byte order mark.
    """
    incoming = iter(chunks)
    head = b""
    while len(head) < LINE_MAX and (chunk := next(incoming, b"")):
        head += chunk
    decode = codecs.getincrementaldecoder(_encoding(head))("strict").decode
    rest, number = b"", 0
    for chunk in chain((head,), incoming, (b"",)):
        try:
            text = decode(chunk, final=not chunk).encode()
        except UnicodeDecodeError:
            raise BillRefused(
                f"After line {number} it holds bytes that are not text.", remedy=AGAIN
            ) from None
        whole, ended, begun = text.rpartition(b"\n")
        if ended:
            block = b"".join((rest, whole, ended)).replace(b"\r\n", b"\n")
            if _has_longer(block):
                raise _too_long(number)
            number += block.count(b"\n")
            yield block
        rest = begun if ended else rest + begun
        if len(rest) > LINE_MAX:
            raise _too_long(number)
    if rest:
        yield rest.removesuffix(b"\r") + b"\n"


def text_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The same, line by line, without their ends."""
    for block in text_blocks(chunks):
        yield from lines_of(block)


def lines_of(block: bytes) -> list[str]:
    """A block's lines, without their ends."""
    return block.removesuffix(b"\n").decode().split("\n")


def head_of(blocks: Iterator[bytes]) -> tuple[list[str], bytes]:
    """The first HEAD_LINES lines, fewer where there are no more, and all that was read for them."""
    read = b""
    while read.count(b"\n") < HEAD_LINES and (block := next(blocks, b"")):
        read += block
    return [line.decode() for line in read.split(b"\n", HEAD_LINES)[:-1]], read


def after(read: bytes, lines: int) -> bytes:
    """What stands behind the first ``lines`` lines."""
    return read.split(b"\n", lines)[-1]


def _has_longer(block: bytes) -> bool:
    """Whether a line of the block is longer than LINE_MAX: looked for in steps of so many bytes."""
    start = 0
    while start + LINE_MAX < len(block):
        end = block.rfind(b"\n", start, start + LINE_MAX + 1)
        if end < 0:
            return True
        start = end + 1
    return False


def _too_long(number: int) -> BillRefused:
    return BillRefused(f"After line {number} a line is longer than {LINE_MAX:,} bytes.", remedy=AGAIN)


def _encoding(head: bytes) -> str:
    """By the words that every export begins with: bytes of UTF-8 often decode as GB18030 too, into nonsense."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    for encoding in ("gb18030", "utf-8"):
        if any(word.encode(encoding) in head for word in _WORDS):
            return encoding
    raise BillRefused("It is no bill that is known, in GB18030 or in UTF-8.", remedy=AGAIN)
