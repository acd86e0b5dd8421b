"""Once a month: benchmarks of the month that begins, and models of what each merchant's users will do."""

from airflow.sdk import DAG

from ccare.orchestration import (
    CcareOperator,
    DayBeforeOperator,
    asset,
    by_month,
    deadline,
    monthly_schedule,
    run_params,
    runbook,
    task_defaults,
)

DOC = f"""
# monthly_models
On the first of a month, for the month before, whose first day is the partition key.

1. **month_closed** passes once the month's last day is closed. It waits without holding a slot, or closes what is
   open (CCARE_DAY_BEFORE).
2. **freeze_benchmarks** freezes the month that begins, before its first close would: `score_benchmarks`.
3. **fit_potential** fits the models as of the month's last day: `score_potentials`.

Programmes of a month are booked by the close of its last day; nothing is to be started for them. Both tasks may be
cleared at any time: frozen benchmarks never change, and models that come out the same are not published again. By hand:
conf `{{"day": "YYYY-MM-DD"}}` with any day of the month that is over.

## When a task fails
{runbook()}
"""

with DAG(
    dag_id="monthly_models",
    description="Freezes the month's benchmarks and fits potential models.",
    schedule=monthly_schedule(),
    catchup=False,
    max_active_runs=1,
    deadline=deadline("monthly_models"),
    params=run_params(),
    tags=["ccare", "monthly"],
    doc_md=DOC,
    default_args=task_defaults(),
):
    month_closed = DayBeforeOperator(
        task_id="month_closed",
        reads=by_month,
        whole=True,
        doc_md="Waits for the close of the month's last day, or closes what is open.",
    )
    freeze = CcareOperator(
        task_id="freeze_benchmarks",
        command=["freeze-benchmarks"],
        reads=by_month,
        option="month_after",
        outlets=[asset("score_benchmarks")],
        doc_md="Benchmarks of the month that begins.",
    )
    fit = CcareOperator(
        task_id="fit_potential",
        command=["fit-potential"],
        reads=by_month,
        option="as_of",
        # A lake too small for monthly benchmarks freezes a day's own: models are fitted all the same.
        trigger_rule="all_done",
        outlets=[asset("score_potentials")],
        doc_md="BG/NBD and Gamma-Gamma per merchant, as of the month's last day.",
    )
    month_closed >> freeze >> fit
