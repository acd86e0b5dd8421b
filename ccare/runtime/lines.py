"""Lines of delivered files as a frame: each with its file, its number, and what hashes its user."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ccare.events.pseudonym import pads
from ccare.events.read import ESCAPES, TEXT
from ccare.runtime.intake import Delivery
from ccare.runtime.jvm import file_uri
from ccare.runtime.spark import reader
from ccare.runtime.survey import BLOCK_BYTES

_ROW_BITS = (1 << 33) - 1
"""monotonically_increasing_id counts a task's rows in its lower 33 bits; here a task is one split."""


def landing_frames(
    spark: SparkSession, landing: Path, files: Sequence[Delivery], key: bytes
) -> dict[str, DataFrame]:
    """``landing``: lines of JSON files; ``landing_csv``: of CSV files; each where there are any.

    Columns: value, file_sha256, position (line number from 1), delivery_date, taken_on, _inner, _outer, TEXT,
    ESCAPES; of CSV files also _header and _unfinished, whether the line may have been cut.
    """
    frames = {}
    for name, csv in (("landing", False), ("landing_csv", True)):
        chosen = [d for d in files if bool(d.header) is csv]
        if chosen:
            frames[name] = _lines(spark, landing, chosen, key, csv=csv)
    return frames


def _lines(
    spark: SparkSession, landing: Path, files: Sequence[Delivery], key: bytes, *, csv: bool
) -> DataFrame:
    text = reader(spark).read.option("lineSep", "\n").text([_unglobbed(d.file(landing)) for d in files])
    lines = text.select(
        "value",
        F.xxhash64("_metadata.file_path", "_metadata.file_block_start").alias("_split"),
        F.monotonically_increasing_id().bitwiseAND(F.lit(_ROW_BITS)).alias("_row_in_split"),
    )
    known = _known(spark, landing, files, key, csv=csv)
    joined = lines.join(F.broadcast(known), "_split", "left")
    numbered = joined.withColumn("position", F.col("_before") + F.col("_row_in_split") + 1)
    if csv:
        unfinished = F.col("position") == F.col("_cut_at")
        numbered = numbered.where("position > 1").withColumn("_unfinished", unfinished)
    return numbered.drop("_split", "_before", "_row_in_split", "_cut_at")


def _known(
    spark: SparkSession, landing: Path, files: Sequence[Delivery], key: bytes, *, csv: bool
) -> DataFrame:
    """One row for each split of each file. The pads ride along: a join of their own would cost every pass a job."""
    inner, outer = pads(key)
    rows = []
    for d in files:
        told = {
            "_uri": file_uri(spark, str(d.file(landing))),
            "file_sha256": d.sha256,
            "delivery_date": d.delivery_date,
            "taken_on": d.taken_on,
            "_inner": inner,
            "_outer": outer,
            TEXT: d.text,
            ESCAPES: d.escapes,
        }
        if csv:
            told |= {"_header": list(d.header), "_cut_at": d.unfinished}
        rows += [{**told, "_block": n * BLOCK_BYTES, "_before": before} for n, before in enumerate(d.blocks)]
    known = spark.createDataFrame(pa.Table.from_pylist(rows))
    # Looked up for every line: a number is, in a quarter of the time that a path takes.
    return known.withColumn("_split", F.xxhash64("_uri", "_block")).drop("_uri", "_block")


def _unglobbed(path: Path) -> str:
    """The path as Spark takes it for a path: what else would be a pattern is quoted."""
    return "".join(f"\\{c}" if c in "{}[]*?\\" else c for c in str(path))
