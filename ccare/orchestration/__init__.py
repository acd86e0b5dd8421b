"""Running ``ccare`` on a scheduler: an asset a table, a process a task, and what each exit code asks for.

Airflow's environment needs Airflow and this package only, neither Spark nor Java: a task starts the ``ccare``
process with an argument list (CCARE_COMMAND names another interpreter) and nothing is templated into a shell.
"""

from ccare.orchestration.alerts import deadline
from ccare.orchestration.approvals import ApproveAskOperator, OpenAsksOperator
from ccare.orchestration.day_before import DayBeforeOperator
from ccare.orchestration.exits import EXIT_RULES, RETRIES, ExitRule, exit_rule, runbook
from ccare.orchestration.operator import CcareOperator
from ccare.orchestration.process import Child, Ended, ccare_command, process_environment
from ccare.orchestration.retries import CloseFailed, RetryByExitCode
from ccare.orchestration.run_day import (
    REQUIRED_STREAMS,
    allowed_missing,
    business_day,
    by_clock,
    by_day,
    by_month,
    by_range,
)
from ccare.orchestration.schedule import (
    OWNER,
    asset,
    assets,
    clock_schedule,
    daily_schedule,
    first_run,
    monthly_schedule,
    range_params,
    run_params,
    task_defaults,
)

__all__ = [
    "EXIT_RULES",
    "OWNER",
    "REQUIRED_STREAMS",
    "RETRIES",
    "ApproveAskOperator",
    "CcareOperator",
    "Child",
    "CloseFailed",
    "DayBeforeOperator",
    "Ended",
    "ExitRule",
    "OpenAsksOperator",
    "RetryByExitCode",
    "allowed_missing",
    "asset",
    "assets",
    "business_day",
    "by_clock",
    "by_day",
    "by_month",
    "by_range",
    "ccare_command",
    "clock_schedule",
    "daily_schedule",
    "deadline",
    "exit_rule",
    "first_run",
    "monthly_schedule",
    "process_environment",
    "range_params",
    "run_params",
    "runbook",
    "task_defaults",
]
