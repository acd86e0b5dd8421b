"""Fundings and corrections that wait for a second person, each put before one."""

from airflow.sdk import DAG

from ccare.orchestration import (
    ApproveAskOperator,
    OpenAsksOperator,
    clock_schedule,
    runbook,
    task_defaults,
)

DOC = f"""
# ledger_approvals
Every day at 09:00 in the business time zone, and whenever it is triggered.

1. **open_asks** finds references of `ccare ledger fund` and `ccare ledger adjust` that nobody has approved.
2. **approve** shows each one under Required Actions with what it would book. Approving writes the approval in your
   name, and the next close books it. The ledger refuses whoever asked. Rejecting, or no answer within 20 hours, writes
   nothing: the next run asks again.

Every funding and every correction needs this second person, whatever its size.

## When a task fails
{runbook()}
"""

with DAG(
    dag_id="ledger_approvals",
    description="Puts fundings and corrections before a second person.",
    schedule=clock_schedule("0 9 * * *"),
    catchup=False,
    max_active_runs=1,
    tags=["ccare", "daily"],
    doc_md=DOC,
    default_args=task_defaults(),
):
    open_asks = OpenAsksOperator(task_id="open_asks", doc_md="References without an approval.")
    ApproveAskOperator.partial(
        task_id="approve", doc_md="One reference before a person's eyes; approved, the next close books it."
    ).expand(reference=open_asks.output)
