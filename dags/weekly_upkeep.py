"""Once a week: everything verified from genesis, then small files put together and what is past its time removed."""

from airflow.sdk import DAG

from ccare.orchestration import CcareOperator, by_clock, clock_schedule, runbook, task_defaults

DOC = f"""
# weekly_upkeep
Sundays at 13:00 in the business time zone.

1. **verify_everything** checks every table, the manifest and the ledger's laws from genesis. Where one is broken
   nothing is removed.
2. **maintain_tables** puts small files together and removes superseded files after 35 days, commits after 400, and raw
   deliveries that may name a person after CCARE_LANDING_DAYS (`ccare maintain`).

Both wait for the lake while a day is being closed, and stop (exit code 2) while one is half done: finish it first.

## When a task fails
{runbook()}
"""

with DAG(
    dag_id="weekly_upkeep",
    description="Verifies the whole lake, then maintains its files.",
    schedule=clock_schedule("0 13 * * 0"),
    catchup=False,
    max_active_runs=1,
    tags=["ccare", "weekly"],
    doc_md=DOC,
    default_args=task_defaults(),
):
    verify = CcareOperator(
        task_id="verify_everything",
        command=["verify"],
        reads=by_clock,
        option="nothing",
        doc_md="Every table, the manifest and the ledger's laws.",
    )
    maintain = CcareOperator(
        task_id="maintain_tables",
        command=["maintain"],
        reads=by_clock,
        option="nothing",
        doc_md="Small files together; what is past its retention goes.",
    )
    verify >> maintain
