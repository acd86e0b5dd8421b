"""Cases of the landing streams: ``tests/cases/core_*/<case>.yaml``, lines with the fate that each must have.

A case holds ``why``, ``lines`` (fate, reasons, business_date, line), ``before``: lines that an earlier close took, and
of records ``stands``: what the table then holds of the case's lines, in the columns that matter. ``delivered`` dates a
line's folder, d+1 unless it is told. ``d`` stands for the day being closed. All cases of a stream go through one pass,
as lines of one delivery would.
"""

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ccare.events.job import accepted, entity_state, fates
from ccare.runtime.spark import frame, interpreted
from ccare.tables import table
from ccare.tables.streams import STREAMS, Stream
from tests.events.test_fates import DAY, close, judged, landing

pytestmark = pytest.mark.spark

CASES = Path(__file__).resolve().parents[1] / "cases"
EVERY_STREAM_HAS = {"normal", "empty", "duplicate", "late", "conflicting", "bad_value"}
_RELATIVE = re.compile(r"^d([+-]\d+)?(?=T|$)")


def moved(value: Any) -> Any:
    """``d-5T10:00:00Z`` as the instant that it stands for."""
    if not isinstance(value, str) or not (match := _RELATIVE.match(value)):
        return value
    return (DAY + timedelta(days=int(match[1] or 0))).isoformat() + value[match.end() :]


def text_of(row: dict[str, Any]) -> str:
    return json.dumps({name: moved(value) for name, value in row["line"].items()}, ensure_ascii=False)


def read_cases(stream: Stream) -> dict[str, dict[str, Any]]:
    return {p.stem: yaml.safe_load(p.read_text()) for p in sorted((CASES / stream.table).glob("*.yaml"))}


def delivered(
    spark: SparkSession, told: list[dict[str, Any]], stream: Stream, existing: list[dict[str, Any]]
) -> DataFrame:
    """The lines with their fates, each delivered on its day; ``existing``: rows taken before."""
    days = [F.lit(date.fromisoformat(moved(row.get("delivered", "d+1")))) for row in told]
    lines = landing(spark, [text_of(row) for row in told])
    lines = lines.withColumn("delivery_date", F.array(*days)[F.col("position").cast("int") - 1])
    inputs = {
        "landing": lines,
        "core_merchants": frame(spark, table("core_merchants"), [{"merchant_id": "m1"}]),
    }
    if existing and stream.is_event:
        inputs[stream.table] = frame(spark, table(stream.table), existing)
    return fates(inputs, close(), stream)


@pytest.fixture(autouse=True)
def few_rows(spark: SparkSession) -> Iterator[None]:
    """To compile code for a few rows takes longer than to judge them without."""
    with interpreted(spark):
        yield


@pytest.mark.parametrize("stream", STREAMS.values(), ids=lambda stream: stream.name)
def test_cases(spark: SparkSession, stream: Stream) -> None:
    found = read_cases(stream)
    assert found.keys() >= EVERY_STREAM_HAS
    assert all(case["why"] for case in found.values())
    earlier = [(name, row) for name, case in found.items() for row in case.get("before", [])]
    cases = [(name, row) for name, case in found.items() for row in case["lines"]]
    before = delivered(spark, [row for _, row in earlier], stream, []).persist()
    taken = before.orderBy("position").collect()
    now = delivered(spark, [row for _, row in cases], stream, [row.asDict() for row in taken]).persist()
    rows = now.orderBy("position").collect()
    assert (len(taken), len(rows)) == (len(earlier), len(cases))
    for row, (name, case) in zip(rows, cases, strict=True):
        why = f"{stream.table}/{name}: {found[name]['why']}\n{case['line']}"
        assert (row.fate, list(row.reasons)) == (case["fate"], case.get("reasons", [])), why
        if "business_date" in case:
            assert row.business_date == date.fromisoformat(moved(case["business_date"])), why
    if not stream.is_event:
        told = zip([*taken, *rows], [*earlier, *cases], strict=True)
        names = {row.content_hash: name for row, (name, _) in told}
        _compare_table(_table_after(spark, before, now, stream), names, found)
    before.unpersist()
    now.unpersist()


def _table_after(spark: SparkSession, before: DataFrame, now: DataFrame, stream: Stream) -> list[Any]:
    """The stream's table after both closes."""
    state = frame(spark, table(stream.table), [])
    for rows in (before, now):
        state = entity_state(state, accepted(rows, stream), stream)
    return state.collect()


def _compare_table(held: list[Any], names: dict[str, str], found: dict[str, dict[str, Any]]) -> None:
    """Of every case that says what stands: those rows of its lines, and no others."""
    for name in (name for name, case in found.items() if "stands" in case):
        left = [row for row in held if names[row.content_hash] == name]
        for told in found[name]["stands"]:
            wanted = {k: str(moved(v)) for k, v in told.items()}
            stands = [row for row in left if wanted == {k: str(row[k]) for k in wanted}]
            assert stands, f"{name}: {found[name]['why']}\nno row {wanted} among {left}"
            left.remove(stands[0])
        assert not left, f"{name}: {found[name]['why']}\nrows not expected: {left}"


def test_an_empty_delivery_has_no_rows(spark: SparkSession) -> None:
    for stream in STREAMS.values():
        assert read_cases(stream)["empty"]["lines"] == []
    assert judged(spark, [], STREAMS["payments"]).count() == 0
