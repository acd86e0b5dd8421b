"""Days closed one after another by the real jobs, on frames: state as the harness would carry it on."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import ModuleType

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

from ccare.events.slots import load_slots
from ccare.ledger.policy import load_ledger
from ccare.metrics.merchant_facts import merchant_facts
from ccare.runtime.close import Close
from ccare.runtime.rowstore import arrow_schema
from ccare.runtime.settings import default_conf
from ccare.runtime.spark import conform, held, interpreted
from ccare.scoring.policy import load_scoring
from ccare.tables import table
from jobs import (
    metric_activity_days,
    metric_funnels,
    metric_merchants,
    metric_retention,
    metric_stages,
    metric_user_facts,
    state_changes,
    state_merchant_days,
    state_refund_days,
    state_user_days,
    state_users,
)

Frames = dict[str, pa.Table]
METRIC_JOBS = {
    "metric_merchants": metric_merchants,
    "metric_activity_days": metric_activity_days,
    "metric_stages": metric_stages,
    "metric_retention": metric_retention,
    "metric_funnels": metric_funnels,
}
STATE = ("state_user_days", "state_merchant_days", "state_users", "state_refund_days")


def close_of(day: date, first_day: date, timezone: str) -> Close:
    """What the jobs are told under the packaged policies."""
    conf = default_conf()
    return Close(
        day=day,
        first_day=first_day,
        run_id="test",
        posted_at=datetime(2024, 7, 1, tzinfo=UTC),
        timezone=timezone,
        scoring=load_scoring(conf).for_day(day),
        ledger=load_ledger(conf).for_day(day),
        slots=load_slots(conf, day),
    )


class Closes:
    """The lake's state after each close; ``cores`` hold every row that is ever delivered."""

    def __init__(self, spark: SparkSession, cores: Mapping[str, pa.Table], first: date, zone: str) -> None:
        self.spark, self.first, self.zone = spark, first, zone
        self.rows = duckdb.connect()
        self.rows.execute("set TimeZone = 'UTC'")
        for name, rows in {"score_potentials": _empty("score_potentials"), **cores}.items():
            self.rows.register(name, rows)
        self.given = {**cores}
        self.cores = {name: self._frame(rows).persist() for name, rows in cores.items()}
        self.state: Frames = {name: _empty(name) for name in STATE}

    def days(self, last: date) -> Iterator[date]:
        """Close every day up to ``last``; yields each once its state stands."""
        day = self.first
        while day <= last:
            with interpreted(self.spark):
                self._close(day)
            yield day
            day += timedelta(days=1)

    def metrics(self, day: date) -> Frames:
        """Every metric table as of the day closed last."""
        close = close_of(day, self.first, self.zone)
        inputs = {**self.cores, **{name: self._frame(rows) for name, rows in self.state.items()}}
        with interpreted(self.spark):
            inputs["metric_user_facts"] = self._facts(close)
            inputs["metric_merchant_facts"] = self._frame(merchant_facts(self.rows, day))
            return {name: _arrow(job.build(inputs, close), name) for name, job in METRIC_JOBS.items()}

    def _close(self, day: date) -> None:
        close = close_of(day, self.first, self.zone)
        with duckdb.connect() as con:
            con.execute("set TimeZone = 'UTC'")
            for name, rows in {**self.given, **self.state}.items():
                con.register(name, rows)
            changes = _told(con, state_changes, close)
            con.register("state_changes", changes)
            touched = tuple(sorted(set(changes["business_date"].to_pylist())))
            close = replace(close, touched=touched, changes=changes.num_rows)
            whole = {_name(job): _told(con, job, close) for job in (state_users, state_refund_days)}
            for job in (state_user_days, state_merchant_days):
                name, again = _name(job), _told(con, job, close)
                kept, dates = self.state[name], pa.array(touched, pa.date32())
                kept = kept.filter(pc.invert(pc.is_in(kept["business_date"], dates)))
                self.state[name] = pa.concat_tables([kept, again])
                con.register(name, self.state[name])
        self.state |= whole

    def _facts(self, close: Close) -> DataFrame:
        with duckdb.connect() as con:
            con.register("state_users", self.state["state_users"])
            con.register("core_staff", self.rows.table("core_staff").to_arrow_table())
            return held(self.spark, table("metric_user_facts"), metric_user_facts.build(con, close))

    def _frame(self, rows: pa.Table) -> DataFrame:
        return self.spark.createDataFrame(rows)


def _told(con: duckdb.DuckDBPyConnection, job: ModuleType, close: Close) -> pa.Table:
    return job.build(con, close).to_arrow_table().select(_schema(_name(job)).names).cast(_schema(_name(job)))


def _name(job: ModuleType) -> str:
    return job.__name__.rsplit(".", 1)[-1]


def _arrow(df: DataFrame, name: str) -> pa.Table:
    return conform(df, table(name)).toArrow().cast(_schema(name))


def _empty(name: str) -> pa.Table:
    return _schema(name).empty_table()


def _schema(name: str) -> pa.Schema:
    return pa.schema([pa.field(field.name, field.type) for field in arrow_schema(table(name))])
