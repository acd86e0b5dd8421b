"""Landing lines to fields as text: what a line says, before anything is made of it. JSON or CSV, one row a line.

Every line comes out once. One that cannot be read has no fields and one fault; a readable one may have faults too.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from ccare.tables.streams import PARTYLESS, Stream

LINE_MAX_BYTES = 1 << 20
"""A landing line of this many bytes or more is refused, and no more of it is kept."""
LINE_HELD_BYTES = 1 << 24
"""A file with a longer line than this is refused whole: Spark holds a line in one piece, so this bounds its memory."""
UNTERMINATED = "unterminated_line"
"""Reason of a CSV file's last line without a newline: cut within its last cell it reads like a whole one."""
CSV_COLUMNS_MAX = 64
NUMBERS = ("fen", "count", "ms")
_WHOLE_NUMBER = r"^-?\d+$"
_BOM = "\ufeff"
_NUL = chr(0)
NAMES_APART = chr(31)
TEXT = "_text"
"""Column of lines: whether their file is known to be UTF-8 throughout."""
ESCAPES = "_escapes"
"""Column of lines: whether their file may hold a backslash."""
Layout = tuple[str, ...]
"""Names of an object's fields in the order in which it gives them."""
_MARK = "\ue000"
"""A private-use character: the key of an object that no line says."""


def field_names(stream: Stream) -> list[str]:
    """The fields that a line of the stream may have, as it names them."""
    common = ["origin"]
    if stream.is_event:
        common += ["event_id", "event_type", stream.clock]
    if stream.name not in PARTYLESS:
        common.append("merchant_id")
    if stream.has_user:
        common.append("user_id")
    return list(dict.fromkeys(common + [f.name for f in stream.fields]))


def read_json(lines: DataFrame, stream: Stream, layouts: Sequence[Layout] = ()) -> DataFrame:
    """``lines`` (a column ``value`` and others) + ``_size`` (1 where readable), ``_faults``, ``_unknown``, fields.

    Each field is ``_raw_<field>``, its text or null; for a number there is also ``_num_<field>``, null where the
    text is none. A quoted number counts as the number: exporters quote them. One look at a line as a map gives
    fields, unknown keys and keys that stand twice: as a struct it would hide the last two. ``layouts`` that many lines
    have save looking for each field by its name; they change no row.
    """
    names = field_names(stream)
    value = F.col("value")
    text = F.when(value.startswith(_BOM), F.substring(value, 2, LINE_MAX_BYTES)).otherwise(value)
    # Spark reads the first value of a text and passes over the rest. In an array, with a mark behind it, a line
    # that is two objects, or has more after one, or closes the array itself, does not give these two members.
    boxed = F.concat(F.lit("["), text, F.lit(f',{{"{_MARK}":""}}]'))
    read = lines.withColumn("_boxed", F.when(_whole(lines), boxed))
    row = T.ArrayType(T.MapType(T.StringType(), T.StringType()))
    rows = F.from_json("_boxed", row, {"allowSingleQuotes": "false"})
    # Both ask for the boxed line, so the optimizer leaves it a column of its own, made by compiled code.
    read = read.select(*lines.columns, rows.alias("_rows"), F.col("_boxed").isNotNull().alias("_whole"))
    marked = (F.size("_rows") == 2) & F.map_contains_key(F.get("_rows", 1), _MARK)
    read = read.withColumn("_row", F.when(marked, F.get("_rows", 0)))
    read = read.withColumns(
        {f"_like_{n}": F.map_keys("_row") == _texts(each) for n, each in enumerate(layouts)}
    )
    readable = F.col("_row").isNotNull()
    # As many fields found as keys: then every key is a known one that stands once, and no more is asked.
    cells = _cells(names, layouts)
    found = reduce(add, (F.when(cell.isNotNull(), 1).otherwise(0) for cell in cells))
    keys = F.map_keys("_row")
    odd = F.when(readable & (F.size(keys) != found), keys)
    hidden = F.col(ESCAPES) if ESCAPES in lines.columns else F.lit(True)
    holds_nul = hidden & value.contains("\\u0000") & F.concat_ws("", *cells).contains(_NUL)
    faults = [
        *_line_faults(),
        _fault("malformed_json", F.col("_whole") & ~readable),
        _fault("duplicate_keys", F.size(odd) != F.size(F.array_distinct(odd))),
        _fault("nul_character", readable & holds_nul),
    ]
    return read.select(
        *lines.columns,
        F.when(readable, 1).otherwise(0).alias("_size"),
        F.concat_ws(",", *faults).alias("_faults"),
        _told(odd, stream).alias("_unknown"),
        *(cell.alias(f"_raw_{n}") for n, cell in zip(names, cells, strict=True)),
    ).select("*", *_numbers(stream))


def read_csv(lines: DataFrame, stream: Stream) -> DataFrame:
    """Like ``read_json`` for lines of CSV files; ``_header`` (array of names) says which column is which.

    ``_unfinished`` marks the one line of a file that may have been cut: what is left of it is not read.
    The dialect is RFC 4180 with one record a line: a field that breaks the line makes two bad lines. An empty field
    is absent.
    """
    value = F.col("value")
    columns = ", ".join(f"c{n} string" for n in range(CSV_COLUMNS_MAX))
    options = {"mode": "PERMISSIVE", "escape": '"'}
    line = F.rtrim(value, F.lit("\r"))
    read = lines.withColumn("_whole", _whole(lines))
    read = read.withColumn("_row", F.from_csv(F.when(F.col("_whole"), line), F.lit(columns), options))
    read = read.withColumn("_cells", F.array(*(F.col(f"_row.c{n}") for n in range(CSV_COLUMNS_MAX))))
    # Spark fills up a short line and cuts a long one: the cells are counted here, quoted ones taken out first.
    unquoted = F.regexp_replace(line, '"(?:[^"]|"")*"', "")
    commas = F.octet_length(unquoted) - F.octet_length(F.replace(unquoted, F.lit(",")))
    sound = ~unquoted.contains('"') & (commas + 1 == F.size("_header")) & (F.length(line) > 0)
    ended = ~F.col("_unfinished")
    readable = F.coalesce(F.col("_whole") & ended & sound, F.lit(False))
    read = read.withColumn("_size", F.when(readable, 1).otherwise(0))
    faults = [
        *_line_faults(),
        _fault(UNTERMINATED, ~ended),
        _fault("malformed_csv", F.col("_whole") & ended & ~readable),
        _fault("nul_character", readable & value.contains(_NUL)),
    ]
    return read.select(
        *lines.columns,
        "_size",
        F.concat_ws(",", *faults).alias("_faults"),
        _told(F.col("_header"), stream).alias("_unknown"),
        *(_cell(n).alias(f"_raw_{n}") for n in field_names(stream)),
    ).select("*", *_numbers(stream))


def _cells(names: Sequence[str], layouts: Sequence[Layout]) -> list[Column]:
    """What the row's map says of each name: of a row like one of ``layouts`` (``_like_<n>``) by its place in it."""
    values, cells = F.map_values("_row"), []
    for name in names:
        cell = F.col("_row").getItem(name)
        for n, layout in reversed(list(enumerate(layouts))):
            known = F.get(values, layout.index(name)) if name in layout else F.lit(None).cast("string")
            cell = F.when(F.col(f"_like_{n}"), known).otherwise(cell)
        cells.append(cell)
    return cells


def _cell(name: str) -> Column:
    place = F.array_position("_header", name)
    cell = F.when((F.col("_size") == 1) & (place > 0), F.get("_cells", (place - 1).cast("int")))
    return F.when(F.length(cell) > 0, cell)


def _numbers(stream: Stream) -> list[Column]:
    """Text that is a whole number, as one."""
    raws = {f.name: F.col(f"_raw_{f.name}") for f in stream.fields if f.kind in NUMBERS}
    return [_number(raw).alias(f"_num_{name}") for name, raw in raws.items()]


def _number(raw: Column) -> Column:
    """A number written as numbers mostly are is known by being written back: the pattern is asked about the rest."""
    number = raw.try_cast("bigint")
    return F.when((number.cast("string") == raw) | raw.rlike(_WHOLE_NUMBER), number)


def beginning(value: Column) -> Column:
    """What is kept of a line: of one that is too long its first LINE_MAX_BYTES."""
    cut = F.substring(value.cast("binary"), 1, LINE_MAX_BYTES).cast("string")
    return F.when(F.octet_length(value) >= LINE_MAX_BYTES, cut).otherwise(value)


def _whole(lines: DataFrame) -> Column:
    """Whether the line is short enough to be read, and text: of a file that is, its bytes need no second look."""
    text = F.is_valid_utf8("value")
    if TEXT in lines.columns:
        text = F.col(TEXT) | text
    return (F.octet_length("value") < LINE_MAX_BYTES) & text


def _line_faults() -> list[Column]:
    """Of a line that is not ``_whole``: looking twice whether it is text costs a pass over its bytes."""
    short = F.octet_length("value") < LINE_MAX_BYTES
    return [_fault("line_too_long", ~short), _fault("invalid_utf8", short & ~F.col("_whole"))]


def _texts(names: Sequence[str]) -> Column:
    return F.array(*map(F.lit, names))


def _fault(name: str, broken: Column) -> Column:
    return F.when(F.coalesce(broken, F.lit(False)), F.lit(name))


def _told(keys: Column, stream: Stream) -> Column:
    """Names among ``keys`` that the stream does not declare, in one text; null where there are none."""
    unknown = F.array_except(keys, _texts(field_names(stream)))
    return F.when(F.size(unknown) > 0, F.array_join(unknown, NAMES_APART))
