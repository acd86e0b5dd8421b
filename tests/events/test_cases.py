"""Cases of the landing streams: ``tests/cases/core_*/<case>.yaml``, lines with the fate that each must have.

A case holds ``why``, ``lines`` (fate, reasons, business_date, line) and ``before``: lines that an earlier close took.
``d`` stands for the day being closed. All cases of a stream go through one pass, as lines of one delivery would.
"""

import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from ccare.tables.streams import STREAMS, Stream
from tests.events.test_fates import DAY, judged

pytestmark = pytest.mark.spark

CASES = Path(__file__).resolve().parents[1] / "cases"
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


@pytest.mark.parametrize("stream", STREAMS.values(), ids=lambda stream: stream.name)
def test_cases(spark: SparkSession, stream: Stream) -> None:
    found = read_cases(stream)
    wanted = {"normal", "empty", "bad_value"} | (
        {"duplicate", "late", "conflicting"} if stream.is_event else set()
    )
    assert wanted <= found.keys()
    assert all(case["why"] for case in found.values())
    before = [text_of(row) for case in found.values() for row in case.get("before", [])]
    existing = tuple(row.asDict() for row in judged(spark, before, stream).collect()) if before else ()
    cases = [(name, row) for name, case in found.items() for row in case["lines"]]
    rows = judged(spark, [text_of(row) for _, row in cases], stream, existing).orderBy("position").collect()
    assert len(rows) == len(cases)
    for row, (name, case) in zip(rows, cases, strict=True):
        why = f"{stream.table}/{name}: {found[name]['why']}\n{case['line']}"
        assert (row.fate, list(row.reasons)) == (case["fate"], case.get("reasons", [])), why
        if "business_date" in case:
            assert row.business_date == date.fromisoformat(moved(case["business_date"])), why


def test_an_empty_delivery_has_no_rows(spark: SparkSession) -> None:
    for stream in STREAMS.values():
        assert read_cases(stream)["empty"]["lines"] == []
    assert judged(spark, [], STREAMS["payments"]).count() == 0
