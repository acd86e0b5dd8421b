"""Running ``ccare`` on a scheduler: an asset a table, a process a task, and what each exit code asks for.

Airflow's environment needs Airflow and this package only, neither Spark nor Java: a task starts the ``ccare``
process with an argument list (CCARE_COMMAND names another interpreter) and nothing is templated into a shell.
"""

from ccare.orchestration.exits import EXIT_RULES, RETRIES, ExitRule, exit_rule, runbook
from ccare.orchestration.operator import CcareOperator, CloseFailed, RetryByExitCode
from ccare.orchestration.process import Child, Ended, ccare_command, process_environment
from ccare.orchestration.run_day import REQUIRED_STREAMS, allowed_missing, business_day
from ccare.orchestration.schedule import (
    OWNER,
    asset,
    assets,
    daily_schedule,
    first_run,
    run_params,
    task_defaults,
)

__all__ = [
    "EXIT_RULES",
    "OWNER",
    "REQUIRED_STREAMS",
    "RETRIES",
    "CcareOperator",
    "Child",
    "CloseFailed",
    "Ended",
    "ExitRule",
    "RetryByExitCode",
    "allowed_missing",
    "asset",
    "assets",
    "business_day",
    "ccare_command",
    "daily_schedule",
    "exit_rule",
    "first_run",
    "process_environment",
    "run_params",
    "runbook",
    "task_defaults",
]
