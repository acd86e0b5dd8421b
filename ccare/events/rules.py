"""What a landing row must be: one list a stream gives both the reasons a row is refused for and the gate's suite.

A rule reads the row twice. As delivered (text beside typed value), where breaking it is a reject reason; and as
accepted, where its expectation must hold if the reason was given to whom it was due. So a row filter that fails
to bite stops the day instead of filling a table.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import and_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.events.read import NUMBERS, UNTERMINATED
from ccare.runtime.gate import Rule
from ccare.tables.streams import EVENT_ID_PATTERN, ID_PATTERN, MOST_UNITS, PARTYLESS, Field, Stream

FUTURE_MINUTES = 10
_DAY_MICROS = 86_400_000_000
_MOST_AHEAD_MICROS = 16 * 3_600_000_000
"""No zone was ever further ahead of UTC, so no local day ends earlier."""
_TYPED = (*NUMBERS, "date", "flag", "instant")
ORIGINS = ("real", "simulated")
UNREAD = "_unread"
"""Helper column of parsed rows: bit i is set where the i-th typed field had text and got no value from it."""
KNOWN = "_known"
"""Helper column of parsed rows: whether the merchant is known."""
BEFORE_TYPING = {
    "malformed_json": "a line that is no single JSON object has no fields: no typed row to store",
    "malformed_csv": "a line that has not a cell for each column has no fields: no typed row to store",
    "invalid_utf8": "bytes that are no text have no fields: no typed row to store",
    "line_too_long": "a line that is too long to be read has no fields: no typed row to store",
    UNTERMINATED: "a line that may have been cut shows half a value as a whole one: no typed row to store",
    "duplicate_keys": "a key that stands twice says two things, and a typed row shows one of them",
    "nul_character": "text with U+0000 in it is text like any other once stored, and breaks what reads it later",
}
"""Reasons without a stored form, and why: for these the conservation of lines is the second check."""


@dataclass(frozen=True)
class RowRule:
    """One rule of one stream. ``broken`` is true where a delivered row breaks it (null counts as false).

    The stored form is either one of the gate's own kinds (``expect`` with ``arguments``) or ``holds``, which
    becomes a boolean helper column that must be true.
    """

    id: str
    why: str
    broken: Column
    expect: str = "in_set"
    arguments: tuple[tuple[str, object], ...] = ()
    holds: Column | None = None
    covers: str = ""
    severity: str = "block"

    @property
    def helper(self) -> str:
        """Name of the helper column, where there is one."""
        return f"_holds_{self.id}"

    def expectation(self) -> Rule:
        """The rule as the gate runs it."""
        arguments = self.arguments
        if self.holds is not None:
            arguments = (("column", self.helper), ("values", [True]))
        return Rule(self.id, self.expect, arguments, self.severity, self.why)


def row_rules(stream: Stream, timezone: str = "UTC") -> tuple[RowRule, ...]:
    """Every rule that one row of the stream can break by itself, in the order in which reasons are told."""
    rules = [rule for field in stream.fields for rule in _field_rules(stream, field)]
    origin = F.col("origin")
    why = "simulated rows must never pass for real ones"
    rules.append(RowRule("bad_origin", why, ~origin.isin(*ORIGINS), *_in_set("origin", ORIGINS)))
    if stream.name not in PARTYLESS:
        rules += _id_rules("merchant_id", ID_PATTERN, "ids become file names and keys: nothing else gets in")
    if stream.has_user and not stream.is_event:
        why = "a row about a person that names nobody cannot be applied"
        rules.append(RowRule("missing_user_id", why, F.col("user_key").isNull(), *_present("user_key")))
    if stream.is_event:
        rules += _id_rules(
            "event_id", EVENT_ID_PATTERN, "an event is known by its id; without one it counts twice"
        )
        rules += _event_rules(stream, timezone)
    return tuple(rules)


def gate_rules(stream: Stream, timezone: str = "UTC") -> tuple[Rule, ...]:
    """The rows' expectations as the gate runs them over accepted rows with their helper columns."""
    rules = [rule.expectation() for rule in row_rules(stream, timezone)]
    if stream.is_event:
        rules.append(
            Rule("unknown_merchant", "in_set", (("column", KNOWN), ("values", [True])), "block", _STRANGER)
        )
        rules.append(Rule("undated", "in_set", (("column", "_dated"), ("values", [True])), "block", _UNDATED))
    return tuple(rules)


def covered(stream: Stream) -> tuple[str, ...]:
    """Columns whose presence the rows' own rules look after."""
    return tuple(rule.covers for rule in row_rules(stream) if rule.covers)


def unique_rules(stream: Stream) -> tuple[Rule, ...]:
    """Expectations over accepted rows that share an id or a trade with another row, now or before."""
    if not stream.is_event:
        return ()
    rules = [Rule("event_id_conflict", "unique_values", (("column", "event_id"),), "block", _ONCE)]
    if stream.name == "payments":
        rules.append(Rule("duplicate_trade", "unique_values", (("column", "trade"),), "block", _TRADE))
    return tuple(rules)


_STRANGER = "an event of a merchant that nobody registered would be scored and paid to no one"
_UNDATED = "the business date is the local date of the event, so one that is dated has it"
_ONCE = "an event taken twice counts twice in every sum"
_TRADE = "a trade is paid once; a second payment would raise sales and points"


def reasons(stream: Stream, timezone: str, off: Iterable[str] = ()) -> list[Column]:
    """A column for each rule: its id where the row breaks it, else null. What a line is read with stands first.

    Rules in ``off`` refuse nothing, so that their expectations can be seen at work.
    """
    readable = F.col("_size") == 1
    told = [] if BEFORE_TYPING.keys() & set(off) else [F.when(F.col("_faults") != "", F.col("_faults"))]
    for rule in row_rules(stream, timezone):
        if rule.id not in off:
            told.append(F.when(readable & F.coalesce(rule.broken, F.lit(False)), F.lit(rule.id)))
    return told


def unread(stream: Stream) -> Column:
    """The bits of UNREAD, from text and typed value side by side."""
    bits = [
        F.when(F.col(f"_raw_{text}").isNotNull() & F.col(f"`{name}`").isNull(), 1 << place).otherwise(0)
        for place, (name, text) in enumerate(_typed_columns(stream))
    ]
    return reduce(Column.__add__, bits, F.lit(0)).cast("bigint")


def with_helpers(rows: DataFrame, stream: Stream, timezone: str) -> DataFrame:
    """Accepted rows + a boolean column for each rule that is no plain expectation on a stored column."""
    helpers = [r.holds.alias(r.helper) for r in row_rules(stream, timezone) if r.holds is not None]
    if stream.is_event:
        helpers.append((F.col("occurred_at").isNull() | F.col("business_date").isNotNull()).alias("_dated"))
        # Whom an id cannot name, nobody can know: that is the id's own rule.
        named = F.coalesce(F.col("merchant_id").rlike(whole_pattern(ID_PATTERN)), F.lit(False))
        known = F.coalesce(F.col(KNOWN), ~named) if KNOWN in rows.columns else F.lit(True)
        return rows.select(
            *(F.col(f"`{c}`") for c in rows.columns if c != KNOWN), known.alias(KNOWN), *helpers
        )
    return rows.select("*", *helpers)


def _typed_columns(stream: Stream) -> list[tuple[str, str]]:
    """(typed column, landing field) of every field whose text must become something else."""
    found = [(field.name, field.name) for field in stream.fields if field.kind in _TYPED]
    return [*found, ("occurred_at", stream.clock)] if stream.is_event else found


def _was_unread(stream: Stream, name: str) -> Column:
    place = [column for column, _ in _typed_columns(stream)].index(name)
    return F.col(UNREAD).bitwiseAND(F.lit(1 << place)) != 0


def _holds(*conditions: Column) -> Column:
    """All of them, where a null is no pass."""
    return F.coalesce(reduce(and_, conditions), F.lit(False))


def _present(column: str) -> tuple[str, tuple[tuple[str, object], ...]]:
    return "not_null", (("column", column),)


def _in_set(column: str, values: Iterable[str]) -> tuple[str, tuple[tuple[str, object], ...]]:
    return "in_set", (("column", column), ("values", list(values)))


def whole_pattern(pattern: str) -> str:
    r"""Java's $ also matches before a last newline; \z does not."""
    return pattern.removesuffix("$") + r"\z"


def _id_rules(name: str, pattern: str, why: str) -> list[RowRule]:
    raw, whole = F.col(f"_raw_{name}"), whole_pattern(pattern)
    return [
        RowRule(f"missing_{name}", why, raw.isNull(), *_present(name), covers=name),
        RowRule(f"bad_{name}", why, ~raw.rlike(whole), "matches", (("column", name), ("pattern", whole))),
    ]


def _event_rules(stream: Stream, timezone: str) -> list[RowRule]:
    kind, at, raw = F.col("_raw_event_type"), F.col("occurred_at"), F.col(f"_raw_{stream.clock}")
    types = stream.event_types
    end = F.to_utc_timestamp(F.date_add("delivery_date", 1).cast("timestamp"), timezone)
    # In microseconds: adding an interval to an instant goes by way of a calendar, row by row. Most rows are older than
    # the earliest end of that day anywhere, and ask no calendar at all.
    anywhere = F.unix_date("delivery_date").cast("bigint") * _DAY_MICROS + _DAY_MICROS - _MOST_AHEAD_MICROS
    told = F.unix_micros(at)
    future = (told > anywhere) & (told > F.unix_micros(end) + FUTURE_MINUTES * 60_000_000)
    lost = _was_unread(stream, "occurred_at")
    sense = "anything else has no meaning in a sum"
    when = "an event without its time belongs to no day"
    return [
        RowRule("missing_event_type", sense, kind.isNull(), *_present("event_type"), covers="event_type"),
        RowRule("unknown_event_type", sense, ~kind.isin(*types), *_in_set("event_type", types)),
        RowRule(
            f"missing_{stream.clock}",
            when,
            raw.isNull(),
            holds=_holds(at.isNotNull() | lost),
            covers="occurred_at",
        ),
        RowRule(
            f"bad_{stream.clock}",
            when,
            raw.isNotNull() & at.isNull(),
            holds=_holds(~lost),
            covers="business_date",
        ),
        RowRule(
            "occurred_in_future",
            "nothing has happened later than its delivery; a clock that is ahead would fill days to come",
            future,
            holds=F.coalesce(~future, F.lit(True)),
        ),
    ]


def _field_rules(stream: Stream, field: Field) -> list[RowRule]:
    rules = []
    if field.required:
        rules.append(_missing(stream, field))
    raw, value = F.col(f"_raw_{field.name}"), F.col(f"`{field.name}`")
    name, id_ = field.name, f"bad_{field.name}"
    if field.kind in NUMBERS:
        lost = _was_unread(stream, name)
        why = "a number that cannot be read would be summed as nothing; one out of bounds would wreck the sum"
        within = F.coalesce(value.between(field.least, MOST_UNITS), F.lit(True))
        broken = (raw.isNotNull() & value.isNull()) | ~within
        holds = _holds(~lost, within)
        rules.append(RowRule(id_, why, broken, holds=holds))
    elif field.kind in _TYPED:
        kind = {"instant": "time"}.get(field.kind, field.kind)
        why = f"a {kind} that cannot be read would be kept as if it had not been said"
        rules.append(
            RowRule(id_, why, raw.isNotNull() & value.isNull(), holds=_holds(~_was_unread(stream, name)))
        )
    elif field.kind == "id":
        why, whole = "ids become file names and keys: nothing else gets in", whole_pattern(ID_PATTERN)
        rules.append(RowRule(id_, why, ~raw.rlike(whole), "matches", (("column", name), ("pattern", whole))))
    elif field.allowed:
        why = "a word outside the list would fall out of every group"
        rules.append(RowRule(id_, why, ~raw.isin(*field.allowed), *_in_set(name, field.allowed)))
    return rules


def _missing(stream: Stream, field: Field) -> RowRule:
    raw, value, id_ = F.col(f"_raw_{field.name}"), F.col(f"`{field.name}`"), f"missing_{field.name}"
    why = "the field is required"
    if field.only_for:
        due = F.col("event_type").isin(*field.only_for)
        why = f"the field is required of {', '.join(field.only_for)}"
        broken = raw.isNull() & F.col("_raw_event_type").isin(*field.only_for)
        return RowRule(id_, why, broken, holds=F.coalesce(~due, F.lit(True)) | value.isNotNull())
    if field.kind in _TYPED:
        holds = _holds(value.isNotNull() | _was_unread(stream, field.name))
        return RowRule(id_, why, raw.isNull(), holds=holds, covers=field.name)
    return RowRule(id_, why, raw.isNull(), *_present(field.name), covers=field.name)
