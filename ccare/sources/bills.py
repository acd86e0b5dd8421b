"""What every settlement bill shares: its amounts as integers, its header by name, and refusal in words."""

import csv
import json
from collections.abc import Callable, Iterable
from functools import lru_cache

from ccare.errors import CcareError

ALIPAY, WECHAT = "alipay", "wechat"
PAID, REFUNDED = "paid", "refunded"
AGAIN = "Download the bill again and deliver it as it came, not saved by a spreadsheet program."
_DIGITS_MAX = 15


class BillRefused(CcareError):
    """A file that is not taken at all. The sentence never holds a name, an account or a cell's text."""


MerchantOf = Callable[[str], str]
"""An account as a bill writes it -> merchant id; raises BillRefused where nobody is known by it."""


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


def cells_of(line: str, number: int) -> list[str]:
    """A line's cells by RFC 4180; a cell that runs over the line's end ends with it."""
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader((line,)))
    except csv.Error:
        raise BillRefused(f"Line {number} cannot be split into cells.", remedy=AGAIN) from None


def named(cell: str) -> str:
    """A header cell as columns are looked up: half-width brackets, no blanks, tabs or back-ticks."""
    return cell.translate(_PLAIN).strip()


_PLAIN = str.maketrans({"（": "(", "）": ")", "\t": None, "`": None, " ": None, "\ufeff": None})


def columns_of(header: list[str], wanted: Iterable[str]) -> list[int]:
    """Where each wanted column stands; a name may give alternatives with ``|``. BillRefused names what is missing."""
    places: dict[str, int] = {}
    for place, name in enumerate(header):
        if name and name in places:
            raise BillRefused(f"Column {name} stands twice in its header.", remedy=AGAIN)
        places[name] = place
    found = [next((places[n] for n in name.split("|") if n in places), None) for name in wanted]
    missing = [name.split("|")[0] for name, place in zip(wanted, found, strict=True) if place is None]
    if missing:
        raise BillRefused(f"Its header has no column {', '.join(missing)}.", remedy=AGAIN)
    return [place for place in found if place is not None]


def require_equal(name: str, told: str, found: str, lines: int) -> None:
    """BillRefused where a total that the bill tells differs from its own lines."""
    if told != found:
        raise BillRefused(
            f"Its total {name} is {told} and its {lines} lines give {found}.",
            remedy="The file was changed or cut short: download it again. No line of it was taken.",
        )


def payload(header: list[str], cells: list[str], kept: frozenset[str]) -> str:
    """The impersonal cells of a refused line as JSON."""
    told = {n: cell.strip() for n, cell in zip(header, cells, strict=True) if n in kept and cell.strip()}
    return json.dumps(told, ensure_ascii=False)
