"""Forgetting a user: a run of its own kind that takes the link out of every table and keeps it out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from ccare.events.forgotten import FORGOTTEN_STAFF, is_subject, renamed
from ccare.events.pseudonym import FORGOTTEN, token_of
from ccare.runtime import deltalog, purge, storage
from ccare.runtime.amendments import catalogue_again, open_amendment
from ccare.runtime.controls import FORGOTTEN_ROWS
from ccare.runtime.day import close_for, opened
from ccare.runtime.handover import folding
from ccare.runtime.lease import FORGET, clear_record
from ccare.runtime.outdated import require_current_state
from ccare.runtime.rowstore import ROW_GROUP, write_rows
from ccare.runtime.run import Run
from ccare.runtime.settings import KEY_VERSION, Settings
from ccare.runtime.spark import conform
from ccare.runtime.steps import publish
from ccare.state import forgetting
from ccare.state.folds import on_dates
from ccare.tables import REGISTRY, table
from ccare.tables.streams import EVENT_STREAMS

_STATE = ("state_user_days", "state_merchant_days", "state_users", "state_refund_days")
_CORES = tuple(stream.table for stream in EVENT_STREAMS if stream.has_user)


@dataclass(frozen=True)
class Request:
    """Who is to be forgotten, where (None: at every merchant), who asked and why."""

    user_id: str = field(repr=False)
    merchant: str | None
    by: str
    reason: str


@dataclass
class Receipt:
    """What was done. The user stands in it as a keyed digest only."""

    subject_digest: str = ""
    key_version: str = KEY_VERSION
    merchant: str | None = None
    requested_by: str = ""
    reason: str = ""
    seq: int | None = None
    run_id: str = ""
    rows: dict[str, int] = field(default_factory=dict)
    already: bool = False
    purged: dict[str, int] = field(default_factory=dict)


def forget(
    settings: Settings, request: Request, said: Callable[[str], None], purge_now: bool = False
) -> Receipt:
    """Take the user out of the published tables and publish that; nothing is published where it is done already.

    InputMissing on an empty lake, UsageError where a run is open.
    """
    from ccare.runtime.spark import session

    key = settings.require_key()
    subject = token_of(key, request.user_id)
    digest = token_of(key, subject, FORGOTTEN)
    with opened(settings) as lake:
        record = open_amendment(settings, lake, FORGET, "nobody can be forgotten")
        assert lake.last is not None
        require_current_state(settings.lake, lake.last.table_versions)
        pins = dict(lake.last.table_versions)
        close = close_for(settings, record)
        run = Run(settings, session(settings), record, close, lake.last, said, pins)
        work = _Forgetting(run, subject, request.merchant)
        work.everywhere()
        added = _new_rows(run, digest, request, work.staff_of)
        receipt = Receipt(
            digest, KEY_VERSION, request.merchant, request.by, request.reason, rows=work.touched
        )
        receipt.already = not added and not work.touched
        row = lake.last
        if receipt.already:
            clear_record(settings.lake)
        else:
            if added:
                version = write_rows(settings.lake, table("core_forgotten"), added, record.run_id)
                run.wrote(FORGET, "core_forgotten", version, run.meter("core_forgotten"))
            record.inputs_digest = sha256(f"{FORGET}|{digest}|{request.merchant or ''}".encode()).hexdigest()
            row = publish(run, {f"{name}{FORGOTTEN_ROWS}": n for name, n in sorted(work.touched.items())})
            receipt.seq, receipt.run_id = row.seq, row.run_id
        receipt.purged = purge.purge(settings.lake, row, now=purge_now)
        catalogue_again(settings, row)
        return receipt


def purge_only(settings: Settings, *, now: bool) -> Receipt:
    """Remove superseded files of the tables that hold users, and nothing else."""
    with opened(settings) as lake:
        open_amendment(settings, lake, FORGET, "nothing can be purged")
        clear_record(settings.lake)
        assert lake.last is not None
        receipt = Receipt(already=True, purged=purge.purge(settings.lake, lake.last, now=now))
        catalogue_again(settings, lake.last)
        return receipt


def _new_rows(run: Run, digest: str, request: Request, staff_of: tuple[str, ...]) -> list[dict[str, object]]:
    """Rows that core_forgotten does not hold yet."""
    version = run.version("core_forgotten")
    known = deltalog.rows(run.settings.lake, "core_forgotten", version) if version is not None else []
    held = {row["merchant_id"]: row["staff"] for row in known if row["subject_digest"] == digest}
    if None in held:
        return []
    wanted: dict[str | None, bool] = {request.merchant: False}
    wanted |= dict.fromkeys(staff_of, True)
    today = run.record.posted_at.astimezone(ZoneInfo(run.settings.timezone)).date()
    return [
        {
            "subject_digest": digest,
            "merchant_id": merchant,
            "staff": staff,
            "key_version": KEY_VERSION,
            "forgotten_on": today,
            "requested_by": request.by,
            "reason": request.reason,
            "run_id": run.record.run_id,
        }
        for merchant, staff in sorted(wanted.items(), key=lambda item: item[0] or "")
        if merchant not in held
    ]


class _Forgetting:
    """The work on the tables, left to right. The token reaches plans as a one-row frame, never as a literal."""

    def __init__(self, run: Run, subject: str, merchant: str | None) -> None:
        self.run, self.token, self.merchant = run, subject, merchant
        self.subject = run.spark.createDataFrame(pa.table({"_subject": pa.array([subject], pa.string())}))
        self.staff_of: tuple[str, ...] = ()
        self.touched: dict[str, int] = {}

    def everywhere(self) -> None:
        """Every table that holds the user, rewritten where it does."""
        found = self._theirs("core_staff").select("merchant_id").distinct().collect()
        self.staff_of = tuple(sorted(row[0] for row in found))
        for name in _CORES:
            self._core(name)
        if self.staff_of:
            self._staff()
        self._state()

    @property
    def _scope(self) -> tuple[str | None, tuple[str, ...]]:
        return self.merchant, self.staff_of

    def _theirs(self, name: str) -> DataFrame:
        return self.run.read(name).crossJoin(F.broadcast(self.subject)).where(is_subject(self.merchant))

    def _held(self, name: str, *by: str) -> Mapping[date, int]:
        """Rows of theirs by partition; the table's count of touched rows is kept."""
        if self.run.version(name) is None:
            return {}
        found = {row[0]: row["count"] for row in self._theirs(name).groupBy(*by).count().collect()}
        if found:
            self.touched[name] = sum(found.values())
        return found

    def _core(self, name: str) -> None:
        days = self._held(name, "taken_on")
        if days:
            rows = self.run.read(name).where(F.col("taken_on").isin(*days))
            self._write(name, renamed(rows, self.subject, *self._scope), days)

    def _staff(self) -> None:
        self.touched["core_staff"] = len(self.staff_of)
        rows = renamed(self.run.read("core_staff"), self.subject, *self._scope)
        first = Window.partitionBy("merchant_id", "user_key").orderBy("taken_on", "content_hash")
        self._write("core_staff", rows.withColumn("_n", F.row_number().over(first)).where("_n = 1"))

    def _state(self) -> None:
        days = self._held("state_user_days", "business_date")
        if days:
            user_days, merchant_days = (on_dates(f"state_{each}_days", days) for each in ("user", "merchant"))
            with self._views() as con:
                counted = con.sql(forgetting.touched(user_days)).to_arrow_table()
                self._store("state_user_days", con.sql(forgetting.user_days(user_days)), days)
            with self._views() as con:
                con.register("counted", counted)
                again = forgetting.merchant_days_again(merchant_days, user_days, "counted", "core_staff")
                self._store("state_merchant_days", con.sql(again), days)
            self.touched["state_merchant_days"] = counted.num_rows
        if self._held("state_users", "merchant_id"):
            with self._views() as con:
                told = forgetting.lifetimes("state_users", "state_user_days", self._dates(con))
                self._store("state_users", con.sql(told))
        if self._held("state_refund_days", "paid_date"):
            with self._views() as con:
                self._store("state_refund_days", con.sql(forgetting.refund_days("state_refund_days")))

    def _dates(self, con: duckdb.DuckDBPyConnection) -> tuple[date, date]:
        """The first and last business date of forgotten staff's days, the lake's own where there are none."""
        (least,) = con.execute(
            "select min(business_date) from state_user_days where user_key = ?", [FORGOTTEN_STAFF]
        ).fetchone() or (None,)
        return least or self.run.record.first_day, self.run.record.day

    def _views(self) -> duckdb.DuckDBPyConnection:
        """State as it stands by now, and whom it is about."""
        con = folding(self.run, {name: self.run.version(name) for name in (*_STATE, "core_staff")})
        forgetting.know(con, self.token, self.merchant, self.staff_of)
        return con

    def _store(
        self, name: str, rows: duckdb.DuckDBPyRelation, days: Mapping[date, int] | None = None
    ) -> None:
        run = self.run
        run.store_held(
            FORGET, REGISTRY[name], rows.to_arrow_reader(ROW_GROUP), sorted(days or ()), run.meter(name)
        )

    def _write(self, name: str, df: DataFrame, days: Mapping[date, int] | None = None) -> None:
        run, declared = self.run, REGISTRY[name]
        meter = run.meter(name)
        partitions = {str(day) for day in days or ()}
        at_most = deltalog.partition_rows(run.settings.lake, name, run.version(name), partitions)
        version = storage.write(
            run.spark,
            run.settings.lake,
            declared,
            conform(df, declared),
            run.record.run_id,
            sorted(days or ()),
            at_most,
        )
        run.wrote(FORGET, name, version, meter)
