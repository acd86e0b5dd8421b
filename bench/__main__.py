"""Where a day's time goes: seconds, Spark jobs, Delta commits, rows and bytes of each step of the demo's days.

Beside it, in the same run, what a user would otherwise do for the metrics: recompute them in DuckDB from the
core tables. The demo's lake is used where it is complete, else made first; nothing of it is changed: days are
closed in a copy.
"""

import argparse
import shutil
import tempfile
import time
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

from bench.reads import Reads
from ccare.demo import GO_LIVE, LAST_DAY, demo_settings
from ccare.growth.snapshot import connect
from ccare.runtime import deltalog, manifest
from ccare.runtime.close_days import close_days
from ccare.runtime.meter import Written
from ccare.runtime.settings import Settings
from ccare.tables import stored_tables

_RECOMPUTE = """
with days as (
    select merchant_id, user_key, business_date from core_payments where event_type = 'paid'
    union select merchant_id, user_key, business_date from core_mini_program_events
      where event_type in ('launch', 'item_view', 'order_submit', 'message_click', 'share', 'collect', 'subscribe',
                           'member_join') or (event_type = 'page_view' and coalesce(stay_ms, 1000) >= 1000)
    union select merchant_id, user_key, business_date from core_life_account_events
      where event_type in ('follow', 'view', 'like', 'comment', 'share', 'live_enter', 'voucher_click',
                           'mini_program_click')
    union select merchant_id, user_key, business_date from core_voucher_events
      where event_type in ('received', 'used')
), pairs as (
    select merchant_id, user_key, min(business_date) as first_day,
           count(*) filter (business_date > $day::date - 28) as days_28,
           count(*) filter (business_date between $day::date - 55 and $day::date - 28) as days_before
    from days where user_key is not null and business_date <= $day::date group by all
)
select merchant_id, count(*) filter (days_28 > 0) as c_mau28,
       count(*) filter (first_day > $day::date - 28) as c_new_users,
       count(*) filter (days_28 > 0 and days_before > 0) as returned, sum(days_28) as active_days
from pairs group by merchant_id
"""


def main() -> None:
    """Close the last days of the demo in a copy of its lake and print where the time went."""
    parser = argparse.ArgumentParser(
        description="Seconds, jobs, commits, rows and bytes of each step of a day."
    )
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="the demo's folder")
    parser.add_argument("--days", type=int, default=3, help="days to close after the history")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ccare-bench-") as scratch:
        settings = _fresh(options.folder.resolve(), Path(scratch))
        _bench(settings, options.days)


def _fresh(demo: Path, scratch: Path) -> Settings:
    """Settings of an empty lake beside the demo's landing files, which are written where they are missing."""
    from ccare.sources.complete_journey import write_complete_journey

    if not (demo / "landing").is_dir():
        demo.mkdir(parents=True, exist_ok=True)
        write_complete_journey(demo / "landing", go_live=GO_LIVE, last_day=LAST_DAY)
    return demo_settings(demo).with_(
        lake=scratch / "lake",
        exports=scratch / "exports",
        pseudonym_key=b"a key for benchmarks, 32 bytes or more",
    )


def _bench(settings: Settings, days: int) -> None:
    history = GO_LIVE - timedelta(days=1)
    for day in [history + timedelta(days=n) for n in range(days + 1)]:
        commits = _commits(settings.lake)
        reads = Reads(settings)
        started = time.monotonic()
        lines = close_days(settings, day, day, said=reads.said, to_step="publish").written
        title = f"{day} (history)" if day == history else str(day)
        _print(title, lines, reads, time.monotonic() - started, _commits(settings.lake) - commits)
    _print_recompute(settings, history + timedelta(days=days), lines)
    shutil.rmtree(settings.lake)


def _commits(lake: Path) -> int:
    versions = (deltalog.latest_version(lake, table.name) for table in stored_tables())
    return sum(version + 1 for version in versions if version is not None)


def _print(title: str, lines: list[Written], reads: Reads, seconds: float, commits: int) -> None:
    steps: dict[str, list[Written]] = defaultdict(list)
    for line in lines:
        steps[line.step].append(line)
    jobs = sum(w.spark_jobs for w in lines)
    print(f"\n{title}: {seconds:.1f} s, {jobs} Spark jobs, {commits} Delta commits")
    print(
        f"{'step':<10}{'seconds':>9}{'jobs':>7}{'commits':>9}{'rows read':>13}{'bytes read':>15}"
        f"{'rows written':>14}{'bytes written':>15}"
    )
    for step, made in steps.items():
        rows, size = reads.steps[step]
        print(
            f"{step:<10}{sum(w.seconds for w in made):>9.1f}{sum(w.spark_jobs for w in made):>7}{len(made):>9}"
            f"{rows:>13,}{size:>15,}{sum(w.rows for w in made):>14,}{sum(w.bytes for w in made):>15,}"
        )
    print("streams of a small day are taken side by side: their seconds overlap")


def _print_recompute(settings: Settings, day: date, lines: list[Written]) -> None:
    con = connect(settings.lake, manifest.latest(settings.lake))
    con.execute("set threads = 2")
    started = time.monotonic()
    merchants = len(con.execute(_RECOMPUTE, {"day": day}).fetchall())
    duck = time.monotonic() - started
    ours = sum(w.seconds for w in lines if w.step in ("state", "metrics"))
    print(
        f"\nDuckDB, activity metrics of {merchants:,} merchants recomputed from all core rows: {duck:.1f} s"
    )
    print(f"ccare, state and every metric of one warm day: {ours:.1f} s; ratio {ours / duck:.2f}")


if __name__ == "__main__":
    main()
