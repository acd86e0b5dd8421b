"""The steps of a close, in order. Each reads what is pinned and leaves its versions in the run record."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import duckdb
from pyspark.sql import DataFrame

from ccare import __version__
from ccare.abuse.spans import days_to_judge
from ccare.errors import IntegrityBroken
from ccare.growth.snapshot import view_sql
from ccare.metrics.retention import weeks_told
from ccare.metrics.windows import MONTH
from ccare.reconcile.blocked import unreconciled
from ccare.runtime import deltalog, manifest
from ccare.runtime.audit import audit_posted, audit_staged
from ccare.runtime.controls import MISSING_ALLOWED, control_totals
from ccare.runtime.failpoint import reach
from ccare.runtime.handover import found_at_rest
from ccare.runtime.lease import clear_record, require_epoch
from ccare.runtime.manifest import Published
from ccare.runtime.releases import store_releases
from ccare.runtime.restatements import store_restatement
from ccare.runtime.run import Run
from ccare.runtime.spark import INTERPRETED_ROWS, frame, interpreted, spread
from ccare.runtime.staging import (
    discard,
    stage,
    staged,
    staged_days,
    staged_files,
    staged_frame,
    staged_pattern,
    staged_rows,
)
from ccare.runtime.told_programmes import programme_lines
from ccare.scoring.months import month_in_use, month_of
from ccare.tables import table
from ccare.tables.metric import STAGES
from ccare.tables.state import FUNNEL_SLOTS, FUNNEL_STEPS

STEPS = ("ingest", "state", "metrics", "score", "post", "publish", "export")
REPUBLISHED = ("metrics", "score", "publish", "export")
"""Steps that a day already closed goes through: its score is told again, nothing is taken or posted."""
LEDGER_CACHES = ("ledger_positions", "ledger_lots", "ledger_balances")
LARGE_BOOKS = 500_000
"""From so many positions on a close lays out only what it looks at, and gives the rows that change."""
_COUNTED = ("ledger_touched_keys", "ledger_user_counts", "ledger_trade_counts")
LEDGER_DAYS = (
    "ledger_requests",
    "ledger_allocations",
    "ledger_adjustments",
    "ledger_refusals",
    "ledger_promotions",
)


def state(run: Run) -> None:
    """Fold the day's new rows into user days, merchant days, users and refunds."""
    run.make("state", "state_changes")
    refunds = run.touch()
    if not run.close.touched:
        _merchant_days(run)
        if run.version("state_users") is not None:
            # Nothing came in, yet relations of LAG_DAYS ago are a day further on.
            _users(run)
        return
    run.close = replace(run.close, refunds_wait=_refunds_wait(run))
    # They read the same changes, or payments, and nothing of each other; the longest first.
    works = [partial(_users, run), partial(_days, run)]
    if refunds or run.close.refunds_wait:
        works.append(partial(_refund_days, run))
    if run.close.day == run.close.first_day:
        # All that a first close changes is all there is: merchant days need not wait for it to be written.
        run.told["state_user_days"] = run.told["state_changes"]
        works.append(partial(_merchant_days, run))
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(work) for work in works]
    for each in done:
        each.result()


def _days(run: Run) -> None:
    touched = run.close.touched
    run.make("state", "state_user_days", touched)
    if run.close.day != run.close.first_day:
        _merchant_days(run)


def _merchant_days(run: Run) -> None:
    if days := (*run.close.touched, *run.close.staff_days):
        run.make("state", "state_merchant_days", days)


def _users(run: Run) -> None:
    run.make("state", "state_users")


def _refund_days(run: Run) -> None:
    run.make("state", "state_refund_days")


def _refunds_wait(run: Run) -> bool:
    """Whether a refund that came before its trade still waits, so that a new trade may complete it."""
    lake, versions = run.settings.lake, run.as_published
    if "core_payments" not in versions:
        return False
    with duckdb.connect() as con:
        payments, kept = (
            con.sql(view_sql(lake, table(name), versions.get(name)))
            for name in ("core_payments", "state_refund_days")
        )
        told = payments.filter("event_type = 'refunded'").count("*").fetchone()
        met = kept.sum("refunds").fetchone()
    return bool(told and met and told[0] > (met[0] or 0))


def metrics(run: Run) -> None:
    """Every metric of every merchant as of the day, and the tables beside them."""
    day, merchants = [run.close.day], run.merchants()
    for name in ("metric_user_facts", "metric_merchant_facts"):
        run.read(name)  # once, before two threads want it
    at_most: dict[str, int | None] = {
        "metric_merchants": merchants,
        "metric_activity_days": merchants * MONTH,
        "metric_stages": merchants * len(STAGES),
        "metric_funnels": merchants * len(FUNNEL_SLOTS) * len(FUNNEL_STEPS),
    }
    if weeks_told(run.close.day, run.close.first_day):
        at_most["metric_retention"] = None
    works: list[Callable[[], object]] = [
        partial(run.make, "metrics", name, day, rows) for name, rows in at_most.items()
    ]
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(work) for work in (*works, *_ahead(run))]
    for each in done:
        each.result()


def _ahead(run: Run) -> list[Callable[[], object]]:
    """What later steps need and no metric has a part in: one core is idle for half of their time, and here of none."""
    works: list[Callable[[], object]] = []
    if _is_ahead(run, "score"):
        works.append(partial(_evidence, run))
    if _is_ahead(run, "post") and run.close.may_earn:
        works.append(partial(run.read, "ledger_user_counts"))
    return works


def _is_ahead(run: Run, step: str) -> bool:
    """Whether a step's work was done beside the metrics: of a day so small that what came in is kept from its state."""
    return {"state", "metrics", step} <= {*run.due} and run.close.has_few_changes


def score(run: Run) -> None:
    """Benchmarks where the month has none yet, then drivers and scores; nobody's whose bills do not reconcile."""
    month, day = month_of(run.close.day), [run.close.day]
    if month not in _months(run):
        run.make("score", "score_benchmarks", [month])
    in_use = month_in_use(run.close.day, _months(run))
    run.close = replace(run.close, benchmarks_of=in_use)
    if in_use != month:
        run.said(
            f"  warning: {month} has no benchmarks, so scores compare with those of {in_use}, the last frozen"
        )
    _know_touched(run)
    with ThreadPoolExecutor(1) as beside:
        found = None if _is_ahead(run, "score") else beside.submit(_evidence, run)
        run.make("score", "score_drivers", day)
        run.close = replace(run.close, unreconciled=unreconciled(run))
        run.make("score", "score_merchants", day)
        if found is not None:
            found.result()


def _evidence(run: Run) -> None:
    """What speaks against merchants, on every effective date that this close judges; it reads no score."""
    if days := days_to_judge(run.close):
        rules = len(run.close.abuse.judging(days[0], days[-1]))
        at_most = run.merchants() * rules * len(days)
        # Rows of a date never go away, so without any there is nothing to replace.
        run.make("score", "score_evidence", days, at_most, unless_empty=True)


def _know_touched(run: Run) -> None:
    """The dates that came in, where another process made the state."""
    if run.close.posts and not run.close.touched and not {"state_changes"} & {*run.told, *run.shared}:
        run.touch()


def _months(run: Run) -> set[str]:
    version = run.version("score_benchmarks")
    if version is None:
        return set()
    opened = deltalog.open_table(run.settings.lake, "score_benchmarks", version)
    return {p["month"] for p in opened.partitions()}


def post(run: Run) -> None:
    """Close the ledger's day: compute once into staging, then insert and refresh the caches from there."""
    lake, run_id = run.settings.lake, run.record.run_id
    # By what is pinned, so that a retry takes the staging for what it is.
    large = run.rows_before("ledger_positions") > LARGE_BOOKS
    names = ("ledger_transfers", *LEDGER_CACHES, *LEDGER_DAYS)
    run.close = replace(run.close, at_rest=partial(found_at_rest, run) if large else None)
    if not run.record.staged:
        _know_touched(run)
        if not run.close.may_earn:
            # The day's rows need not be looked through for it.
            run.shared |= {name: frame(run.spark, table(name)) for name in _COUNTED}
        reach("staging.building")
        books = run.bound("ledger_positions")
        few = books <= INTERPRETED_ROWS
        with interpreted(run.spark, few), spread(run.spark, _laid_out(run, books)):
            run.make_staged("ledger_transfers", lambda frames: stage(run, frames), few=few)
        reach("staging.written")
        # Only what holds is kept for a retry: a staging that does not is built anew.
        run.record.postings = _judged(run, names) if large else audit_staged(run)
        run.record.staged = True
        run.save()
        reach("staging.recorded")
    elif staged_files(run, "ledger_balances"):
        audit_staged(run)
    if large:
        # A commit of large books waits for one thread that hands rows over.
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(partial(_commit, run), names))
    else:
        for name in names:
            _commit(run, name)
    for line in programme_lines(run):
        run.said(line)
    discard(lake, run_id)
    reach("staging.discarded")


def _judged(run: Run, names: Sequence[str]) -> dict[str, int]:
    """Gates and audit of large books' staging at a time: Spark's plans leave a core to DuckDB."""
    with ThreadPoolExecutor(1) as beside:
        audited = beside.submit(audit_staged, run)
        run.gate_staged(names)
        return audited.result()


def _commit(run: Run, name: str) -> None:
    """Bring one table of the ledger to what is staged for it."""
    declared = table(name)
    if run.close.large_books and name in LEDGER_CACHES:
        if count := staged_rows(run, name):
            reach(f"{name}.committing")
            changed, at_most = staged_frame(run, declared), count + run.rows_before(name)
            run.merge("post", declared, changed, run.meter(name), at_most, staged_pattern(run, name))
        return
    rows = staged(run, declared)
    if rows is None:
        return
    reach(f"{name}.committing")
    days = staged_days(run, declared)
    if isinstance(rows, DataFrame):
        run.store("post", declared, rows, days, at_most=staged_rows(run, name))
    else:
        run.keep("post", declared, rows, days)


def _laid_out(run: Run, books: int) -> int:
    """About so many rows of the books are shuffled: of large ones those looked at, of which each change has a few."""
    return max(5 * run.close.changes, books // 8) if run.close.large_books else books


def publish(run: Run, also: Mapping[str, int] | None = None) -> Published:
    """Append the manifest row: from here on readers see the day. ``also``: totals told beside the control sums."""
    record, lake = run.record, run.settings.lake
    store_releases(lake, record)
    store_restatement(lake, record)
    run.save()
    reach("manifest.checking")
    versions = {**run.as_published, **record.versions}
    _check_runs(run, versions)
    audit_posted(run, versions)
    last = require_epoch(lake, record)
    let_go = {f"{stream}{MISSING_ALLOWED}": 1 for stream in record.missing_allowed}
    row = manifest.append(
        lake,
        last,
        run_id=record.run_id,
        business_date=record.day,
        revision=record.revision,
        kind=record.kind,
        table_versions=versions,
        control_totals={**control_totals(lake, versions), **let_go, **(also or {})},
        inputs_digest=record.inputs_digest,
        code_version=__version__,
        policy_version=f"{run.close.scoring.version}/{run.close.ledger.version}",
        published_at=record.posted_at,
    )
    clear_record(lake)
    reach("record.cleared")
    posted = sum(w.rows for w in run.written if w.table == "ledger_transfers")
    run.said(
        f"publish  run {row.seq} of {row.business_date} ({row.kind}, revision {row.revision}): "
        f"{len(versions)} tables, {posted} transfers posted"
    )
    return row


def _check_runs(run: Run, versions: dict[str, int]) -> None:
    """Every table of the manifest must still be at the version that this run is about to publish."""
    for name, version in versions.items():
        newest = deltalog.latest_version(run.settings.lake, name)
        if newest != version:
            raise IntegrityBroken(
                f"Table {name} stands at version {newest} and this run wrote {version}: somebody else wrote to it.",
                remedy="Find the other writer, then run the day again.",
            )


STEP: dict[str, Callable[[Run], object]] = {
    "state": state,
    "metrics": metrics,
    "score": score,
    "post": post,
    "publish": publish,
}
"""Every step but ingest, which is given what was read of the deliveries (ccare.runtime.ingest)."""
