"""A block of a bill's lines as columns: split at once, each distinct text read once, every fault told by line.

What is exact by Python's own integers and calendar stays so; only the work that all lines have in common is done
by Arrow, a column at a time. A line with quotes in it is split by hand, as is one of an odd number of cells.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

BILL_LINE = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        *(pa.field(name, pa.string()) for name in ("merchant_id", "line_key", "trade_no")),
        *(pa.field(name, pa.string()) for name in ("merchant_order_no", "kind", "refund_no")),
        pa.field("occurred_at", pa.timestamp("us", tz="UTC")),
        *(pa.field(name, pa.int64()) for name in ("amount_fen", "receipt_fen", "merchant_discount_fen")),
        *(pa.field(name, pa.int64()) for name in ("platform_discount_fen", "fee_fen")),
        pa.field("reasons", pa.list_(pa.string())),
        pa.field("digest", pa.string()),
        pa.field("payload", pa.string()),
        pa.field("payer", pa.string()),
    ]
)
"""Detail lines. Amounts are magnitudes in fen, ``kind`` tells the sign; ``position`` counts a file's lines from 1.

``reasons`` holds every fault of the line, none where it is sound; ``digest`` (SHA-256 of the line) and ``payload``
(its impersonal cells as JSON) are given only where it is not. ``payer``, as the bill writes it, is read only where it
is asked for, and never stored.
"""
TRADE_NO_MAX = 64
_CLOCK = r"^20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"
"""Bills of other centuries are none."""
_AHEAD = timedelta(hours=8)
"""A bill's own clock is Beijing's."""
_LOW = 32
_PLAIN_DIGITS = 12
"""Before the point of an amount that is read by its digits alone: so many, and five decimals, fit 64 bits."""
ByHand = Callable[[str, int], list[str] | None]
"""A line and its number -> its cells, None where it is blank; raises BillRefused where it cannot be split."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Cells:
    """A block's detail lines, split. ``start`` is where each line's first cell stands in ``flat``."""

    positions: NDArray[np.int64]
    flat: pa.StringArray
    start: NDArray[np.int64]
    width: int

    def column(self, place: int) -> pa.StringArray:
        """Every line's cell at this place, trimmed."""
        return pc.utf8_trim_whitespace(self.flat.take(pa.array(self.start + place)))

    def row(self, line: int) -> list[str]:
        """One line's cells, as they stand."""
        return self.flat.slice(int(self.start[line]), self.width).to_pylist()


class Faults:
    """What speaks against the lines of a block, in the order in which it is told."""

    def __init__(self, lines: int) -> None:
        self.all_lines = range(lines)
        self.any: Mask = np.zeros(lines, bool)
        self._found: list[tuple[str, Mask]] = []

    def add(self, name: str, broken: pa.BooleanArray) -> None:
        """``name`` stands against the lines where ``broken`` is true."""
        mask = np.asarray(pc.fill_null(broken, False))
        if mask.any():
            self._found.append((name, mask))
            self.any = self.any | mask

    def lines(self) -> list[int]:
        """The lines that something speaks against."""
        return np.flatnonzero(self.any).tolist()

    def reasons(self) -> pa.ListArray:
        """Each line's reasons, each once."""
        if not self._found:
            # No list is made line by line where none has anything in it.
            nothing = pa.array(np.zeros(len(self.any) + 1, np.int32))
            return pa.ListArray.from_arrays(nothing, pa.array([], pa.string()))
        told: list[list[str]] = [[] for _ in self.any]
        for line in self.lines():
            told[line] = list(dict.fromkeys(name for name, mask in self._found if mask[line]))
        return pa.array(told, pa.list_(pa.string()))


@dataclass(frozen=True)
class Refused:
    """What is told of a line that something speaks against: its block's lines, and its cells as JSON."""

    lines: Callable[[], list[str]]
    first: int
    payload: Callable[[list[str]], str]


def table_of(columns: Mapping[str, pa.Array], cells: Cells, faults: Faults, refused: Refused) -> pa.Table:
    """``columns`` and what all bills have in common, as BILL_LINE."""
    count = len(cells.positions)
    digests: list[str | None] = [None] * count
    payloads = digests.copy()
    if bad := faults.lines():
        written = refused.lines()
        for line in bad:
            text = written[int(cells.positions[line]) - refused.first]
            digests[line] = hashlib.sha256(text.encode()).hexdigest()
            payloads[line] = refused.payload(cells.row(line))
    common = {
        "position": pa.array(cells.positions),
        "reasons": faults.reasons(),
        "digest": pa.array(digests, pa.string()),
        "payload": pa.array(payloads, pa.string()),
        "payer": pa.nulls(count, pa.string()),
    }
    return pa.table({**common, **columns}, BILL_LINE)


def array_of(block: bytes) -> pa.StringArray:
    """A block's lines as a column; the block is not copied for it."""
    text = block.removesuffix(b"\n")
    ends = pa.py_buffer(np.array([0, len(text)], np.int32))
    return pc.split_pattern(pa.StringArray.from_buffers(1, ends, pa.py_buffer(text)), "\n").flatten()


def split(
    lines: pa.StringArray,
    first: int,
    width: int,
    plain: pa.BooleanArray,
    separator: str,
    by_hand: ByHand,
    skipped: int = 0,
) -> Cells:
    """Split ``plain`` lines at ``separator``, without their first ``skipped`` characters; all others by hand.

    ``first`` is the number of the first line. Lines are ``width`` cells wide, or ``by_hand`` is asked for them.
    """
    parts = pc.split_pattern(pc.utf8_slice_codeunits(lines, skipped) if skipped else lines, separator)
    offsets = np.asarray(parts.offsets).astype(np.int64)
    flat = parts.values
    start, sizes = offsets[:-1].copy(), np.diff(offsets)
    kept: Mask = np.ones(len(lines), bool)
    more: list[str] = []
    for line in np.flatnonzero(~np.asarray(plain) | (sizes != width)).tolist():
        cells = by_hand(lines[line].as_py(), first + line)
        kept[line] = cells is not None
        start[line] = len(flat) + len(more)
        more += cells or []
    if more:
        flat = pa.concat_arrays([flat, pa.array(more, pa.string())])
    return Cells(np.flatnonzero(kept) + first, flat, start[kept], width)


def once(texts: pa.Array, read: Callable[[Any], object], kind: pa.DataType) -> pa.Array:
    """``read`` of every text, called once for each distinct one, in the order in which they first stand."""
    known = texts.dictionary_encode()
    return pa.array([read(text) for text in known.dictionary.to_pylist()], kind).take(known.indices)


def amounts(
    columns: Sequence[pa.StringArray], read: Callable[[str], int], decimals: int
) -> list[pa.Int64Array]:
    """Columns of amounts as ``read`` gives them, null where it raises ValueError.

    What is written out to ``decimals`` places is its own digits: ``read`` is asked for what is written otherwise.
    """

    def number(text: str | None) -> int | None:
        try:
            return None if text is None else read(text)
        except ValueError:
            return None

    lines, known = len(columns[0]), pa.concat_arrays(columns).dictionary_encode()
    texts = known.dictionary
    plain = pc.match_substring_regex(texts, rf"^-?[0-9]{{1,{_PLAIN_DIGITS}}}\.[0-9]{{{decimals}}}$")
    digits = pc.replace_substring(pc.if_else(plain, texts, "0"), ".", "").cast(pa.int64())
    others = once(pc.if_else(plain, None, texts), number, pa.int64())
    found = pc.if_else(plain, digits, others).take(known.indices)
    return [found.slice(n * lines, lines) for n in range(len(columns))]


def instants(texts: pa.StringArray) -> pa.TimestampArray:
    """``2019-09-16 08:00:00`` on a bill's own clock as instants; null where it is no such time."""
    formed = pc.if_else(pc.match_substring_regex(texts, _CLOCK), texts, None)
    try:
        local = formed.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        # A day or hour that no calendar has: Arrow does not say where.
        return once(formed, _instant, pa.timestamp("us", tz="UTC"))
    return pc.assume_timezone(pc.subtract(local, pa.scalar(_AHEAD, pa.duration("us"))), "UTC")


def _instant(text: str | None) -> datetime | None:
    try:
        return (datetime.fromisoformat(text).replace(tzinfo=UTC) - _AHEAD) if text else None
    except ValueError:
        return None


def exact_sum(values: pa.Int64Array) -> int:
    """Their sum, of any size: Arrow's own would wrap around."""
    high = pc.sum(pc.shift_right(values, _LOW)).as_py() or 0
    low = pc.sum(pc.bit_wise_and(values, (1 << _LOW) - 1)).as_py() or 0
    return (high << _LOW) + low


def none_if_empty(texts: pa.StringArray) -> pa.StringArray:
    """Null where a text is empty."""
    return pc.if_else(pc.equal(texts, ""), None, texts)


def add_common(
    faults: Faults,
    refunded: pa.BooleanArray,
    trade_no: pa.StringArray,
    refund_no: pa.StringArray,
    at: pa.TimestampArray,
    amount: pa.StringArray,
) -> None:
    """Faults that a bill's line may have whatever its format; ``amount`` as written."""
    faults.add("missing_trade_no", pc.equal(trade_no, ""))
    # A spreadsheet program rounds long numbers and writes them so.
    rounded = pc.match_substring(trade_no, "E+")
    faults.add("bad_trade_no", pc.or_(pc.greater(pc.utf8_length(trade_no), TRADE_NO_MAX), rounded))
    faults.add("missing_refund_no", pc.and_(refunded, pc.equal(refund_no, "")))
    faults.add("bad_occurred_at", at.is_null())
    faults.add("missing_amount_fen", pc.equal(amount, ""))
