"""What of a bill's lines may be a person's, and in which form it is kept.

Trade and refund numbers become the same token as in payments, so that both still join.

A merchant chooses a refund's number, and may take the payer's telephone for it. A line is known by its numbers, so
they cannot be starred. It is done before lines are staged: neither such a number nor the key gets to Spark.
"""

import json
import re

import pyarrow as pa
import pyarrow.compute as pc

from ccare.events.masking import PRIVATE, PRIVATE_BY_ARROW
from ccare.events.pseudonym import NUMBER, token_of
from ccare.tables.streams import MASK

_PRIVATE = re.compile(PRIVATE)
_KEY, _TRADE, _REFUND, _PAYLOAD = "line_key", "trade_no", "refund_no", "payload"
_WORDS = ("交易", "退款", "SUCCESS", "REFUND", "REVOKED", "FAIL", "PROCESSING", "CLOSED", "CNY")
_AMOUNT = r"-?\d{1,9}(\.\d{1,5})?"
_TIME = r"\d{4}[-/]\d{1,2}[-/]\d{1,2} \d{1,2}:\d{2}(:\d{2})?"
_TRADE_NO = r"\d{24,32}|\d\.\d+E\+\d+"
_FORMED = re.compile(f"{_AMOUNT}|{_TIME}|{_TRADE_NO}", re.ASCII)
"""A trade's number has 28 digits, or is what a spreadsheet program made of them; none of a person has so many."""


def with_tokens(lines: pa.Table, key: bytes) -> pa.Table:
    """``lines`` (as BILL_LINE) with tokens for numbers that look personal, in their columns and in line_key."""
    odd = pc.fill_null(pc.match_substring_regex(lines[_KEY], PRIVATE_BY_ARROW), False)
    if not pc.any(odd).as_py():
        return lines
    told = {name: lines[name].to_pylist() for name in (_KEY, _TRADE, _REFUND)}
    for line in pc.indices_nonzero(odd).to_pylist():
        text, trade_no = told[_KEY][line], told[_TRADE][line]
        kind = text.split("|", 1)[0]
        # Of a line that is no refund the key may tell a refund number that its column does not.
        refund_no = text[len(kind) + len(trade_no) + 2 :]
        told[_KEY][line] = "|".join((kind, _kept(trade_no, key), _kept(refund_no, key)))
        told[_TRADE][line] = _kept(trade_no, key)
        told[_REFUND][line] = told[_REFUND][line] and _kept(told[_REFUND][line], key)
    for name, texts in told.items():
        lines = _told_otherwise(lines, name, texts)
    return lines


def with_starred(lines: pa.Table) -> pa.Table:
    """``lines`` whose payload, cells of a refused line, has ``***`` for all that is no amount, time, status or trade.

    In a refused line cells may have slipped: no column tells what stands in it, and a code may be the payer's id.
    """
    told = lines[_PAYLOAD]
    if told.null_count == len(told):
        return lines
    starred = [
        text and json.dumps(_starred(json.loads(text)), ensure_ascii=False) for text in told.to_pylist()
    ]
    return _told_otherwise(lines, _PAYLOAD, starred)


def _told_otherwise(lines: pa.Table, name: str, texts: list[str | None]) -> pa.Table:
    place = lines.schema.get_field_index(name)
    return lines.set_column(place, lines.schema.field(place), pa.array(texts, pa.string()))


def _starred(cells: dict[str, str]) -> dict[str, str]:
    return {name: cell if _says_nobody(cell) else MASK for name, cell in cells.items()}


def _says_nobody(cell: str) -> bool:
    return cell in _WORDS or bool(_FORMED.fullmatch(cell))


def _kept(number: str, key: bytes) -> str:
    return token_of(key, number, NUMBER) if _PRIVATE.search(number) else number
