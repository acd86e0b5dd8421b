"""A range of business days closed by one process: how a backfill is quick."""

from airflow.sdk import DAG

from ccare.orchestration import (
    CcareOperator,
    DayBeforeOperator,
    assets,
    by_range,
    range_params,
    runbook,
    task_defaults,
)

DOC = f"""
# close_days
Closes every day from `from` to `to` in one process and one Spark session, then exports: a day costs its own work, not
a start of Spark each. Days that are closed stay as they are. Each table's asset gets one event a day.

Cut off, clear it: closed days are passed over and the open one goes on where it stood. `airflow backfill create` over
`merchant_daily` gives the same lake, one run a day.

## When a task fails
{runbook()}
"""

with DAG(
    dag_id="close_days",
    description="Closes a range of business days in order, in one Spark session.",
    schedule=None,
    max_active_runs=1,
    params=range_params(),
    tags=["ccare", "by hand"],
    doc_md=DOC,
    default_args=task_defaults(),
):
    day_before = DayBeforeOperator(
        task_id="day_before", reads=by_range, doc_md="Waits for the day before the range, or closes it."
    )
    close = CcareOperator(
        task_id="close",
        command=["run", "--if-open"],
        reads=by_range,
        option="range",
        waits_for_delivery=True,
        outlets=assets("raw", "core", "state", "metric", "score", "ledger", "run"),
        doc_md="Ingest to export of every day of the range.",
    )
    day_before >> close
