"""Trade and refund numbers of bills that may be a person's: the same token as in payments, so that both still join.

A merchant chooses a refund's number, and may take the payer's telephone for it. A line is known by its numbers, so
they cannot be starred. It is done before lines are staged: neither such a number nor the key gets to Spark.
"""

import re

import pyarrow as pa
import pyarrow.compute as pc

from ccare.events.masking import PRIVATE, PRIVATE_BY_ARROW
from ccare.events.pseudonym import NUMBER, token_of

_PRIVATE = re.compile(PRIVATE)
_KEY, _TRADE, _REFUND = "line_key", "trade_no", "refund_no"


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
        place = lines.schema.get_field_index(name)
        lines = lines.set_column(place, lines.schema.field(place), pa.array(texts, pa.string()))
    return lines


def _kept(number: str, key: bytes) -> str:
    return token_of(key, number, NUMBER) if _PRIVATE.search(number) else number
