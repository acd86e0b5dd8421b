"""``make bench-programmes``: what 200,000 merchants earn for a day by all six programmes, beside DuckDB doing the same.

The day is a Sunday and ends a month, so fuyou, chengfeng and resource_pack pay too; the packaged campaign holds no such
day and is moved to it. Ten weeks of made-up history (``bench.programmes_made``) give three months' ends to tell: the
day's own and two that are told again. An ordinary day, a Thursday, stands beside it.

Measured is ``ccare.ledger.decisions``: from published state to what each key asks, refusals included, twice in one
session (cold, warm). DuckDB asks the same of the same files, rule by rule (``bench.programmes_peer``); the sums of both
must agree. Nothing is booked.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bench.ingest import process_tree
from bench.programmes_made import CAMPAIGN, DAY, FIRST, FOLDERS, ORDINARY, known, make
from bench.programmes_peer import beside
from ccare.events.slots import load_slots
from ccare.growth.snapshot import connect_to, name_of
from ccare.ledger.decisions import decide
from ccare.ledger.frames import by_party
from ccare.ledger.parties import with_party
from ccare.ledger.policy import LedgerPolicy, load_ledger
from ccare.runtime.close import Close
from ccare.runtime.settings import Settings, default_conf
from ccare.runtime.spark import conform, frame, held, session
from ccare.scoring.policy import load_scoring
from ccare.tables import table


def main() -> None:
    """Print seconds of both and of both days, and what each rule asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--merchants", type=int, default=200_000, help="merchants that earn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ccare-bench-") as scratch:
        root = Path(scratch)
        with _timed("made up"):
            days, trades = make(root, options.merchants)
        print(
            f"{options.merchants:,} merchants, {days:,} user days, {trades:,} trades of ten weeks, simulated"
        )
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        settings = Settings(lake=root / "lake", landing=root / "landing", exports=root / "exports")
        spark = session(settings)
        try:
            found = {}
            for name, day in (("cold", DAY), ("warm", DAY), ("an ordinary day, warm", ORDINARY)):
                with _timed(f"ccare, {name}"):
                    found[day] = _asked(spark, root, settings, day)
        finally:
            spark.stop()
        for day, asked_on in found.items():
            with _timed(f"{day} in DuckDB, nothing kept"):
                same = beside(root, day)
            for (programme, rule), asked in sorted(asked_on.items()):
                print(f"  {programme:<14}{rule:<18}{asked:>14,}")
            assert {key: asked for key, asked in asked_on.items() if asked} == same, (asked_on, same)


def _asked(spark: SparkSession, root: Path, settings: Settings, day: date) -> dict[tuple[str, str], int]:
    """What every rule asks for the day, as a close would decide it on an empty ledger."""
    close = Close(
        day=day,
        first_day=FIRST,
        run_id="bench",
        posted_at=datetime(2026, 6, 1, tzinfo=UTC),
        timezone=settings.timezone,
        scoring=load_scoring(default_conf()).for_day(day),
        ledger=_policy(),
        slots=load_slots(default_conf(), day),
    )
    declared = table("ledger_transfers")
    counted = _counted(root, close)
    inputs = {
        name: held(spark, table(name), counted[name]) if name in counted else _input(spark, root, name, day)
        for name in (*declared.inputs, *declared.previous)
    }
    decided = decide(inputs, by_party(with_party(inputs["ledger_positions"])), close)
    sums = decided.groupBy("programme", "rule").agg(F.sum("asked"))
    return {(programme, rule): asked for programme, rule, asked in sums.collect()}


def _counted(root: Path, close: Close) -> dict[str, pa.Table]:
    """What DuckDB tells of the same files before Spark decides."""
    found: dict[str, pa.Table] = {}
    for name in ("ledger_touched_keys", "ledger_user_counts", "ledger_trade_counts"):
        inputs = (*table(name).inputs, *table(name).previous)
        with connect_to(
            root / "lake", dict.fromkeys(i for i in inputs if i not in FOLDERS and i not in found)
        ) as con:
            for each in inputs:
                if each in found:
                    con.register(each, found[each])
                elif each in FOLDERS:
                    rows = con.read_parquet(
                        str(root / FOLDERS[each] / "**" / "*.parquet"), hive_partitioning=True
                    )
                    rows = rows.filter(known(each, close.day))
                    lacking = [
                        f"null as {name_of(c)}" for c in table(each).column_names if c not in rows.columns
                    ]
                    rows.select(", ".join(("*", *lacking))).create_view(each)
            found[name] = import_module(f"jobs.{name}").build(con, close)
    return found


def _input(spark: SparkSession, root: Path, name: str, day: date) -> DataFrame:
    if name not in FOLDERS:
        return frame(spark, table(name))
    rows = spark.read.parquet(str(root / FOLDERS[name])).filter(known(name, day))
    lacking = {c.name: F.lit(None).cast(c.type) for c in table(name).columns if c.name not in rows.columns}
    return conform(rows.withColumns(lacking) if lacking else rows, table(name))


def _policy() -> LedgerPolicy:
    """The packaged policy, its campaign moved to the day."""
    policy = load_ledger(default_conf()).for_day(DAY)
    moved = {"from_day": CAMPAIGN[0], "to_day": CAMPAIGN[1]}
    programmes = tuple(p.model_copy(update=moved) if p.name == "wufu" else p for p in policy.programmes)
    return replace(policy, programmes=programmes)


@contextmanager
def _timed(what: str) -> Iterator[None]:
    started, used = time.monotonic(), _processor()
    yield
    took, used = time.monotonic() - started, _processor() - used
    print(f"{what}: {took:.1f} s, {used:.1f} processor s", flush=True)


def _processor() -> float:
    """Processor seconds of this process and the JVM that it started, so far."""
    return sum(seconds for _, seconds in process_tree(os.getpid()).values())


if __name__ == "__main__":
    main()
