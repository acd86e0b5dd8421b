"""100,000 merchants' folders: seconds, files and bytes, and how long one card takes.

The lake is made up for the purpose (a seeded drawing, not a simulation of merchants) and written by the product's
own writers: scores of two as-of days, ten drivers, metrics, 30 days of transfers and lots, traffic and payments.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from ccare.exports.merchants import export_merchants
from ccare.metrics.definitions import DIMENSIONS, METRICS
from ccare.runtime import manifest
from ccare.runtime.rowstore import arrow_schema, write_arrow
from ccare.runtime.settings import Settings
from ccare.scoring.policy import load_scoring
from ccare.tables import Table, table

DAY = date(2026, 3, 31)
WEEK_BEFORE = DAY - timedelta(days=7)
TARGET_SECONDS, CARD_SECONDS = 120, 3


def main() -> None:
    """Write the lake, export everyone, then two cards; print what each took."""
    parser = argparse.ArgumentParser(description="Seconds of every merchant's exports.")
    parser.add_argument("--merchants", type=int, default=100_000)
    parser.add_argument(
        "--transfers", type=int, default=30, help="transfers a merchant in the statement's time"
    )
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ccare-bench-") as scratch:
        started = time.monotonic()
        settings = build(Path(scratch), options.merchants, options.transfers)
        print(f"a lake of {options.merchants:,} merchants: {time.monotonic() - started:.1f} s (not counted)")
        row = manifest.latest(settings.lake)
        assert row is not None
        started, used = time.monotonic(), _cpu()
        made = export_merchants(settings, row, everyone=True, processes=options.processes)
        took, used = time.monotonic() - started, _cpu() - used
        size = sum(
            p.stat().st_size for p in (settings.exports / "merchants" / "m0000000" / str(DAY)).iterdir()
        )
        print(
            f"{made.merchants:,} merchants, {made.files:,} files, about {size * made.merchants / 1e9:.2f} GB: "
            f"{took:.1f} s in {options.processes} processes, {used:.1f} s of CPU "
            f"(target {TARGET_SECONDS} s for 100,000)"
        )
        for name in ("first", "warm", "warm"):
            started = time.monotonic()
            export_merchants(settings, row, named=["m0000000"])
            print(
                f"one merchant with card and workbook, {name}: {time.monotonic() - started:.2f} s "
                f"(target {CARD_SECONDS} s warm)"
            )


def _cpu() -> float:
    """Seconds of CPU of this process and of those that it ended."""
    return sum(
        u.ru_utime + u.ru_stime
        for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def build(root: Path, merchants: int, transfers: int, more: Mapping[str, str] | None = None) -> Settings:
    """A published lake under ``root``; ``more``: queries of further tables, or in place of those here."""
    settings = Settings(lake=root / "lake", landing=root / "landing", exports=root / "exports")
    settings.lake.mkdir(parents=True)
    con = duckdb.connect()
    con.execute("select setseed(0.42)")
    con.execute(
        "create table m as select printf('m%07d', i) as merchant_id, i, (exp(random() * 7))::bigint as size "
        "from range($n) t(i)",
        {"n": merchants},
    )
    versions = {}
    for name, sql in {**_queries(settings, transfers), **(more or {})}.items():
        rows = con.execute(sql).to_arrow_table()
        versions[name] = _write(settings.lake, table(name), rows)
    manifest.append(
        settings.lake,
        None,
        run_id="bench",
        business_date=DAY,
        revision=0,
        kind="close",
        table_versions=versions,
        control_totals={},
        inputs_digest="0" * 64,
        code_version="bench",
        policy_version="scoring-1/bench",
        published_at=datetime(2026, 4, 1, tzinfo=UTC),
    )
    return settings


def _write(lake: Path, declared: Table, rows: pa.Table) -> int:
    """Write ``rows``; a required column that the bench does not read gets one value throughout."""
    columns = []
    for field in arrow_schema(declared):
        if field.name in rows.column_names:
            columns.append(rows[field.name].cast(field.type))
        elif field.nullable:
            columns.append(pa.nulls(rows.num_rows, field.type))
        else:
            columns.append(pa.repeat(pa.scalar(_filler(field.type), field.type), rows.num_rows))
    full = pa.table(columns, schema=arrow_schema(declared))
    # delta-rs makes no table with CHECK constraints; in production Spark does.
    return write_arrow(lake, replace(declared, checks={}), full, "bench", "append")


def _filler(kind: pa.DataType) -> object:
    if pa.types.is_date(kind):
        return DAY
    if pa.types.is_timestamp(kind):
        return datetime(2026, 4, 1, tzinfo=UTC)
    return "-" if pa.types.is_string(kind) else 0


def _queries(settings: Settings, transfers: int) -> dict[str, str]:
    policy = load_scoring(settings.conf).for_day(DAY)
    days = f"(select unnest([date '{WEEK_BEFORE}', date '{DAY}']) as as_of_date)"
    metrics = []
    for m in METRICS:
        if m.is_ratio:
            metrics += [
                f"(size * 0.4)::bigint as {m.id}_num",
                f"size as {m.id}_den",
                f"0.4::double as {m.id}",
            ]
        else:
            metrics.append(f"(size * {0.9 if m.id == 'c_mau28' else 0.3})::bigint as {m.id}")
    drivers = " union all ".join(
        f"select '{m}' as metric_id, '{next(x.dimension for x in METRICS if x.id == m)}' as dimension, "
        f"{weight} as weight"
        for m, weight in policy.weights.items()
    )
    scores = ", ".join(
        f"50 + (i % 40)::double as {d}_score, 45 + (i % 40)::double as {d}_score_low, "
        f"55 + (i % 40)::double as {d}_score_high"
        for d in (*DIMENSIONS, "total")
    )
    coverage = ", ".join(f"1.0 as {d}_coverage" for d in DIMENSIONS)
    account = "'merchant:' || merchant_id || ':pending'"
    each = f"(m cross join range({transfers}) t(k))"
    return {
        "core_merchants": "select merchant_id, '商家 ' || merchant_id as name, 'retail' as industry, "
        "false as own_brand, date '2025-01-01' as joined_on, date '2025-01-01' as valid_from, "
        "'real' as origin from m",
        "metric_merchants": f"select merchant_id, as_of_date, {', '.join(metrics)} from m cross join {days}",
        "score_merchants": f"select merchant_id, as_of_date, {scores}, {coverage}, 'full' as score_status, "
        f"'retail/mid' as peer_group, 33000 as peers, 'monthly' as benchmark_status, 'scoring-1' as policy_version, "
        f"'bench' as run_id from m cross join {days}",
        "score_drivers": f"select merchant_id, as_of_date, d.*, 0.4 as value, (size * 0.4)::bigint as numerator, "
        f"size as denominator, size as n, 50 + i % 40 as percentile, weight * (50 + i % 40) as contribution, "
        f"0.5 as target, 'at_least' as target_condition, 'watch' as driver_status, 28 as window_days, "
        f"'retail/mid' as peer_group, 'scoring-1' as policy_version, 'bench' as run_id "
        f"from m cross join {days} cross join ({drivers}) d",
        "state_merchant_days": "select merchant_id, date '2026-03-30' as business_date, 5 as events, "
        "0 as simulated_events from m",
        "ledger_transfers": "select sha256(merchant_id || k) as transfer_id, "
        "'pool:fanxing:available' as debit_account, "
        f"{account} as credit_account, 10 + k as amount, 'POINT' as asset, 'fanxing' as programme, 'earn' as code, "
        f"'earned' as reason, merchant_id, date '{DAY}' - k::int as effective_date, "
        f"date '{DAY}' + 15 - k::int as matures_on, date '{DAY}' + 195 - k::int as expires_on, "
        f"date '{DAY}' - k::int as booked_date, 'fanxing|trade_net|' || merchant_id || '|' || k as business_key, "
        f"1 as leg, 1 as revision from {each}",
        "ledger_lots": f"select sha256(merchant_id || k) as lot_id, 'k' || k as business_key, 'fanxing' as programme, "
        f"merchant_id, 'POINT' as asset, 'fanxing' as pool, date '{DAY}' - k::int as effective_date, 1 as revision, "
        f"date '{DAY}' - k::int as booked_date, date '{DAY}' + 15 - k::int as matures_on, "
        f"date '{DAY}' + 195 - k::int as expires_on, 10 + k as amount, 10 + k as pending, 0 as active, "
        f"0 as reserved, 0 as redeemed, 0 as expired, 0 as taken from {each}",
        "ledger_balances": f"select {account} as account, 'POINT' as asset, sum(10 + k)::bigint as balance from {each} "
        "group by merchant_id",
        "core_traffic_hours": "select merchant_id, slot, 'free' as source, 'treated' as arm, 100 as impressions, "
        f"3 as clicks, date '{DAY}' as business_date, date '{DAY}' as taken_on, 'e' || i as event_id, "
        "'delivered' as event_type, 'real' as origin from m cross join "
        "(select unnest(['search_box', 'app_centre', 'life_channel']) as slot)",
        "core_payments": "select merchant_id, 'u' || k as user_key, 'search_box' as slot, 'paid' as event_type, "
        f"date '{DAY}' as business_date, date '{DAY}' as taken_on, 100 as amount_fen, 'real' as origin "
        "from (m cross join range(20) t(k))",
    }


if __name__ == "__main__":
    main()
