"""The gate of a stream's pass: rows by their rules, ids by uniqueness, the delivery by its dataset rules."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.events import job as events
from ccare.events.fate import ACCEPTED, REJECTED
from ccare.events.rules import covered, gate_rules, unique_rules, with_helpers
from ccare.events.slots import SlotMap
from ccare.runtime import gate
from ccare.runtime.dataset_rules import Measured, delivery_measures, judged
from ccare.runtime.relations import relation_measures
from ccare.tables import table
from ccare.tables.streams import EVENT_STREAMS, Stream

if TYPE_CHECKING:
    from ccare.runtime.fates import Taken
    from ccare.runtime.run import Run

GUIDED = "guide:"
UNKNOWN_CODE = "_unknown_code"
"""Helper column: whether the row names a slot by a code that the policy does not know."""
SHOWN_CODES = 10
SHOWN_REASONS = 3


@dataclass(frozen=True)
class Judged:
    """A pass's rows as its gate looks at them; the frames are asked for only where something is wrong.

    ``broken`` tells what accepted rows break of their suite. ``rows`` hold all that was accepted, ``refused`` all that
    was refused, ``disputed`` the accepted ones that share an id or a trade; each with its fate.
    """

    broken: Callable[[], list[gate.Failure]]
    rows: Callable[[], DataFrame]
    refused: Callable[[], DataFrame]
    disputed: Callable[[], DataFrame]


def _code(stream: Stream) -> Column | None:
    """What a row names its slot by: the slot itself, or position or scene; None where the stream has no such field.

    A position that marks a guided visit (guide:…) names no slot, as it should not.
    """
    names = {f.name for f in stream.fields}
    if not stream.is_event or not names & {"slot", "scene", "promo_position"}:
        return None
    if "slot" in names:
        return F.col("slot")
    scene = F.col("scene") if "scene" in names else F.lit(None).cast("string")
    if "promo_position" not in names:
        return scene
    position = F.col("promo_position")
    return F.coalesce(F.when(~position.startswith(GUIDED), position), scene)


def unknown_code(stream: Stream, slots: SlotMap) -> Column:
    """Whether a row names a scene, a position or a slot that the policy does not know."""
    code = _code(stream)
    if code is None:
        return F.lit(False)
    if any(f.name == "slot" for f in stream.fields):
        return ~code.isin(*slots.names)
    return (F.col("slot") == "unknown") & code.isNotNull()


def helped(rows: DataFrame, stream: Stream, timezone: str, slots: SlotMap) -> DataFrame:
    """Judged rows with the columns that the gate looks at and the counts are made of."""
    return with_helpers(rows, stream, timezone).withColumn(UNKNOWN_CODE, unknown_code(stream, slots))


def gate_pass(
    run: "Run",
    stream: Stream,
    looked_at: Judged,
    found: "Taken",
    files: Sequence[Mapping[str, Any]],
    history: Iterable[Mapping[str, Any]],
    inputs: Mapping[str, DataFrame],
) -> tuple[str, ...]:
    """Judge a stream's pass before anything of it is published; returns warnings, GateRefused names what blocks."""
    declared = table(stream.table)
    measures = delivery_measures(stream.name, run.close.day, files, history)
    if _code(stream) is not None:
        measures["unknown_codes"] = _unknown_codes(looked_at, stream, run.close.slots, found)
    looked, failures = judged(declared.name, measures)
    failures = [_with_reasons(f, looked_at) for f in failures]
    if found.total(ACCEPTED):
        looked += row_suite(stream, run.close.timezone)
        failures += looked_at.broken()
    unique = unique_rules(stream)
    looked += unique
    if found.shared:
        sharing = events.sharing(looked_at.disputed(), inputs, run.close, stream).persist()
        failures += gate.failures(sharing, declared, unique)
        sharing.unpersist()
    return run.quality.judge(declared.name, looked, failures)


def row_suite(stream: Stream, timezone: str) -> tuple[gate.Rule, ...]:
    """The suite over a stream's accepted rows; of entities the table's own is held over the whole table later."""
    rules = gate_rules(stream, timezone)
    return gate.suite_of(table(stream.table), rules, covered(stream)) if stream.is_event else rules


def row_failures(rows: DataFrame | pa.Table, stream: Stream, timezone: str) -> list[gate.Failure]:
    """What accepted rows, with their helper columns, break of their suite."""
    return gate.failures(rows, table(stream.table), row_suite(stream, timezone))


def gate_relations(run: "Run", stream: Stream) -> tuple[str, ...]:
    """Judge how the rows just written stand to those taken before: not published yet, so still refusable."""
    version = run.record.versions[stream.table]
    measures = relation_measures(run.settings.lake, stream.table, version, run.close.day)
    return run.quality.judge(stream.table, *judged(stream.table, measures))


def gate_silence(
    run: "Run", heard: Iterable[Stream], history: Iterable[Mapping[str, Any]]
) -> tuple[str, ...]:
    """Judge the streams that delivered no line."""
    warnings: list[str] = []
    for stream in (s for s in EVENT_STREAMS if s not in heard):
        measures = delivery_measures(stream.name, run.close.day, (), history)
        warnings += run.quality.judge(stream.table, *judged(stream.table, measures))
    return tuple(warnings)


def _unknown_codes(looked_at: Judged, stream: Stream, slots: SlotMap, found: "Taken") -> Measured:
    taken, count = found.total(ACCEPTED), found.unknown_codes
    if not count:
        return Measured(0, taken, "every code is known")
    named = _code(stream)
    assert named is not None
    code = F.substring(named, 1, 32).alias("code")
    unknown = (
        looked_at.rows()
        .where((F.col("fate") == ACCEPTED) & unknown_code(stream, slots))
        .groupBy(code)
        .count()
    )
    top = unknown.orderBy(F.desc("count"), "code").limit(SHOWN_CODES + 1).collect()
    shown = ", ".join(f"{_printable(r['code'])} ({r['count']:,})" for r in top[:SHOWN_CODES])
    rest = " and others" if len(top) > SHOWN_CODES else ""
    return Measured(count, taken, f"{count:,} of {taken:,} rows name an unknown code: {shown}{rest}")


def _printable(code: str) -> str:
    """A code as it may be shown: what does not look like one could be anything, a person's name too."""
    sound = code.replace("_", "").replace("-", "").replace(":", "").replace(".", "")
    looks = sound.isascii() and sound.isalnum() and sum(map(str.isdigit, code)) < 11
    return code if looks else "(no code)"


def _with_reasons(failure: gate.Failure, looked_at: Judged) -> gate.Failure:
    """Too many refused rows: say for what. Asked only then."""
    if dict(failure.rule.arguments).get("column") != "refused_share_bp":
        return failure
    told = looked_at.refused().where(F.col("fate") == REJECTED).select(F.explode("reasons").alias("reason"))
    top = told.groupBy("reason").count().orderBy(F.desc("count"), "reason").limit(SHOWN_REASONS).collect()
    shown = ", ".join(f"{r['reason']} {r['count']:,}" for r in top)
    return gate.Failure(
        failure.table, failure.rule, failure.unexpected, "", f"{failure.detail}: {shown}", failure.value
    )
