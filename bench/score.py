"""``make bench-score``, the scoring part: drivers and scores of 100,000 simulated merchants, from their metrics on.

Two passes in one process are printed, cold and warm: build, gates and the write of both tables, as a close does them.
Cells are merchants x weighted
metrics; the target is 3 million, 100,000 merchants with 30 metrics each, in 10 s.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ccare.events.slots import load_slots
from ccare.growth.snapshot import view_sql
from ccare.ledger.policy import load_ledger
from ccare.metrics.definitions import METRIC_BY_ID
from ccare.runtime import gate, storage
from ccare.runtime.close import Close
from ccare.runtime.rowstore import arrow_schema
from ccare.runtime.settings import Settings, default_conf
from ccare.scoring.policy import ScoringPolicy, load_scoring
from ccare.tables import table
from jobs import score_benchmarks, score_drivers, score_merchants

FROZEN, DAY = date(2026, 2, 28), date(2026, 3, 1)
CELLS = 3_000_000
INDUSTRIES = 40


def main() -> None:
    """Score simulated merchants twice and print seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    weighted = len(_policy().weights)
    parser.add_argument("--merchants", type=int, default=-(-CELLS // weighted), help="merchants to score")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ccare-bench-") as scratch:
        root = Path(scratch)
        settings = Settings(lake=root / "lake", landing=root / "landing", exports=root / "exports")
        _bench(settings, options.merchants)


def _policy() -> ScoringPolicy:
    return load_scoring(default_conf()).for_day(DAY)


def _bench(settings: Settings, merchants: int) -> None:
    policy = _policy()
    print(
        f"{merchants:,} simulated merchants x {len(policy.weights)} metrics = {merchants * len(policy.weights):,} cells"
    )
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.execute("set threads = 2")
    _store_metrics(settings.lake, merchants)
    con.execute(
        f"create view metric_merchants as from read_parquet('{settings.lake}/metric_merchants/*/*.parquet')"
    )
    for name in ("score_benchmarks", "score_merchants"):
        con.register(name, arrow_schema(table(name)).empty_table())
    close = Close(
        DAY,
        DAY,
        "bench",
        datetime(2026, 3, 2, tzinfo=UTC),
        settings.timezone,
        policy,
        load_ledger(settings.conf).for_day(DAY),
        load_slots(settings.conf, DAY),
    )
    with _timed("benchmarks of the month, once"):
        frozen = score_benchmarks.build(con, close)
        print(f"  {frozen.num_rows:,} benchmarks")
    con.register("score_benchmarks", frozen)
    for name in ("cold", "warm"):
        with _timed(f"drivers and scores, {name}"):
            _score(con, settings.lake, close, merchants)
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10:,} MiB")


def _score(con: duckdb.DuckDBPyConnection, lake: Path, close: Close, merchants: int) -> None:
    """As a close does it: each table is built, gated and written, and scores are made of the drivers as written."""
    for name, job in (("score_drivers", score_drivers), ("score_merchants", score_merchants)):
        with _timed(f"  {name} built"):
            rows = job.build(con, close)
        with _timed("    judged"):
            _pass_gate(rows, name)
        with _timed("    written"):
            version = storage.write_held(lake, table(name), rows, close.run_id, [DAY])
        if name == "score_drivers":
            con.execute(f"create or replace view {name} as {view_sql(lake, table(name), version)}")
    assert rows.num_rows == merchants


def _pass_gate(rows: pa.Table, name: str) -> None:
    declared = table(name)
    broken = [failure.name for failure in gate.failures(rows, declared, gate.rules(declared))]
    assert not broken, broken


def _store_metrics(lake: Path, merchants: int) -> None:
    """metric_merchants of the frozen day and of the day scored, in a file each."""
    declared = table("metric_merchants")
    for seed, day in enumerate((FROZEN, DAY)):
        folder = lake / declared.name / f"{day}"
        folder.mkdir(parents=True)
        rows = _rows(np.random.default_rng(seed), merchants, day).cast(arrow_schema(declared))
        pq.write_table(rows, folder / "rows.parquet", row_group_size=50_000)


def _rows(rng: np.random.Generator, merchants: int, day: date) -> pa.Table:
    """Merchants of heavy-tailed size; ratios of people, trades and fen that hang together well enough to place."""
    mau = np.floor(rng.pareto(0.9, merchants) * 8).clip(0, 10**6).astype(np.int64)
    columns: dict[str, object] = {
        "merchant_id": [f"m{n:06d}" for n in range(merchants)],
        "as_of_date": pa.array([day] * merchants, pa.date32()),
        "industry": [f"industry {n}" for n in rng.integers(0, INDUSTRIES, merchants)],
    }
    for name in (n for n in table("metric_merchants").column_names if n not in columns):
        metric = METRIC_BY_ID.get(name.removesuffix("_num").removesuffix("_den"))
        if metric is not None and metric.is_ratio:
            continue
        columns[name] = np.floor(mau * rng.random(merchants)).astype(np.int64)
    columns |= {"c_mau28": mau, "events_56d": mau}
    for metric in METRIC_BY_ID.values():
        if metric.is_ratio:
            # Some merchants have nothing to show of a metric.
            bottom = np.where(rng.random(merchants) < 0.15, 0, mau + rng.integers(0, 9, merchants))
            top = np.floor(bottom * rng.beta(2, 3, merchants)).astype(np.int64)
            ratio = np.divide(top, bottom, where=bottom > 0, out=np.zeros(merchants))
            columns |= {
                f"{metric.id}_num": top,
                f"{metric.id}_den": bottom.astype(np.int64),
                metric.id: pa.array(ratio, mask=bottom == 0),
            }
    return pa.table({name: columns[name] for name in table("metric_merchants").column_names})


@contextmanager
def _timed(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    print(f"{time.monotonic() - started:7.2f} s  {what}", flush=True)


if __name__ == "__main__":
    main()
