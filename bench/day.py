"""``make bench-day``: what a day costs as history grows, beside recomputing it from the history's events.

Histories are generated straight into state tables (bench/day_history.py); the state and metrics steps of one day run
over each, in one session, warm: each is run ``--repeat`` times from the same pinned tables, and the last is told.
"""

import argparse
import os
import shutil
import tempfile
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.day_history import DAY, Size, generate
from bench.day_peers import duckdb_seconds, spark_seconds, write_history
from bench.reads import Reads
from ccare.runtime import steps
from ccare.runtime.day import close_for
from ccare.runtime.lease import RunRecord
from ccare.runtime.meter import Written
from ccare.runtime.run import Run
from ccare.runtime.settings import Settings
from ccare.runtime.spark import session

_PASSES = 2
"""Over state_users by DuckDB, which Spark does not count: everyone written again, facts of everyone."""


@dataclass(frozen=True)
class Cost:
    """One day's state and metrics steps."""

    seconds: float
    rows_read: int
    bytes_read: int
    bytes_written: int
    jobs: int
    commits: int
    peak_mib: int
    lines: tuple[Written, ...]


def main() -> None:
    """Curve over histories, then one large day beside its peers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pairs", type=int, nargs="*", default=[2_000_000], help="pairs of merchant and user"
    )
    parser.add_argument("--merchants", type=int, default=1_000)
    parser.add_argument(
        "--days",
        type=int,
        nargs="*",
        default=[30, 90, 365],
        help="days of history; none for the large day alone",
    )
    parser.add_argument("--daily", type=int, default=100_000, help="events of a day")
    parser.add_argument("--large", type=int, default=1_000_000, help="events of the large day; 0 for none")
    parser.add_argument(
        "--active", type=int, default=0, help="pairs of the large day; default 3/5 of its events"
    )
    parser.add_argument("--large-days", type=int, default=90, help="history of the large day")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the lakes are made; default a temporary folder")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; simulated rows")
    with tempfile.TemporaryDirectory(prefix="ccare-bench-", dir=options.folder) as scratch:
        for pairs in options.pairs if options.days else ():
            size = Size(pairs, options.merchants, 0, options.daily, options.daily, options.daily // 4)
            _curve(Path(scratch), [replace(size, days=days) for days in options.days], options.repeat)
        if options.large:
            active = options.active or options.large * 3 // 5
            size = Size(
                max(options.pairs),
                options.merchants,
                options.large_days,
                options.daily,
                options.large,
                active,
            )
            _large(Path(scratch), size, options.repeat)


def _curve(scratch: Path, sizes: list[Size], repeat: int) -> None:
    costs = [_cost(scratch, size, repeat) for size in sizes]
    for size, cost in zip(sizes, costs, strict=True):
        _print(size, cost)
    first, last = costs[0], costs[-1]
    print(
        f"{sizes[-1].days} days over {sizes[0].days}: seconds {last.seconds / first.seconds:.2f}, "
        f"rows read {last.rows_read / max(first.rows_read, 1):.2f}, "
        f"bytes written {last.bytes_written / max(first.bytes_written, 1):.2f} (target at most 1.25)"
    )


def _large(scratch: Path, size: Size, repeat: int) -> None:
    cost = _cost(scratch, size, repeat)
    _print(size, cost)
    history = write_history(scratch / "history", size)
    duck, merchants = duckdb_seconds(history)
    spark = session(_settings(scratch))
    slow, _ = spark_seconds(spark, history)
    events = size.daily * size.days + size.events
    print(f"recompute of {merchants:,} merchants from {events:,} events, a part of the metrics:")
    print(f"  PySpark {slow:7.1f} s   PySpark / ccare {slow / cost.seconds:.2f} (target at least 10)")
    print(f"  DuckDB  {duck:7.1f} s   ccare / DuckDB {cost.seconds / duck:.2f} (target at most 1)")
    shutil.rmtree(history)


def _settings(lake: Path) -> Settings:
    return Settings.load().with_(
        lake=lake, landing=lake / "landing", exports=lake / "exports", spark_master="local[2]"
    )


def _cost(scratch: Path, size: Size, repeat: int) -> Cost:
    lake = scratch / f"lake-{size.pairs}-{size.days}-{size.events}"
    settings = _settings(lake)
    versions = generate(lake, size)
    for _ in range(repeat):
        cost = _run(settings, size, versions)
    shutil.rmtree(lake)
    return cost


def _run(settings: Settings, size: Size, versions: dict[str, int]) -> Cost:
    reads = Reads(settings)
    now = datetime.now(UTC)
    first_day = DAY - timedelta(days=size.days)
    record = RunRecord(f"bench-{uuid.uuid4().hex[:8]}", DAY, 0, "close", first_day, 1, now)
    close = close_for(settings, record)
    run = Run(settings, session(settings), record, close, None, reads.said, dict(versions))
    started = time.monotonic()
    for step in ("state", "metrics"):
        steps.STEP[step](run)
    seconds = time.monotonic() - started
    run.release()
    lines = tuple(run.written)
    rows, size_read = reads.total
    users = next(w for w in lines if w.table == "state_users")
    rows, size_read = rows + _PASSES * users.rows, size_read + _PASSES * users.bytes
    return Cost(
        seconds,
        rows,
        size_read,
        sum(w.bytes for w in lines),
        sum(w.spark_jobs for w in lines),
        len(lines),
        _peak_mib(),
        lines,
    )


def _peak_mib() -> int:
    """Peak resident memory of this process and of Spark's JVM, its child."""
    here = os.getpid()
    children = Path(f"/proc/{here}/task/{here}/children").read_text().split()
    total = 0
    for pid in (str(here), *children):
        status = Path(f"/proc/{pid}/status").read_text()
        total += next((int(x.split()[1]) for x in status.splitlines() if x.startswith("VmHWM")), 0)
    return total // 1024


def _print(size: Size, cost: Cost) -> None:
    print(
        f"\n{size.pairs:,} pairs, {size.days} days of history, {size.events:,} events by {size.active:,} pairs: "
        f"{cost.seconds:.1f} s, {cost.jobs} Spark jobs, {cost.commits} commits, {cost.rows_read:,} rows and "
        f"{cost.bytes_read:,} bytes read, {cost.bytes_written:,} bytes written, peak {cost.peak_mib:,} MiB"
    )
    for line in cost.lines:
        print(f"  {line.line()}")


if __name__ == "__main__":
    main()
