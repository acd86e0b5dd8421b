"""One run a business day: take its deliveries, close it, write what merchants and analysts read."""

from airflow.sdk import DAG

from ccare.orchestration import (
    CcareOperator,
    assets,
    daily_schedule,
    first_run,
    run_params,
    runbook,
    task_defaults,
)

DOC = f"""
# merchant_daily
Closes one business day. The run at CCARE_SCHEDULE_AT (06:00 in the business time zone) closes the day before;
its partition key is that day.

1. **ingest** takes every delivery dated up to the day after, line by line. It waits while a required stream
   has not come.
2. **close** folds state, computes metrics and scores, closes the ledger's day and publishes. Readers see the
   day from here on, all tables at once.
3. **export** writes scores and the DuckDB catalogue from what is published. It starts no JVM.

Any task may be cleared and run again: a closed day posts nothing twice, a run cut off goes on where it stood.
To run a day by hand, trigger the DAG with conf `{{"day": "YYYY-MM-DD"}}`.
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
    max_active_runs=1,
    params=run_params(),
    tags=["ccare", "daily"],
    doc_md=DOC,
    default_args=task_defaults(),
):
    ingest = CcareOperator(
        task_id="ingest",
        command=["ingest"],
        waits_for_delivery=True,
        outlets=assets("raw", "core"),
        doc_md="Takes the day's deliveries into the core tables.",
    )
    close = CcareOperator(
        task_id="close",
        command=["run", "--from-step", "state", "--to-step", "publish"],
        outlets=assets("state", "metric", "score", "ledger", "run"),
        doc_md="State, metrics, scores and ledger in one Spark session, then the manifest row.",
    )
    export = CcareOperator(
        task_id="export",
        command=["export"],
        doc_md="Scores for all merchants and the catalogue, from the published versions.",
    )
    ingest >> close >> export
