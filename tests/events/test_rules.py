"""Every row rule refuses by two independent means: its reason, and with that switched off its expectation alone."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ccare.errors import GateRefused
from ccare.events import job
from ccare.events.fate import ACCEPTED, RECORD_CONFLICT, SHARED
from ccare.events.job import fates
from ccare.events.rules import BEFORE_TYPING, gate_rules, row_rules, unique_rules
from ccare.runtime import gate
from ccare.runtime.close import Close
from ccare.runtime.dataset_rules import every_rule
from ccare.runtime.fates import counted
from ccare.runtime.gate import Failure, Rule
from ccare.runtime.quality import Quality
from ccare.runtime.spark import frame, interpreted
from ccare.runtime.stream_gate import helped, row_suite
from ccare.tables import Table, table
from ccare.tables.streams import STREAMS, Field, Stream
from tests.events.test_fates import DAY, close, landing

pytestmark = [pytest.mark.spark, pytest.mark.slow]

_GOOD: dict[str, Any] = {
    "id": "x1", "text": "words", "fen": 5, "count": 5, "ms": 5, "flag": True, "date": "2024-01-01",
    "instant": "2024-03-01T10:00:00+08:00",
}  # fmt: skip
PARTYLESS = ("service_providers", "solutions", "enrolments", "funding", "adjustments", "approvals")
_FUTURE = "2024-03-09T10:00:00+08:00"


def sound(stream: Stream, number: int = 1) -> dict[str, Any]:
    """A row of the stream with every field filled in."""
    row: dict[str, Any] = {f.name: f.allowed[0] if f.allowed else _GOOD[f.kind] for f in stream.fields}
    if "slot" in row:
        row["slot"] = "search_box"
    row["merchant_id"] = "m1"
    if stream.has_user:
        row["user_id"] = "u-1"
    if stream.is_event:
        row |= {"event_id": f"e{number}", "event_type": stream.event_types[0]}
        row[stream.clock] = "2024-03-01T10:00:00+08:00"
        if "trade_no" in row:
            row["trade_no"] = f"t{number}"
    return row


def _spoilt(stream: Stream, rule: str, number: int) -> list[dict[str, Any]]:
    """Rows of the stream of which one breaks that rule and no other."""
    row = sound(stream, number)
    what, _, name = rule.partition("_")
    by_name = {f.name: f for f in stream.fields}
    if rule == "event_id_conflict":
        return [
            row,
            {**row, "origin": "simulated", **({"trade_no": f"u{number}"} if "trade_no" in row else {})},
        ]
    if rule == "duplicate_trade":
        return [row, {**row, "event_id": f"f{number}"}]
    if rule == "occurred_in_future":
        return [{**row, stream.clock: _FUTURE}]
    if rule == "unknown_merchant":
        return [{**row, "merchant_id": "m2"}]
    if rule == "unknown_event_type":
        return [{**row, "event_type": "bought"}]
    if what == "missing":
        kinds = by_name[name].only_for if name in by_name else ()
        return [{**row, name: None, **({"event_type": kinds[0]} if kinds else {})}]
    assert what == "bad", rule
    return [{**row, name: _bad(by_name.get(name), name)}]


def _bad(field: Field | None, name: str) -> Any:
    if field is None:
        return {"origin": "guess", "merchant_id": "m/1", "event_id": "e 1"}.get(name, "yesterday")
    return (
        "no such word"
        if field.allowed
        else {"id": "x/1", "flag": "yes", "date": "2024-02-30"}.get(field.kind, "x")
    )


def _cases() -> list[tuple[str, str]]:
    """Every stream and rule id, told from the declarations alone: no session is needed to collect tests."""
    found = []
    for stream in STREAMS.values():
        names = []
        for field in stream.fields:
            names += [f"missing_{field.name}"] * field.required
            names += [f"bad_{field.name}"] * (field.kind != "text" or bool(field.allowed))
        names.append("bad_origin")
        if stream.name not in PARTYLESS:
            names += ["missing_merchant_id", "bad_merchant_id"]
        if stream.has_user and not stream.is_event:
            names.append("missing_user_id")
        if stream.is_event:
            names += ["missing_event_id", "bad_event_id", "missing_event_type", "unknown_event_type"]
            names += [
                f"missing_{stream.clock}",
                f"bad_{stream.clock}",
                "occurred_in_future",
                "unknown_merchant",
            ]
            names.append("event_id_conflict")
        if stream.name == "payments":
            names.append("duplicate_trade")
        found += [(stream.name, name) for name in names]
    return found


CASES = _cases()


@dataclass(frozen=True)
class Spoilt:
    """A stream's spoilt rows, judged with every filter on and with every filter off; lines of each rule."""

    lines: dict[str, tuple[int, ...]]
    filtered: DataFrame
    unfiltered: DataFrame
    failures: dict[str, Failure]


@pytest.fixture(scope="module")
def spoilt(spark: SparkSession) -> Iterator[Callable[[str], Spoilt]]:
    """Spoilt rows by stream, made once."""

    @cache
    def made(name: str) -> Spoilt:
        stream, rows, lines = STREAMS[name], [], {}
        for number, rule in enumerate(rule for s, rule in CASES if s == name):
            new = _spoilt(stream, rule, number)
            lines[rule] = tuple(range(len(rows) + 1, len(rows) + len(new) + 1))
            rows += new
        # Two keys that are both lost are one key: records must not be compared where nothing is refused.
        off = (*lines, RECORD_CONFLICT)
        filtered = _judged(spark, stream, rows).persist()
        unfiltered = _judged(spark, stream, rows, off).persist()
        failures = {f.rule.id: f for f in _gated(unfiltered, stream)}
        return Spoilt(lines, filtered, unfiltered, failures)

    with interpreted(spark):
        yield made
    spark.catalog.clearCache()


def _judged(
    spark: SparkSession, stream: Stream, rows: list[dict[str, Any]], off: tuple[str, ...] = ()
) -> DataFrame:
    lines = [json.dumps({k: v for k, v in row.items() if v is not None}) for row in rows]
    inputs = {"landing": landing(spark, lines)}
    if stream.is_event:
        inputs["core_merchants"] = frame(spark, table("core_merchants"), [{"merchant_id": "m1"}])
    return fates(inputs, close(), stream, off)


def _gated(rows: DataFrame, stream: Stream) -> list[Failure]:
    declared, told = table(stream.table), close()
    failures = _of_both(job.gated(rows, stream, told.timezone), declared, row_suite(stream, told.timezone))
    if stream.is_event and not rows.where((F.col("fate") == ACCEPTED) & F.col(SHARED)).isEmpty():
        failures += _of_both(job.sharing(rows, {}, told, stream), declared, unique_rules(stream))
    return failures


def _held(rows: DataFrame, stream: Stream) -> Any:
    told = close()
    return helped(rows, stream, told.timezone, told.slots).toArrow()


def _of_both(rows: DataFrame, declared: Table, suite: tuple[Rule, ...]) -> list[Failure]:
    """What the gate finds in Spark, which must be what it finds in the same rows held by the driver."""
    failures = gate.failures(rows, declared, suite)
    assert [(f.rule, f.unexpected) for f in gate.failures(rows.toArrow(), declared, suite)] == [
        (f.rule, f.unexpected) for f in failures
    ]
    return failures


def test_the_cases_are_all_the_rules(spark: SparkSession) -> None:
    told = set()
    for stream in STREAMS.values():
        told |= {(stream.name, rule.id) for rule in row_rules(stream)}
        told |= {(stream.name, rule.id) for rule in unique_rules(stream)}
        told |= {(stream.name, "unknown_merchant")} if stream.is_event else set()
        of_the_gate_alone = {rule.id for rule in gate_rules(stream)} - {rule for _, rule in told}
        assert of_the_gate_alone == ({"undated"} if stream.is_event else set())
    assert set(CASES) == told
    assert not {rule for _, rule in told} & BEFORE_TYPING.keys()
    assert all(rule.severity == "block" and rule.why for s in STREAMS.values() for rule in row_rules(s))


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_every_spoilt_row_is_refused_for_its_own_reason_alone(
    name: str, spoilt: Callable[[str], Spoilt]
) -> None:
    made, stream = spoilt(name), STREAMS[name]
    found = {row.position: list(row.reasons) for row in made.filtered.collect()}
    for rule, lines in made.lines.items():
        assert [found[n] for n in lines if found[n]] == [[rule]], rule
    assert _gated(made.filtered, stream) == [], "what the filter lets through is sound"
    assert {row.fate for row in made.unfiltered.collect()} == {"accepted"}, (
        "nothing is refused with filters off"
    )


@pytest.mark.parametrize(("name", "rule"), CASES, ids=[f"{s}-{r}" for s, r in CASES])
def test_without_its_row_filter_its_expectation_alone_blocks_the_day(
    name: str, rule: str, spoilt: Callable[[str], Spoilt]
) -> None:
    """Filters off, every rule has one row that breaks it: were it to break another too, that one would count two."""
    made, table_name = spoilt(name), STREAMS[name].table
    failure = made.failures[rule]
    assert failure.unexpected == len(made.lines[rule]), failure.sentence()
    with pytest.raises(GateRefused) as refused:
        Quality(DAY, 0, "test").judge(table_name, (), [failure])
    assert refused.value.exit_code == 10
    assert f"{table_name}.{rule}" in refused.value.message
    assert "u-1" not in refused.value.message


@pytest.mark.parametrize("name", [name for name, stream in sorted(STREAMS.items()) if stream.is_event])
def test_dated_events_without_their_business_date_are_blocked_by_that_expectation_alone(
    name: str, spoilt: Callable[[str], Spoilt]
) -> None:
    """No line can be so: only a fault between reading and storing it, so there is no row filter to switch off."""
    stream, rows = STREAMS[name], spoilt(name).filtered
    stay = rows.where(F.col("fate") == ACCEPTED).count()
    (failure,) = _gated(rows.withColumn("business_date", F.lit(None).cast("date")), stream)
    assert (failure.rule.id, failure.unexpected) == ("undated", stay) and stay
    with pytest.raises(GateRefused, match=rf"{stream.table}\.undated") as refused:
        Quality(DAY, 0, "test").judge(stream.table, (), [failure])
    assert failure.rule.why in refused.value.message


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_filters_off_nothing_breaks_but_the_rules_that_were_broken(
    name: str, spoilt: Callable[[str], Spoilt]
) -> None:
    assert spoilt(name).failures.keys() == {rule for stream, rule in CASES if stream == name}


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_sound_rows_pass_every_rule(spark: SparkSession, name: str) -> None:
    stream = STREAMS[name]
    rows = _judged(spark, stream, [sound(stream, n) for n in (1, 2)][: 2 if stream.is_event else 1])
    assert {row.fate for row in rows.collect()} == {"accepted"}
    assert _gated(rows, stream) == []


def test_a_row_that_clashes_with_one_taken_before_is_found_by_uniqueness(spark: SparkSession) -> None:
    stream = STREAMS["payments"]
    before = _judged(spark, stream, [sound(stream)]).collect()[0].asDict()
    taken = frame(spark, table("core_payments"), [{**before, "business_date": DAY}])
    for off, changed in (("event_id_conflict", {"trade_no": "t9"}), ("duplicate_trade", {"event_id": "e9"})):
        lines = [json.dumps({**sound(stream), **changed})]
        merchants = frame(spark, table("core_merchants"), [{"merchant_id": "m1"}])
        inputs = {"landing": landing(spark, lines), "core_merchants": merchants, "core_payments": taken}
        with interpreted(spark):
            rows = fates(inputs, close(), stream, (off,))
            assert counted(stream, _held(rows, stream)).shared == 1
            shared = job.sharing(rows, inputs, close(), stream)
            failures = gate.failures(shared.toArrow(), table("core_payments"), unique_rules(stream))
        assert [failure.rule.id for failure in failures] == [off]


def test_unknown_codes_are_counted(spark: SparkSession) -> None:
    stream: Stream = STREAMS["mini_program"]
    codes = [{"scene": "1005"}, {"scene": "77"}, {"scene": None, "promo_position": None}, {"scene": "77"}]
    codes.append({"scene": None, "promo_position": "guide:till"})
    rows = [{**sound(stream, n), "promo_position": None, **code} for n, code in enumerate(codes)]
    told: Close = close()
    assert told.day == date(2024, 3, 1)
    assert counted(stream, _held(_judged(spark, stream, rows), stream)).unknown_codes == 2


def test_the_page_for_people_names_every_rule_and_why(spark: SparkSession) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "quality.md").read_text(
        encoding="utf-8"
    )
    for stream in STREAMS.values():
        for rule in (*gate_rules(stream), *unique_rules(stream)):
            lines = [line for line in page.splitlines() if line.endswith(f"| {rule.why} |")]
            assert lines, f"{stream.name}.{rule.id}: its why is not on the page"
            family = "`" + rule.id.split("_")[0] + "_<"
            assert any(f"`{rule.id}`" in line or family in line for line in lines), rule.id
    for name, declared in every_rule():
        told = f"| `{declared.rule.id}` |"
        lines = [line for line in page.splitlines() if line.startswith(told)]
        assert len(lines) == 1 and lines[0].endswith(f"| {declared.rule.why} |"), f"{name}.{declared.rule.id}"
        assert f"| {declared.rule.severity} |" in lines[0] and declared.measure in lines[0]
