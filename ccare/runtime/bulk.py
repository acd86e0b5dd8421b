"""A stream's pass over more lines than memory should hold: parsed once, to files that become the table's own.

Rows that share an id or a trade are few, so the files are written before these are known; only files that hold a
row which lost are written again. What is refused rides in the same columns, packed, in a folder of its own.
"""

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake.transaction import AddAction, RemoveAction
from pyarrow import parquet
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from ccare.events import job as events
from ccare.events.fate import ACCEPTED
from ccare.runtime import deltalog
from ccare.runtime.disputes import verdicts, write_disputed, write_together, write_without
from ccare.runtime.failpoint import reach
from ccare.runtime.rowstore import arrow_schema, ensure_table, signed
from ccare.runtime.spark import INTERPRETED_ROWS, frame, schema, uncompiled
from ccare.tables import Table, table
from ccare.tables.streams import Stream

_PART = "_part"
"""Partition of a staged row: ``sound``; ``refused``; ``shared``, sound but perhaps the twin of another."""
_PACKED = "content_hash"
"""Where a refused row's story rides: only a sound row has a hash to put there."""
_ALWAYS = ("file_sha256", "position", "delivery_date")
_STORY = (
    "stream string, row_digest string, reasons array<string>, payload string, "
    "merchant_id string, amount_fen bigint"
)
Verdicts = list[tuple[str, str, date | None, int]]
"""Digest of the delivery, fate, business date, and rows."""
_COUNTS = "select file_sha256, business_date, count(*) from read_parquet($files) group by all"
_REFUSED = "select file_sha256, null, count(*) from read_parquet($files) group by all"


@dataclass
class Staged:
    """Parsed rows on disk: ``sound`` in the core table's columns, ``refused`` as core_rejected_events keeps them."""

    spark: SparkSession
    stream: Stream
    folder: Path
    taken_on: str
    rewritten: set[str] = field(default_factory=set)

    @property
    def declared(self) -> Table:
        return table(self.stream.table)

    def _read(
        self, files: Iterable[Path], *more: T.StructField, spark: SparkSession | None = None
    ) -> DataFrame:
        """The core table's columns and ``more`` ones."""
        fields = [f for f in schema(self.declared) if f.name != "taken_on"]
        read = (spark or self.spark).read.schema(T.StructType([*fields, *more])).parquet(*map(str, files))
        rows = read.withColumn("taken_on", F.lit(self.taken_on).cast("date"))
        return rows.select(*self.declared.column_names, *(f.name for f in more))

    @property
    def sound(self) -> DataFrame:
        """Rows with nothing against them alone, but for what was dropped."""
        files = self.files()
        return self._read(files) if files else frame(self.spark, self.declared)

    def disputed(self, lake: Path, version: int | None, since: tuple[date, date]) -> DataFrame | None:
        """Those of ``sound`` that share an id or a trade, as judging wants them; None where none does.

        ``filename`` is the file that holds each; the other arguments are those of ``write_disputed``.
        """
        files, out = self.files(), self.folder / "disputed.parquet"
        disputes = write_disputed(files, self.stream, lake, version, since, out) if files else 0
        if not disputes:
            return None
        session = uncompiled(self.spark) if disputes <= INTERPRETED_ROWS else self.spark
        rows = self._read([out], T.StructField("filename", T.StringType()), spark=session)
        none = F.array().cast("array<string>")
        return rows.withColumn("reasons", none).withColumn("value", F.lit(None).cast("string"))

    @property
    def refused(self) -> DataFrame | None:
        """Rows refused for what they say, unpacked; None where there are none."""
        files = self._refused_files()
        if not files:
            return None
        packed = F.from_json(_PACKED, _STORY).alias("_story")
        rows = self._read(files).select("file_sha256", "position", "delivery_date", "taken_on", packed)
        return rows.select("*", "_story.*").drop("_story")

    def counts(self) -> list[tuple[str, date | None, int]]:
        """Sound rows by file_sha256 and business_date: DuckDB reads two columns for what is a job in Spark."""
        return _counted(_COUNTS, self.files())

    def refused_counts(self) -> list[tuple[str, date | None, int]]:
        """Refused rows by file_sha256; none of them has a date."""
        return _counted(_REFUSED, self._refused_files())

    def _refused_files(self) -> list[Path]:
        return sorted(_of(self.folder, "refused").glob("*.parquet"))

    def files(self) -> list[Path]:
        """The files of sound rows, those written again in place of the first."""
        first = [p for p in _of(self.folder, "sound").glob("*.parquet") if p.name not in self.rewritten]
        return sorted([*first, *(self.folder / "again").glob("*.parquet")])

    def settle(self, judged: DataFrame) -> tuple[DataFrame, Verdicts]:
        """Keep rows of ``disputed`` with their fates on disk, and take those out that are not accepted.

        Returns the rows, and how many of each delivery, fate and business date there are. Only files that hold a row
        which lost are written again.
        """
        out, again = self.folder / "judged", self.folder / "again"
        judged.write.parquet(str(out))
        told = sorted(out.glob("*.parquet"))
        found = verdicts(told)
        names = {name for _, fate, _, _, held in found if fate != ACCEPTED for name in held}
        if names:
            again.mkdir()
            write_without([f for f in self.files() if f.name in names], told, again)
            self.rewritten.update(names)
        rows = judged.sparkSession.read.schema(judged.schema).parquet(str(out))
        return rows, [(sha256, fate, day, n) for sha256, fate, day, n, _ in found]

    def adopt(self, lake: Path, run_id: str) -> int:
        """Make the files of sound rows the table's partition of this run, in one commit; returns the version."""
        name = self.declared.name
        opened = ensure_table(lake, self.declared, run_id)
        home = lake / name / f"taken_on={self.taken_on}"
        home.mkdir(parents=True, exist_ok=True)
        actions: list[AddAction | RemoveAction] = []
        for path in self.files():
            kept = path.rename(home / path.name)
            actions.append(_add_action(kept, lake / name, self.taken_on))
        reach(f"{name}.adopting")
        opened.create_write_transaction(
            actions,
            "overwrite",
            arrow_schema(self.declared),
            partition_by=list(self.declared.partition_by),
            partition_filters=[("taken_on", "=", self.taken_on)],
            commit_properties=signed(run_id),
        )
        version = deltalog.latest_version(lake, name)
        assert version is not None, f"{name} was just written"
        return version


def _counted(query: str, files: Sequence[Path]) -> list[tuple[str, date | None, int]]:
    if not files:
        return []
    with duckdb.connect() as con:
        return con.execute(query, {"files": [str(path) for path in files]}).fetchall()


def stage_parsed(
    rows: DataFrame, stream: Stream, folder: Path, taken_on: str, apart: Sequence[str] = ()
) -> Staged:
    """Parse once: write ``rows`` (as ``events.parsed`` gives them) under ``folder``; nothing is kept in memory.

    Rows whose event_id is among ``apart`` go to a file of their own: where one loses, little is written again.
    """
    shutil.rmtree(folder, ignore_errors=True)
    sound = F.size("reasons") == 0
    story = F.to_json(F.struct(*events.refusal(rows, stream)))
    columns = []
    for name in table(stream.table).column_names:
        own = F.col(f"`{name}`")
        if name == _PACKED:
            columns.append(F.when(sound, own).otherwise(story).alias(name))
        elif name in _ALWAYS:
            columns.append(own)
        elif name != "taken_on":
            # A refused row's own values stay out: they may be what it was refused for.
            columns.append(F.when(sound, own).alias(name))
    spark, part = rows.sparkSession, F.when(sound, "sound").otherwise("refused")
    if apart:
        named = spark.createDataFrame(pa.table({"event_id": list(apart), "_apart": [True] * len(apart)}))
        rows = rows.join(F.broadcast(named), "event_id", "left")
        part = F.when(sound & F.col("_apart"), "shared").otherwise(part)
    packed = rows.select(*columns, part.alias(_PART))
    packed.write.mode("overwrite").partitionBy(_PART).parquet(str(folder))
    if each := sorted(_of(folder, "shared").glob("*.parquet")):
        # Under a name of its own: a task gives its files of all parts the same.
        write_together(each, _of(folder, "sound") / f"shared-{each[0].name}")
    reach(f"{stream.table}.staged")
    return Staged(spark, stream, folder, taken_on)


def _of(folder: Path, part: str) -> Path:
    return folder / f"{_PART}={part}"


def _add_action(path: Path, root: Path, taken_on: str) -> AddAction:
    footer, stat = parquet.read_metadata(path), path.stat()
    stats: dict[str, object] = {"numRecords": footer.num_rows}
    place = footer.schema.names.index("business_date")
    dates = [footer.row_group(n).column(place).statistics for n in range(footer.num_row_groups)]
    if dates and all(each is not None and each.has_min_max for each in dates):
        stats["minValues"] = {"business_date": str(min(each.min for each in dates))}
        stats["maxValues"] = {"business_date": str(max(each.max for each in dates))}
    return AddAction(
        path=str(path.relative_to(root)),
        size=stat.st_size,
        partition_values={"taken_on": taken_on},
        modification_time=int(stat.st_mtime * 1000),
        data_change=True,
        stats=json.dumps(stats),
    )
