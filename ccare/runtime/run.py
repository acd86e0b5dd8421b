"""A run in one process: pinned inputs, the jobs of a step, one summary line a table."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import date
from importlib import import_module

import duckdb
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ccare.runtime import deltalog, gate, storage
from ccare.runtime.close import Close
from ccare.runtime.failpoint import reach
from ccare.runtime.handover import Handed, asked, frame_of, handed, kept, let_go, show
from ccare.runtime.lease import RunRecord, save_record
from ccare.runtime.manifest import Published
from ccare.runtime.meter import Meter, Written
from ccare.runtime.quality import Quality
from ccare.runtime.releases import releases_of
from ccare.runtime.rowstore import ROW_GROUP, fits_driver
from ccare.runtime.settings import Settings
from ccare.runtime.spark import conform
from ccare.runtime.staging import staged_frame, staged_rows
from ccare.tables import REGISTRY, Table, WriteStyle

GATED_LAYERS = ("core", "metric", "score")
"""Layers gated as they are stored. The ledger is gated before it is staged; state by the metrics made of it."""

_TOUCHED = """
select business_date, count(*), coalesce(sum(refunds), 0)::bigint from changes group by all order by all
"""


@dataclass
class Run:
    """The open run as one process sees it.

    ``as_published`` pins every table at the last publication; ``read_at`` overrides it for a day told again.
    ``due`` are the steps that this process goes through; ``said`` receives every summary line. ``shared`` are frames
    that live in the run only, ``told`` what DuckDB was given of them, or gave.
    """

    settings: Settings
    spark: SparkSession
    record: RunRecord
    close: Close
    published: Published | None
    said: Callable[[str], None]
    as_published: Mapping[str, int] = field(default_factory=dict)
    read_at: Mapping[str, int] = field(default_factory=dict)
    due: tuple[str, ...] = ()
    written: list[Written] = field(default_factory=list)
    shared: dict[str, DataFrame] = field(default_factory=dict)
    told: dict[str, Handed] = field(default_factory=dict)
    frames: dict[tuple[str, int | None], DataFrame] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    quality: Quality = field(init=False)

    def __post_init__(self) -> None:
        day, record = self.close.day, self.record
        let_go = releases_of(self.settings.landing, day)
        self.quality = Quality(day, record.revision, record.run_id, let_go, self._blocked)

    def _blocked(self, failures: Iterable[gate.Failure]) -> None:
        """A gate refuses the day: that outlasts the process, for a release must name what stands in the way."""
        with self.lock:
            self.record.blocked = sorted({*self.record.blocked, *(f.name for f in failures)})
            save_record(self.settings.lake, self.record)

    def gate(
        self, declared: Table, rows: DataFrame | pa.Table, suite: tuple[gate.Rule, ...] | None = None
    ) -> tuple[str, ...]:
        """Judge rows by their table's suite; returns warnings, GateRefused where a block rule is broken."""
        suite = gate.rules(declared) if suite is None else suite
        return self.quality.judge(declared.name, suite, gate.failures(rows, declared, suite))

    def version(self, name: str) -> int | None:
        """The version of a table that this run reads: what it wrote itself, else what is pinned."""
        pinned = self.read_at.get(name, self.as_published.get(name))
        return self.record.versions.get(name, pinned)

    def read(self, name: str) -> DataFrame:
        """A table as pinned for this run, or a frame that lives in the run only."""
        if name not in self.shared and REGISTRY[name].write is WriteStyle.TRANSIENT:
            made = self.build(name)[name]
            self.shared[name] = made if isinstance(self.told.get(name), str) else made.persist()
        if name in self.shared:
            return self.shared[name]
        return self._stored(name, self.version(name))

    def before(self, name: str) -> DataFrame:
        """A table as it was published before this run."""
        return self._stored(name, self.as_published.get(name))

    def _stored(self, name: str, version: int | None) -> DataFrame:
        """One frame a version: each looks its files up anew, and a year of user days has hundreds."""
        key = (name, version)
        if key not in self.frames:
            self.frames[key] = storage.read(self.spark, self.settings.lake, REGISTRY[name], version)
        return self.frames[key]

    def inputs(self, declared: Table) -> dict[str, DataFrame]:
        """Every input that the declaration names, and the table itself where its fold needs it."""
        frames = {name: self.read(name) for name in declared.inputs}
        frames |= {name: self.before(name) for name in declared.previous}
        if declared.layer in ("state", "score"):
            frames[declared.name] = self.before(declared.name)
        return frames

    def build(self, name: str) -> dict[str, DataFrame]:
        """The frames of one job, conformed to their declarations, not yet computed."""
        declared = REGISTRY[name]
        if declared.engine == "duckdb":
            return {name: frame_of(self, declared, self.tell(name))}
        built = import_module(f"jobs.{name}").build(self.inputs(declared), self.close)
        frames = built if isinstance(built, dict) else {name: built}
        return {key: conform(df, REGISTRY[key]) for key, df in frames.items()}

    def tell(self, name: str) -> Handed:
        """The rows of a job that DuckDB does, kept in the run."""
        if name not in self.told:
            with asked(self, REGISTRY[name]) as rows:
                self.told[name] = kept(self, REGISTRY[name], rows)
        return self.told[name]

    def make(
        self,
        step: str,
        name: str,
        replaced: Sequence[date | str] = (),
        at_most: int | None = None,
        *,
        unless_empty: bool = False,
    ) -> None:
        """Run one job and store its table; a transient table stays in the session.

        ``at_most`` bounds the rows where that is known without counting them. ``unless_empty``: no commit is made for
        no rows where the driver holds them.
        """
        meter = self.meter(name)
        if (declared := REGISTRY[name]).engine == "duckdb":
            self._make_by_duckdb(step, declared, replaced, meter, unless_empty)
            return
        for key, df in self.build(name).items():
            declared = REGISTRY[key]
            if declared.write is WriteStyle.TRANSIENT:
                self.shared[key] = df.persist()
            elif declared.write is WriteStyle.MERGE_STATE and key in self.as_published:
                self.merge(step, declared, df, meter, at_most)
            else:
                self.store(step, declared, df, replaced, meter, at_most=at_most, unless_empty=unless_empty)

    def _make_by_duckdb(
        self, step: str, declared: Table, replaced: Sequence[date | str], meter: Meter, unless_empty: bool
    ) -> None:
        if declared.write is WriteStyle.TRANSIENT:
            self.tell(declared.name)
            return
        with asked(self, declared) as rows:
            if isinstance(rows, pa.Table):
                self.keep(step, declared, rows, replaced, meter, unless_empty=unless_empty)
            else:
                self.store_held(step, declared, rows.to_arrow_reader(ROW_GROUP), replaced, meter)

    def merge(
        self,
        step: str,
        declared: Table,
        changed: DataFrame,
        meter: Meter,
        at_most: int | None,
        files: str | None = None,
    ) -> None:
        """Store a state that was published before, with the rows of ``changed`` in place of those of their keys.

        ``files``: a pattern of Parquet files that hold the same rows.
        """
        name, version = declared.name, self.as_published.get(declared.name)
        cells = None if at_most is None else at_most * len(declared.columns)
        here = self.settings.spark_master.startswith("local")
        if here or (cells is not None and cells <= storage.MERGED_CELLS):
            with nullcontext(files) if files else handed(self, name, changed) as rows:
                written = storage.write_merged(
                    self.settings.lake, declared, version, rows, self.record.run_id
                )
            self.wrote(step, name, written, meter)
            return
        whole = storage.merged_frame(self.before(name), changed, declared)
        self.store(step, declared, whole, (), meter, at_most=at_most)

    def make_staged(
        self, name: str, keep: Callable[[Mapping[str, DataFrame | pa.Table]], None], *, few: bool
    ) -> None:
        """Build a job with side tables, gate what is gated, and hand every frame to ``keep``.

        ``few`` rows are fetched once: a suite is four Spark jobs, and a file of them another. Of large books they are
        kept only, to be gated from there (``gate_staged``): a frame that is cached whole fills the heap.
        """
        frames = self.build(name)
        if self.close.large_books:
            keep(frames)
            return
        frames = {key: df.persist() for key, df in frames.items()}
        made = {key: df.toArrow() if few else df for key, df in frames.items()}
        for key, rows in made.items():
            self.warn(self.gate(REGISTRY[key], rows))
        keep(made)
        for df in frames.values():
            df.unpersist()

    def gate_staged(self, names: Iterable[str]) -> None:
        """Gate tables as they were staged."""
        for name in names:
            if staged_rows(self, name):
                self.warn(self.gate(REGISTRY[name], staged_frame(self, REGISTRY[name])))

    def warn(self, warnings: Iterable[str]) -> None:
        """Say each of the gate's warnings."""
        for warning in warnings:
            self.said(f"  warning: {warning}")

    def store(
        self,
        step: str,
        declared: Table,
        df: DataFrame,
        replaced: Sequence[date | str] = (),
        meter: Meter | None = None,
        *,
        at_most: int | None = None,
        cached: bool = False,
        unless_empty: bool = False,
        warnings: tuple[str, ...] | None = None,
    ) -> None:
        """Gate, write and record one table; ``cached`` where reading ``df`` twice is cheap already.

        ``warnings`` are those of a gate that the caller has held itself.
        """
        meter = meter or self.meter(declared.name)
        gated = declared.layer in GATED_LAYERS and warnings is None
        if fits_driver(declared, at_most):
            rows = df.toArrow()
            self.keep(step, declared, rows, replaced, meter, unless_empty=unless_empty, warnings=warnings)
            return
        kept = not cached and (gated or at_most is None)
        df = df.persist() if kept else df
        if gated:
            warnings = self.gate(declared, df)
        at_most = df.count() if at_most is None else at_most
        lake = self.settings.lake
        before = deltalog.latest_version(lake, declared.name)
        version = storage.write(self.spark, lake, declared, df, self.record.run_id, replaced, at_most)
        if kept:
            df.unpersist()
        self.wrote(step, declared.name, version, meter, warnings or (), new=version != before)

    def keep(
        self,
        step: str,
        declared: Table,
        rows: pa.Table,
        replaced: Sequence[date | str],
        meter: Meter | None = None,
        *,
        unless_empty: bool = False,
        warnings: tuple[str, ...] | None = None,
    ) -> None:
        """Gate, write and record rows that the driver holds; arguments as of ``store``."""
        if unless_empty and not rows.num_rows:
            return
        meter = meter or self.meter(declared.name)
        if declared.layer in GATED_LAYERS and warnings is None:
            warnings = self.gate(declared, rows)
        self.store_held(step, declared, rows, replaced, meter, warnings or ())

    def store_held(
        self,
        step: str,
        declared: Table,
        rows: pa.Table | pa.RecordBatchReader,
        replaced: Sequence[date | str],
        meter: Meter,
        warnings: tuple[str, ...] = (),
    ) -> None:
        """Write and record rows that the driver holds, or reads batch by batch, and that were judged."""
        lake, run_id = self.settings.lake, self.record.run_id
        before = deltalog.latest_version(lake, declared.name)
        if declared.write is WriteStyle.MERGE_NEW:
            assert isinstance(rows, pa.Table), f"{declared.name} is inserted by key"
            version = storage.merge_held(self.spark, lake, declared, rows, run_id)
        else:
            version = storage.write_held(lake, declared, rows, run_id, replaced)
        self.wrote(step, declared.name, version, meter, warnings, new=version != before)

    def wrote(
        self,
        step: str,
        name: str,
        version: int,
        meter: Meter,
        warnings: tuple[str, ...] = (),
        *,
        new: bool = True,
    ) -> None:
        """Record a table's version, ``new`` where this run made it, and say its summary line."""
        reach(f"{name}.committed")
        lake = self.settings.lake
        with self.lock:
            self.record.versions[name] = version
            save_record(lake, self.record)
        reach(f"{name}.recorded")
        added = deltalog.commit_metrics(lake, name, version) if new else {"rows": 0, "bytes": 0, "files": 0}
        line = Written(
            step,
            name,
            **added,
            version=version,
            seconds=meter.seconds,
            spark_jobs=meter.jobs,
            warnings=warnings,
        )
        self.written.append(line)
        self.said("\n".join((line.line(), *(f"  warning: {warning}" for warning in warnings))))

    def touch(self) -> int:
        """Tell the close which business dates state_changes holds and how many rows; returns its refunds."""
        with duckdb.connect() as con, handed(self, "state_changes") as rows:
            show(con, "changes", rows)
            found = con.execute(_TOUCHED).fetchall()
        days = tuple(day for day, *_ in found)
        staff_came = "core_staff" in self.record.versions and "state_user_days" in self.as_published
        others = self._days_of_new_staff(days) if staff_came else ()
        changes = sum(count for _, count, _ in found)
        self.close = replace(self.close, touched=days, changes=changes, staff_days=others)
        return sum(refunds for *_, refunds in found)

    def _days_of_new_staff(self, touched: Sequence[date]) -> tuple[date, ...]:
        """Dates beside ``touched`` of users taken as staff in this run: from now on nobody counts them."""
        key = ["merchant_id", "user_key"]
        known = self.before("core_staff").select(*key)
        new = self.read("core_staff").select(*key).distinct().join(known, key, "left_anti")
        theirs = self.before("state_user_days").join(F.broadcast(new), key, "left_semi")
        days = [row[0] for row in theirs.select("business_date").distinct().collect()]
        return tuple(sorted({*days} - {*touched}))

    def bound(self, name: str, days: Sequence[date] = ()) -> int:
        """The most rows that a state table, or its partitions ``days``, can have after this run's changes."""
        version, touched = self.as_published.get(name), {str(day) for day in days}
        return self.close.changes + deltalog.partition_rows(self.settings.lake, name, version, touched)

    def merchants(self) -> int:
        """The most merchants that a row of the day can be about: each is known by a record, and may have several."""
        name = "core_merchants"
        return deltalog.partition_rows(self.settings.lake, name, self.version(name), ())

    def rows_before(self, name: str) -> int:
        """Rows of a table as it was published before this run."""
        return deltalog.partition_rows(self.settings.lake, name, self.as_published.get(name), ())

    def save(self) -> None:
        """Keep the run record."""
        save_record(self.settings.lake, self.record)

    def done(self, step: str) -> None:
        """A step is whole: a later process goes on after it."""
        self.record.steps_done.append(step)
        self.record.released |= self.quality.used
        save_record(self.settings.lake, self.record)
        reach(f"{step}.done")
        if not self.close.has_few_changes:
            self.release()

    def release(self) -> None:
        """Give back the frames that live in the run only."""
        for df in self.shared.values():
            df.unpersist()
        self.shared.clear()
        let_go(self)

    def meter(self, name: str) -> Meter:
        """Time and Spark jobs from here on, of this thread."""
        return Meter(self.spark, name)
