"""``ccare state --rebuild``: state derived again from core rows, compared with what is published, put right.

A lake's first close takes whatever history there is in one pass. A rebuild is that same close dated on the last
closed day: the jobs are the close's own, so a state table or column that they gain is rebuilt without a word here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.errors import StateOutdated, UsageError
from ccare.growth.snapshot import date_sql
from ccare.runtime import storage
from ccare.runtime.amendments import catalogue_again, open_amendment
from ccare.runtime.close import Close
from ccare.runtime.controls import REBUILT_ROWS
from ccare.runtime.day import close_for, opened
from ccare.runtime.handover import folding, kept, show
from ccare.runtime.lease import REBUILD, clear_record
from ccare.runtime.outdated import fault_of
from ccare.runtime.rowstore import write_rows
from ccare.runtime.run import Run
from ccare.runtime.settings import Settings
from ccare.runtime.spark import frame
from ccare.runtime.steps import publish
from ccare.tables import REGISTRY, Table, WriteStyle, all_tables, table

_DAY = "business_date"
DEFAULT_REASON = "state derived again from core rows"


@dataclass(frozen=True)
class Difference:
    """Rows of one table, rebuilt against published: other values, not there before, not there any more."""

    rows: int
    changed: int
    missing: int
    extra: int

    @property
    def total(self) -> int:
        return self.changed + self.missing + self.extra


@dataclass
class Rebuilt:
    """What a rebuild found, by table, and the run that published it; ``seq`` is None where nothing differed."""

    first: date | None
    differences: dict[str, Difference] = field(default_factory=dict)
    seq: int | None = None
    run_id: str = ""

    def lines(self) -> list[str]:
        """What a person is told."""
        told = []
        for name, found in self.differences.items():
            what = f"{found.changed} changed, {found.missing} were missing, {found.extra} were too many"
            told.append(f"{name:<22} {found.rows:>9,} rows  {what if found.total else 'equal'}")
        if self.seq is None:
            told.append("state equals what its core rows give: nothing to publish")
        return told


def rebuild(settings: Settings, first: date | None, reason: str, said: Callable[[str], None]) -> Rebuilt:
    """Derive state again, from business date ``first`` on (None: all of it), and publish what differs.

    InputMissing on an empty lake, UsageError while a run is open or where ``first`` is after the last closed day,
    StateOutdated where ``first`` would keep days that lack columns or are of another layout.
    """
    from ccare.runtime.spark import session

    with opened(settings) as lake:
        record = open_amendment(settings, lake, REBUILD, "state cannot be rebuilt")
        assert lake.last is not None
        pins = dict(lake.last.table_versions)
        run = Run(settings, session(settings), record, close_for(settings, record), lake.last, said, pins)
        result = Rebuilt(first)
        try:
            work = _Rebuilding(run, first)
        except (UsageError, StateOutdated):
            clear_record(settings.lake)  # refused before anything was written
            raise
        try:
            for declared, df in work.frames():
                result.differences[declared.name] = work.settle(declared, df)
        finally:
            work.release()
        if not run.written:
            clear_record(settings.lake)
            return result
        _keep_reason(run, result, reason)
        record.inputs_digest = sha256(f"{REBUILD}|{first or ''}|{reason}".encode()).hexdigest()
        row = publish(run, {f"{n}{REBUILT_ROWS}": d.total for n, d in result.differences.items() if d.total})
        result.seq, result.run_id = row.seq, row.run_id
        catalogue_again(settings, row)
        said(
            f"metrics and scores of {record.day} are as they were: ccare run --day {record.day} tells them again"
        )
        return result


def _keep_reason(run: Run, result: Rebuilt, reason: str) -> None:
    declared, record = table("run_rebuilds"), run.record
    rows = [
        {
            "business_date": record.day,
            "revision": record.revision,
            "table_name": name,
            "from_date": result.first,
            "rows_changed": found.changed,
            "rows_missing": found.missing,
            "rows_extra": found.extra,
            "reason": reason,
            "rebuilt_at": record.posted_at,
            "run_id": record.run_id,
        }
        for name, found in result.differences.items()
    ]
    version = write_rows(run.settings.lake, declared, rows, record.run_id)
    run.wrote(REBUILD, declared.name, version, run.meter(declared.name))


class _Rebuilding:
    """``maker`` builds as at a first close, with no state before it; ``run`` writes and publishes."""

    def __init__(self, run: Run, first: date | None) -> None:
        self.run, self.first, self.last = run, first, run.close.day
        if first is not None and first > self.last:
            raise UsageError(
                f"{first} is after the last closed day, {self.last}: there is no state to rebuild.",
                remedy="Give --from a day that is closed, or leave it out to rebuild all of it.",
            )
        self.tables = [each for each in all_tables() if each.layer == "state"]
        if first is not None:
            self._require_whole_days()
        core = {n: v for n, v in run.as_published.items() if REGISTRY[n].layer != "state"}
        close: Close = replace(run.close, first_day=self.last)
        self.maker = replace_run(run, close, core)

    def _require_whole_days(self) -> None:
        """Days before ``first`` stay, so they must be as this ccare folds them."""
        for declared in self.tables:
            version = self.run.as_published.get(declared.name)
            if version is None or _DAY not in declared.partition_by:
                continue
            fault = fault_of(self.run.settings.lake, declared, version)
            if fault:
                raise StateOutdated(
                    f"Days of {declared.name} before {self.first} would stay, but {fault}.",
                    remedy="Rebuild all of it: ccare state --rebuild without --from.",
                )

    def frames(self) -> "list[tuple[Table, DataFrame]]":
        """Every stored state table as its core rows give it, left to right."""
        changes, maker = self._changes(), self.maker
        built = []
        for declared in self.tables:
            if declared.write is WriteStyle.TRANSIENT:
                continue
            df = maker.build(declared.name)[declared.name] if changes else frame(self.run.spark, declared)
            if not isinstance(maker.told.get(declared.name), str):
                maker.shared[declared.name] = df.persist()
            built.append((declared, df))
        return built

    def _changes(self) -> bool:
        """Put into ``maker`` all that core rows change where one first close takes them; whether there is anything.

        Days before ``first`` enter as their kept user days do: what they changed is what they hold.
        """
        maker, declared = self.maker, REGISTRY["state_changes"]
        changes = maker.tell(declared.name)
        if self.first is not None:
            days = {"state_user_days": self.run.as_published.get("state_user_days")}
            with folding(maker, days) as con:
                show(con, "changes", changes)
                told, names = date_sql(self.first), ", ".join(declared.column_names)
                again = con.sql(
                    f"select {names} from changes where {_DAY} >= {told} "
                    f"union all select {names} from state_user_days where {_DAY} < {told}"
                )
                maker.told[declared.name] = kept(maker, declared, again, "state_changes_since")
        maker.touch()
        return bool(maker.close.touched)

    def settle(self, declared: Table, df: DataFrame) -> Difference:
        """Compare a table with what is published, and write it where it differs or is another ccare's."""
        run, lake = self.run, self.run.settings.lake
        version = run.as_published.get(declared.name)
        before = storage.read(run.spark, lake, declared, version)
        partitioned = _DAY in declared.partition_by
        if partitioned and self.first is not None:
            df, before = (each.where(F.col(_DAY) >= F.lit(self.first)) for each in (df, before))
        found = difference(df, before, declared)
        outdated = version is not None and bool(fault_of(lake, declared, version))
        if not found.total and not outdated:
            return found
        meter = run.meter(declared.name)
        days = df.select(_DAY).union(before.select(_DAY)).distinct().collect() if partitioned else []
        replaced = sorted(row[0] for row in days)
        new = storage.write(run.spark, lake, declared, df, run.record.run_id, replaced, found.rows)
        run.wrote(REBUILD, declared.name, new, meter)
        return found

    def release(self) -> None:
        """Give the frames back."""
        self.maker.release()


def replace_run(run: Run, close: Close, pins: dict[str, int]) -> Run:
    """A run beside ``run`` that builds for another close and sees only ``pins``; it writes nothing."""
    return Run(run.settings, run.spark, run.record, close, run.published, run.said, pins)


def difference(rebuilt: DataFrame, published: DataFrame, declared: Table) -> Difference:
    """Rows by key in one frame, the other or both with other values; two frames of the declared columns."""
    columns, key = list(declared.column_names), list(declared.key)
    both = rebuilt.select(*columns, F.lit(1).alias("_n")).unionByName(
        published.select(*columns, F.lit(-1).alias("_n"))
    )
    odd = both.groupBy(*columns).agg(F.sum("_n").alias("_n")).where("_n <> 0")
    by_key = odd.groupBy(*key).agg((F.max("_n") > 0).alias("new"), (F.min("_n") < 0).alias("old"))
    row = by_key.agg(
        F.count_if(F.col("new") & F.col("old")),
        F.count_if(F.col("new") & ~F.col("old")),
        F.count_if(F.col("old") & ~F.col("new")),
    ).first()
    assert row is not None
    return Difference(rebuilt.count(), *row)
