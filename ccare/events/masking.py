"""What may stand in a text that upstream filled: personal data that lands in the wrong field goes no further.

A text is plain where it is a code: ASCII letters, digits and a little punctuation, with no run of digits in it that
is formed like a mobile number or an ID card's. Names, addresses and e-mail need blanks, other letters or "@".
"""

from collections.abc import Iterable
from string import ascii_letters, digits

from pyspark.sql import Column
from pyspark.sql import functions as F

from ccare.tables.streams import MASK, STREAMS

KEPT_CHARACTERS = 2000
_PLAIN = "A-Za-z0-9_.:/?=&#%+,;~|*!()-"
_MOBILE = "(?:86-?)?1[3-9][0-9]-?[0-9]{4}-?[0-9]{4}"
_ID_CARD = "[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]"
_PERSONS = f"(?:{_MOBILE}|{_ID_CARD})"
_FORMED = f"{_PERSONS}(?![0-9A-Za-z])"
_NUMBER = f"(?<![0-9A-Za-z]){_FORMED}"
_EMAIL = r"[^\s\"<>,;]{1,64}@[A-Za-z0-9-]{1,63}\.[A-Za-z0-9.-]{1,190}"
_STARS = f': "{MASK}"'
_ALONE = r'(^|, )("[a-z_]+")(?=, |$)'
_BARE_DIGITS = r":\s*-?[0-9]{11,}[0-9.eE+-]*"
_LONG_DIGITS = r"(?<![0-9A-Za-z_-])[0-9]{11,18}[0-9Xx]?(?![0-9A-Za-z_-])"

_PERSONAL = ("user_id", "operator_id", "buyer_id", "phone", "mobile", "email", "name", "id_card")
_COMMON = ("event_id", "event_type", "occurred_at", "hour_start", "merchant_id", "origin")
_DECLARED = sorted({f.name for s in STREAMS.values() for f in s.fields} | set(_COMMON))
_VALUE = rf'(?:"[{_PLAIN}]{{0,128}}"|-?[0-9][0-9.eE+-]{{0,40}}|true|false|null)(?=\s*(?:[,}}\]]|$))'
# A visit's own fields name its user: in a page's path, before a session's number.
_TRACES = ("page", *sorted({f.name for s in STREAMS.values() for f in s.fields if f.holds == "trace"}))
_TOLD = "|".join(name for name in _DECLARED if name not in (*_PERSONAL, *_TRACES))
_PAIRS = rf'"(?:{_TOLD})"\s*:\s*{_VALUE}|"(?:{_TOLD}|{"|".join((*_PERSONAL, *_TRACES))})"(?=\s*:)'


PRIVATE = f"[^{_PLAIN}]|{_NUMBER}"
PRIVATE_BY_ARROW = f"[^{_PLAIN}]|(?:^|[^0-9A-Za-z]){_PERSONS}(?:[^0-9A-Za-z]|$)"
"""Finds the same texts in Arrow, whose patterns cannot look around."""


def private(text: Column) -> Column:
    """Whether a text holds more than a code may; null for null."""
    return text.rlike(PRIVATE)


# Java looks characters that stand alone in a class up in one table, and asks each range by a call.
_ONE_BY_ONE = digits + ascii_letters
PRIVATE_AMONG = f"[^0-9A-Za-z](?:(?<=[^{_PLAIN}])|{_FORMED})".replace("0-9A-Za-z", _ONE_BY_ONE).replace(
    "A-Za-z0-9", _ONE_BY_ONE
)
"""What ``private`` looks for, in texts with a comma before each: most characters cost one look in one table."""


def any_private(texts: Iterable[Column]) -> Column:
    """Whether any of the texts is ``private``, asked of all of them at once; false where all are null."""
    return F.concat_ws(",", F.lit(""), *texts).rlike(PRIVATE_AMONG)


def formed_like_personal(text: Column) -> Column:
    """Whether a text that people read (a shop's name) holds an e-mail address, a mobile number or an ID number."""
    return text.rlike(f"{_EMAIL}|{_NUMBER}")


def masked(line: Column) -> Column:
    """What a refused line says in declared fields, as one JSON object: plain values, ``***`` for everything else.

    Of what is not declared nothing is kept: in a line that cannot be read no rule tells what a word may be.
    """
    text = F.substring(F.make_valid_utf8(line), 1, KEPT_CHARACTERS)
    found = F.regexp_extract_all(text, F.lit(_PAIRS), F.lit(0))
    # Not by a lambda, which would keep the whole projection out of compiled code, for sound rows too.
    starred = F.regexp_replace(F.array_join(found, ", "), _ALONE, f"$1$2{_STARS}")
    told = F.regexp_replace(starred, _BARE_DIGITS, _STARS)
    return F.concat(F.lit("{"), without_numbers(told), F.lit("}"))


def without_numbers(text: Column) -> Column:
    """``text`` with ``***`` for every number that may be a telephone's, an ID card's or an account's."""
    return F.regexp_replace(text, f"{_LONG_DIGITS}|{_NUMBER}", MASK)
