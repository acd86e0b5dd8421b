"""No row of an ingest goes through Python: what Spark is about to run, from files to rows with a fate, is the JVM's."""

import gzip
import json
import re
from importlib import import_module
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ccare.events.bills import accepted_lines, rejected_lines
from ccare.events.job import accepted, parsed, refusal, rejected, sharing
from ccare.events.pseudonym import pads_frame
from ccare.runtime.intake import deliveries
from ccare.runtime.lines import landing_frames
from ccare.runtime.spark import frame, interpreted
from ccare.runtime.stream_gate import helped
from ccare.tables import table
from ccare.tables.streams import EVENT_STREAMS, Stream
from tests.events.test_bill_fates import judged as bill_lines
from tests.events.test_fates import DAY, KEY, close
from tests.events.test_rules import sound

pytestmark = pytest.mark.spark

_PYTHON = re.compile(r"\w*(?:Python|Pandas|InArrow|ArrowEval|FlatMapGroupsIn)\w*")
"""Operators and expressions that hand rows to a Python worker: BatchEvalPython, ArrowEvalPython, MapInArrow …"""


def in_python(rows: DataFrame) -> list[str]:
    """What of the plan that Spark would run goes through Python."""
    return _PYTHON.findall(rows._jdf.queryExecution().executedPlan().toString())


def held(spark: SparkSession, name: str) -> DataFrame:
    """A table of one row: what is known to be empty would be planned away."""
    return frame(spark, table(name), [{"merchant_id": "m1"}])


def landed(spark: SparkSession, landing: Path, stream: Stream) -> dict[str, DataFrame]:
    """Delivered files of every packing as the harness reads them, and all that a pass may be given beside them."""
    folder = landing / stream.name / "2024-03-02"
    folder.mkdir(parents=True)
    row = {name: value for name, value in sound(stream).items() if value is not None}
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(json.dumps(row).encode() + b"\n"))
    (folder / "b.csv").write_text(f"{','.join(row)}\n{','.join(map(str, row.values()))}\n")
    inputs = landing_frames(spark, landing, deliveries(landing, DAY, DAY, {}), KEY)
    assert inputs.keys() == {"landing", "landing_csv"}
    names = ["core_merchants", stream.table, *(["core_forgotten"] if stream.has_user else [])]
    inputs |= {name: held(spark, name) for name in names} | {"pads": pads_frame(spark, KEY)}
    if stream.name == "payments":
        inputs["bill_trades"] = inputs[stream.table].select("merchant_id", "trade_no")
    return inputs


@pytest.mark.parametrize("stream", EVENT_STREAMS, ids=lambda stream: stream.name)
def test_events_are_parsed_judged_and_gated_without_python(
    spark: SparkSession, tmp_path: Path, stream: Stream
) -> None:
    inputs, told = landed(spark, tmp_path, stream), close()
    rows = parsed(inputs, told, stream)
    assert in_python(rows.select("*", *refusal(rows, stream))) == []
    known = {name: df for name, df in inputs.items() if not name.startswith("landing")}
    with interpreted(spark):
        # As the harness hands them on: judging reads them several times.
        known["parsed"] = rows.localCheckpoint()
    with_fates = import_module(f"jobs.{stream.table}").build(known, told)
    assert in_python(helped(with_fates, stream, told.timezone, told.slots)) == []
    for made in (accepted, rejected):
        assert in_python(made(with_fates, stream)) == []
    assert in_python(sharing(with_fates, inputs, told, stream)) == []


def test_bill_lines_are_judged_without_python(spark: SparkSession) -> None:
    rows = bill_lines(spark, [{}], held(spark, "core_bill_lines"))
    for each in (rows, accepted_lines(rows), rejected_lines(rows, "alipay")):
        assert in_python(each) == []


def test_a_function_of_python_would_be_found(spark: SparkSession) -> None:
    rows = held(spark, "core_payments")
    assert in_python(rows.select(F.udf(lambda text: text)("event_id")))
    assert in_python(rows.mapInArrow(lambda batches: batches, rows.schema))
