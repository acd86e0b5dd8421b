"""``make bench-ledger``: one close of the point ledger, posted and published, over small and large histories.

200,000 merchants with two million live lots; the close books a sale of each, returns for a tenth of them and requests
of as many. Books are generated straight into the ledger's tables (bench/ledger_history.py). The smaller history has the
same lots, positions and balances and only the newest of the transfers, so what differs is their number alone; laws are
verified over the whole one. Beside it the same postings are made by a DuckDB script (bench/ledger_peer.py).
"""

import argparse
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bench import ledger_peer
from bench.ledger_history import CHANGES, DAY, FIRST_DAY, RUN_ID, Books, Fill, draw, filling, write
from ccare.growth.snapshot import connect
from ccare.ledger.policy import load_ledger
from ccare.runtime import manifest, steps
from ccare.runtime.controls import control_totals
from ccare.runtime.day import close_for
from ccare.runtime.lease import RunRecord
from ccare.runtime.run import Run
from ccare.runtime.settings import Settings
from ccare.runtime.spark import conform, session
from ccare.runtime.verify import verify_lake
from ccare.tables import table

SLOTS = ("search_box", "app_centre", "message_reminder", "recommendation_card")
_PROGRAMMES = f"""
version = "bench"
go_live = {FIRST_DAY}
[[pools]]
name = "p"
programme = "f"
[[pools]]
name = "traffic"
programme = "f"
asset = "IMPRESSION"
[[programmes]]
name = "f"
title = "F"
from = {FIRST_DAY}
pool = "p"
eligibility = "everyone"
[[programmes.rules]]
name = "trade_net"
"""
_FUNDING = f"""
[[fundings]]
pool = "p"
amount = 1_000_000_000_000
date = {FIRST_DAY}
approval = "A-1"
[[fundings]]
pool = "traffic"
amount = 1_000_000_000_000
date = {FIRST_DAY}
approval = "T-1"
"""
_SLOTS = f"""
[[version]]
version = "bench"
from = {FIRST_DAY}
public = {json.dumps(SLOTS)}
[version.scenes]
[version.positions]
[version.redemption]
capacity = 1_000_000_000
"""


def main() -> None:
    """Close a day over each history, verify the largest, and post the same by a script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--merchants", type=int, default=200_000, help="each has ten live lots")
    parser.add_argument(
        "--transfers", type=int, nargs=2, default=[1_000_000, 10_000_000], help="a small and a large history"
    )
    parser.add_argument("--repeat", type=int, default=2, help="closes of each history; the last is told")
    parser.add_argument("--folder", type=Path, help="where the lakes are made; default a temporary folder")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; simulated books")
    with tempfile.TemporaryDirectory(prefix="ccare-bench-", dir=options.folder) as scratch:
        _bench(Path(scratch), options.merchants, sorted(options.transfers), options.repeat)


def _bench(scratch: Path, merchants: int, sizes: list[int], repeat: int) -> None:
    conf = _conf(scratch)
    books = Books(merchants, sizes[-1])
    told = filling(books, load_ledger(conf).version, SLOTS)
    with duckdb.connect(str(scratch / "books.duckdb")) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute("set threads = 2")
        with _timed(f"books of {books.live:,} live and {books.older:,} older lots drawn"):
            draw(con, told)
        seconds = {}
        for size in sizes:
            written = scratch / "written"
            versions = write(con, written, size)
            for number in range(repeat):
                settings = _settings(conf, scratch / f"lake-{size}-{number}")
                shutil.copytree(written, settings.lake, copy_function=os.link)
                seconds[size] = _close(settings, told, versions, size)
            shutil.rmtree(written)
        small, large = (seconds[size] for size in sizes)
        print(f"{sizes[-1]:,} over {sizes[0]:,} transfers: {large / small:.2f} (target at most 1.25)")
        _verify(settings)
        _beside(con, settings, told, large)


def _close(settings: Settings, told: Fill, versions: dict[str, int], size: int) -> float:
    """Post and publish DAY on top of what was written; returns seconds."""
    now = datetime.now(UTC)
    _publish_history(settings, versions, now)
    record = RunRecord(f"bench-{uuid.uuid4().hex[:8]}", DAY, 0, "close", FIRST_DAY, 2, now)
    said: list[str] = []
    last = manifest.latest(settings.lake)
    spark = session(settings)
    run = Run(settings, spark, record, close_for(settings, record), last, said.append, dict(versions))
    with duckdb.connect() as con:
        changes = con.sql(told(CHANGES)).to_arrow_table()
    run.shared["state_changes"] = _changes(run, changes)
    started = time.monotonic()
    steps.post(run)
    steps.publish(run)
    seconds = time.monotonic() - started
    run.release()
    jobs = sum(w.spark_jobs for w in run.written)
    posted = sum(w.rows for w in run.written if w.table == "ledger_transfers")
    print(
        f"{seconds:7.1f} s  close over {size:,} transfers: {posted:,} posted and published, {jobs} Spark jobs"
    )
    for line in said:
        print(f"             {line}")
    return seconds


def _changes(run: Run, rows: pa.Table) -> DataFrame:
    declared = table("state_changes")
    given = run.spark.createDataFrame(rows)
    missing = {c.name: F.lit(None) for c in declared.columns if c.name not in given.columns}
    changes = conform(given.withColumns(missing), declared).persist()
    changes.count()
    return changes


def _publish_history(settings: Settings, versions: dict[str, int], now: datetime) -> None:
    manifest.append(
        settings.lake,
        None,
        run_id=RUN_ID,
        business_date=DAY - timedelta(days=1),
        revision=0,
        kind="close",
        table_versions=versions,
        control_totals=control_totals(settings.lake, versions),
        inputs_digest="",
        code_version="bench",
        policy_version="bench",
        published_at=now,
    )


def _verify(settings: Settings) -> None:
    with _timed("verify, every check of the lake (target at most 180 s)"):
        verified = verify_lake(settings, print)
    assert verified.ok, "the books do not hold"


def _beside(con: duckdb.DuckDBPyConnection, settings: Settings, told: Fill, seconds: float) -> None:
    """The same by a script; the two must post the same."""
    with _timed("the script's own tables with their unique key filled, once"):
        ledger_peer.prepare(con)
    peer = ledger_peer.post(con, told)
    ours = connect(settings.lake, manifest.latest(settings.lake))
    mine = ledger_peer.posted(ours, told, "ledger_transfers")
    same = ledger_peer.posted(con, told, "posted")
    assert mine == same, f"the two differ: {sorted(map(str, mine ^ same))}"
    print(f"{peer:7.1f} s  DuckDB posting the same; ccare / DuckDB {seconds / peer:.2f}")


def _conf(root: Path) -> Path:
    conf = root / "conf"
    conf.mkdir()
    texts = {"programmes.toml": _PROGRAMMES, "funding.toml": _FUNDING, "slots.toml": _SLOTS}
    for name, text in texts.items():
        (conf / name).write_text(text)
    return conf


def _settings(conf: Path, lake: Path) -> Settings:
    return Settings.load().with_(
        lake=lake, landing=lake / "landing", exports=lake / "exports", conf=conf, spark_master="local[2]"
    )


@contextmanager
def _timed(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    print(f"{time.monotonic() - started:7.1f} s  {what}", flush=True)


if __name__ == "__main__":
    main()
