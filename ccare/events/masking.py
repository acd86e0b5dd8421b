"""Personal fields of a refused line are masked before the line is kept."""

from pyspark.sql import Column
from pyspark.sql import functions as F

_MASK = "***"
_PERSONAL = ("user_id", "operator_id", "buyer_id", "phone", "mobile", "email", "name", "id_card")
_FIELDS = r'("(?:' + "|".join(_PERSONAL) + r')"\s*:\s*)("(?:[^"\\]|\\.)*"?|-?[0-9][0-9.eE+-]*)'
_EMAIL = r"[A-Za-z0-9._%+*-]+@[A-Za-z0-9.-]+"
_LONG_DIGITS = r"(?<![0-9A-Za-z_-])[0-9]{11,18}[0-9Xx]?(?![0-9A-Za-z_-])"
KEPT_CHARACTERS = 2000


def masked(line: Column) -> Column:
    """The line, at most 2,000 characters, with personal fields, e-mail addresses and long numbers starred."""
    text = F.substring(F.make_valid_utf8(line), 1, KEPT_CHARACTERS)
    text = F.regexp_replace(text, _FIELDS, f'$1"{_MASK}"')
    return F.regexp_replace(F.regexp_replace(text, _EMAIL, _MASK), _LONG_DIGITS, _MASK)
