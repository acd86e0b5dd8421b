"""The only place that builds a SparkSession, and the Spark face of a Table."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from ccare.runtime.jvm import java_strings, remember_names
from ccare.runtime.rowstore import arrow_rows
from ccare.runtime.settings import Settings
from ccare.runtime.survey import BLOCK_BYTES
from ccare.setup.appcds import appcds_options
from ccare.setup.jars import delta_jars
from ccare.setup.java import find_java
from ccare.tables import Table

_SIMPLE: dict[str, T.DataType] = {
    "string": T.StringType(),
    "bigint": T.LongType(),
    "int": T.IntegerType(),
    "double": T.DoubleType(),
    "boolean": T.BooleanType(),
    "date": T.DateType(),
    "timestamp": T.TimestampType(),
    "array<string>": T.ArrayType(T.StringType()),
    "array<double>": T.ArrayType(T.DoubleType()),
    "map<string,bigint>": T.MapType(T.StringType(), T.LongType()),
    "map<string,string>": T.MapType(T.StringType(), T.StringType()),
}


def session(settings: Settings, *, brief: bool = False) -> SparkSession:
    """The process's session: loopback, no UI, UTC, ANSI on, offline Delta jars.

    ``brief``: little work lies before it, should it be started here (ccare.runtime.workload).
    Raises InputMissing where Java or the jars are not set up.
    """
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    # py4j tells of its closing when the interpreter has already closed what it writes to.
    logging.getLogger("py4j").setLevel(logging.WARNING)
    os.environ["JAVA_HOME"] = str(find_java().home)
    if _on_loopback(settings.spark_master):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(settings.spark_master).appName("ccare")
    for name, value in {**_conf(settings, brief), **dict(settings.spark_conf)}.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    remember_names(spark)
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    for name in ("event_id", "content_hash", "row_digest", "trade_no", "position"):
        # Every value differs, or nearly: a dictionary is built in vain and thrown away.
        hadoop.set(f"parquet.enable.dictionary#{name}", "false")
    return spark


def _conf(settings: Settings, brief: bool) -> dict[str, str]:
    jars = delta_jars()
    cores = os.cpu_count() or 2
    local = settings.spark_master.startswith("local")
    conf = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": os.environ.get("CCARE_DRIVER_MEMORY") or _driver_memory(),
        "spark.driver.extraJavaOptions": " ".join(_driver_options(local, brief)),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        # A close makes more than the usual hundred classes, and made them again once they had pushed one another out.
        "spark.sql.codegen.cache.maxEntries": "1000",
        "spark.sql.shuffle.partitions": str(2 * cores) if local else "200",
        "spark.sql.warehouse.dir": str(Path(tempfile.gettempdir()) / f"ccare-warehouse-{os.getpid()}"),
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(cores),
        "spark.databricks.delta.snapshotPartitions": "2" if local else "50",
        "spark.databricks.delta.retentionDurationCheck.enabled": "true",
        # Lake and landing are paths; a machine's Hadoop configuration would look for them in its own store.
        "spark.hadoop.fs.defaultFS": "file:///",
        "spark.hadoop.parquet.page.verify-checksum.enabled": "true",
        "spark.sql.parquet.compression.codec": "zstd",
        # 4 million payments: a quarter less time to write than at the usual third level, and files no larger.
        "spark.hadoop.parquet.compression.codec.zstd.level": "1",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        # Frames laid out by merchant join on merchant and more without moving again (ledger: 41 stages -> 21).
        "spark.sql.requireAllClusterKeysForCoPartition": "false",
        # Every alias of an expression doubles what the optimizer infers: rows with forty of them were never planned.
        "spark.sql.constraintPropagation.enabled": "false",
        # Naming the Python line of every expression takes 60 % of all calls into the JVM.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        "spark.sql.sources.useV1SourceList": "avro,csv,json,kafka,orc,parquet,text",
    }
    if local:
        # Small days are made of small plans: re-planning at every stage costs more than it saves.
        conf["spark.sql.adaptive.enabled"] = "false"
        # Rows are cached for seconds: packing them costs more than the memory it saves.
        conf["spark.sql.inMemoryColumnarStorage.compressed"] = "false"
        conf["spark.default.parallelism"] = str(cores)
        # A table's files are named by its log: looking each up here is faster than a job that does.
        conf["spark.sql.sources.parallelPartitionDiscovery.threshold"] = "100000"
        conf["spark.driver.extraClassPath"] = ":".join(map(str, jars))
    else:
        conf["spark.jars"] = ",".join(map(str, jars))
        conf["spark.executor.extraJavaOptions"] = " ".join(_JAVA_OPTIONS)
    if _on_loopback(settings.spark_master):
        conf["spark.driver.bindAddress"] = conf["spark.driver.host"] = "127.0.0.1"
    return conf


def _on_loopback(master: str) -> bool:
    """Whether every process of the session is on this machine: then nothing listens to the network."""
    return master.startswith(("local", "spark://127.", "spark://localhost:"))


def _driver_memory() -> str:
    """A quarter of the machine's memory, from 2 to 6 GiB: rows of a pass are cached on the heap."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    return f"{min(max(machine // 4, 2048), 6144)}m"


_JAVA_OPTIONS = ("-Duser.timezone=UTC", "-XX:+UseParallelGC", "-XX:NewRatio=1")
"""What the driver's JVM and the executors' have in common: Java 25 before 25.0.3 corrupts zstd under G1."""


def _driver_options(local: bool, brief: bool) -> list[str]:
    log4j = Path(__file__).with_name("log4j2.properties").as_uri()
    options = [*_JAVA_OPTIONS, f"-Dlog4j2.configurationFile={log4j}"]
    if local:
        options += [
            "-XX:ReservedCodeCacheSize=256m",
            "-XX:-DontCompileHugeMethods",
            *appcds_options(),
        ]
        if brief:
            # A day stands in every plan as a literal, so generated code is new every day and never hot: the second
            # compiler took a third of the processor's time of a small day and gave nothing back.
            options.append("-XX:TieredStopAtLevel=1")
    return [*options, *os.environ.get("CCARE_JAVA_OPTIONS", "").split()]


@cache
def reader(spark: SparkSession) -> SparkSession:
    """A session beside the main one that reads landing files: one split a task, so that lines can be numbered.

    Set on the main session the same would make a task of every small file of a table.
    """
    beside = spark.newSession()
    for name in ("spark.sql.files.maxPartitionBytes", "spark.sql.files.openCostInBytes"):
        beside.conf.set(name, str(BLOCK_BYTES))
    # Sound and refused rows go to two folders at once; sorting them apart first would cost more than parsing.
    beside.conf.set("spark.sql.maxConcurrentOutputFileWriters", "4")
    return beside


INTERPRETED_ROWS = 50_000
"""Up to this many rows a step does better without generated code."""
ROWS_OF_A_PARTITION = 100_000
"""Of a few hundred bytes each: tens of megabytes, of which a stage of joins holds several."""
_SHUFFLED_BY = "spark.sql.shuffle.partitions"
_UNCOMPILED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
_INTERPRETED = {
    **_UNCOMPILED,
    _SHUFFLED_BY: "1",
    "spark.sql.leafNodeDefaultParallelism": "1",
    # What is known of a checkpoint's size is nothing, and by this joins of single partitions would be shuffled again.
    "spark.sql.maxSinglePartitionBytes": str(2**63 - 1),
    # A broadcast is a job of its own.
    "spark.sql.autoBroadcastJoinThreshold": "-1",
}


@cache
def uncompiled(spark: SparkSession) -> SparkSession:
    """A session beside the main one whose frames run without generated code, whatever other threads plan meanwhile."""
    beside = spark.newSession()
    for name, value in _UNCOMPILED.items():
        beside.conf.set(name, value)
    return beside


@contextmanager
def interpreted(spark: SparkSession, wanted: bool = True) -> Iterator[None]:
    """Run what is planned inside without generated code, where ``wanted``: for frames of a few thousand rows.

    A day stands in every plan as a literal, so generated code is new every day, and compiling it took half of the
    processor's time. Over a few hundred thousand rows it pays back many times: aggregates without it crawl.
    """
    with _set((spark, reader(spark)) if wanted else (), _INTERPRETED):
        yield


@contextmanager
def spread(spark: SparkSession, rows: int) -> Iterator[None]:
    """Shuffle what is planned inside by so many partitions that each has its share of ``rows`` and no more.

    A hash join holds one side of a partition in memory, and several joins of one stage hold theirs at once.
    """
    wanted = -(-rows // ROWS_OF_A_PARTITION)
    many = wanted > int(str(spark.conf.get(_SHUFFLED_BY)))
    with _set((spark, reader(spark)) if many else (), {_SHUFFLED_BY: str(wanted)}):
        yield


@contextmanager
def _set(sessions: Iterable[SparkSession], values: Mapping[str, str]) -> Iterator[None]:
    before = [(each, name, each.conf.get(name, None)) for each in sessions for name in values]
    try:
        for each, name, _ in before:
            each.conf.set(name, values[name])
        yield
    finally:
        for each, name, value in before:
            if value is None:
                each.conf.unset(name)
            else:
                each.conf.set(name, value)


def schema(table: Table) -> T.StructType:
    """The declared columns as a Spark schema, descriptions as comments."""
    return T.StructType(
        [
            T.StructField(c.name, _SIMPLE[c.type], c.nullable, {"comment": c.description})
            for c in table.columns
        ]
    )


def frame(spark: SparkSession, table: Table, rows: Iterable[Mapping[str, Any]] = ()) -> DataFrame:
    """A typed frame of ``rows`` (missing columns are null)."""
    return held(spark, table, arrow_rows(table, rows))


def held(spark: SparkSession, table: Table, rows: pa.Table) -> DataFrame:
    """A typed frame of rows that the driver holds, handed over by Arrow: no Python worker starts."""
    loose = T.StructType([T.StructField(c.name, _SIMPLE[c.type], True) for c in table.columns])
    return whole(spark.createDataFrame(rows, loose))


def in_one_task(spark: SparkSession) -> bool:
    """Whether each plan made now is one task, as ``interpreted`` asks for and ``spread`` over many rows takes back.

    Java reads a task's plan anew for every task, which takes longer than a few thousand rows do. Rows in one
    partition are never moved either: joins, windows and sums become one task.
    """
    return spark.conf.get(_SHUFFLED_BY) == "1"


def whole(df: DataFrame) -> DataFrame:
    """``df`` in one partition where one task is all that its rows are worth."""
    return df.coalesce(1) if in_one_task(df.sparkSession) else df


def conform(df: DataFrame, table: Table) -> DataFrame:
    """``df`` with the declared columns, in order and type; KeyError lists what is missing."""
    missing = [name for name in table.column_names if name not in df.columns]
    if missing:
        raise KeyError(f"{table.name}: build gave no column {', '.join(missing)}")
    # As Columns these would be five calls into the JVM for each of a table's sixty.
    told = [f"cast(`{c.name}` as {c.type}) as `{c.name}`" for c in table.columns]
    return DataFrame(df._jdf.selectExpr(java_strings(df.sparkSession, told)), df.sparkSession)
