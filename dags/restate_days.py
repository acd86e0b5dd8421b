"""Closed days told again: metrics and scores as new revisions, nothing posted."""

from airflow.sdk import DAG

from ccare.orchestration import (
    CcareOperator,
    assets,
    by_clock,
    by_range,
    range_params,
    runbook,
    task_defaults,
)

DOC = f"""
# restate_days
Publishes metrics and scores of closed days anew, each as the next revision, with a reason that is published too
(`run_restatements`). Nothing is posted: the ledger books differences in the next close.

1. **propose** lists in its log the closed days worth it: those whose policy or ccare has changed since, and those that
   late rows belong to. A day is told from the state its own close left, so late rows count from the close that took
   them; telling the day again does not move them.
2. **restate** tells the range again. Days past the retention of superseded files (35 days) cannot be.
3. **export** writes the exports anew.

## When a task fails
{runbook()}
"""

with DAG(
    dag_id="restate_days",
    description="Publishes metrics and scores of closed days anew; posts nothing.",
    schedule=None,
    max_active_runs=1,
    params=range_params(reason=True),
    tags=["ccare", "by hand"],
    doc_md=DOC,
    default_args=task_defaults(),
):
    propose = CcareOperator(
        task_id="propose",
        command=["restate", "--propose"],
        reads=by_clock,
        option="nothing",
        doc_md="Lists closed days worth telling again; changes nothing.",
    )
    restate = CcareOperator(
        task_id="restate",
        command=["restate"],
        reads=by_range,
        option="range",
        outlets=assets("metric", "score", "run"),
        doc_md="Metrics and scores of the range, each day a new revision.",
    )
    export = CcareOperator(
        task_id="export", command=["export"], reads=by_range, doc_md="Exports and catalogue, written anew."
    )
    propose >> restate >> export
