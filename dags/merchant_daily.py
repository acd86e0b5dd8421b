"""One run a business day: take its deliveries, close it, write what merchants and analysts read."""

from airflow.sdk import DAG

from ccare.orchestration import (
    CcareOperator,
    DayBeforeOperator,
    assets,
    daily_schedule,
    deadline,
    first_run,
    run_params,
    runbook,
    task_defaults,
)

DOC = f"""
# merchant_daily
Closes one business day. The run at CCARE_SCHEDULE_AT (06:00 in the business time zone) closes the day before;
its partition key is that day.

1. **day_before** passes where the days before are closed. Else it waits, holding no slot, or closes them first
   (CCARE_DAY_BEFORE).
2. **ingest** takes every delivery dated up to the day after, line by line. It waits while a required stream
   has not come.
3. **close** folds state, computes metrics and scores, closes the ledger's day and publishes. Readers see the
   day from here on, all tables at once.
4. **export** writes scores and the DuckDB catalogue from what is published. It starts no JVM.
5. **data_docs** writes what the gates found as pages.

Where gates refuse the day, the task waits under Required Actions: approving lets exactly those rules go for that day,
in your name. Any task may be cleared and run again: a closed day stays as it is, a run cut off goes on where it stood.
To run a day by hand, trigger the DAG with conf `{{"day": "YYYY-MM-DD"}}`; many days are quicker by `close_days`.
Schedule consumers on the asset `run_manifest`: it tells that the day is published. The events of the other
tables tell only that they were written.

## When a task fails
{runbook()}

More: docs/how-to/schedule.md.
"""

with DAG(
    dag_id="merchant_daily",
    description="Deliveries of a business day to merchant scores, points, exports and a catalogue.",
    schedule=daily_schedule(),
    start_date=first_run(),
    catchup=first_run() is not None,
    # A day that waits must not keep the day before it from running; day_before puts them in order.
    max_active_runs=8,
    deadline=deadline("merchant_daily"),
    params=run_params(),
    tags=["ccare", "daily"],
    doc_md=DOC,
    default_args=task_defaults(),
):
    day_before = DayBeforeOperator(
        task_id="day_before", doc_md="Days close in order: waits for the day before, or closes it."
    )
    ingest = CcareOperator(
        task_id="ingest",
        command=["ingest", "--if-open"],
        waits_for_delivery=True,
        outlets=assets("raw", "core"),
        doc_md="Takes the day's deliveries into the core tables.",
    )
    close = CcareOperator(
        task_id="close",
        command=["run", "--if-open", "--from-step", "state", "--to-step", "publish"],
        outlets=assets("state", "metric", "score", "ledger", "run"),
        doc_md="State, metrics, scores and ledger in one Spark session, then the manifest row.",
    )
    export = CcareOperator(
        task_id="export",
        command=["export"],
        doc_md="Scores for all merchants and the catalogue, from the published versions.",
    )
    data_docs = CcareOperator(
        task_id="data_docs", command=["data-docs"], doc_md="What the gates found, as pages."
    )
    day_before >> ingest >> close >> export >> data_docs
