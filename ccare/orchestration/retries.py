"""Airflow's retries by the exit codes of ``ccare``."""

from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowException

from ccare.orchestration.exits import FAILED, RETRIES, exit_rule


class CloseFailed(AirflowException):
    """A ``ccare`` process ended with an exit code that is worth another try later."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class RetryByExitCode(RetryPolicy):
    """Airflow's retries by the exit rules; ``airflow dags test`` never waits."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Any = None
    ) -> RetryDecision:
        """Try again or stop; any exception but CloseFailed counts as exit code 1."""
        if in_dags_test(context):
            return RetryDecision.fail("airflow dags test does not wait for another try")
        code = exception.exit_code if isinstance(exception, CloseFailed) else FAILED
        # Clearing a task raises max_tries by the tries used so far: failures count from the last clearing.
        failures = try_number - (max_tries - RETRIES)
        wait = exit_rule(code).wait(max(failures, 1))
        if wait is None:
            return RetryDecision.fail(f"exit code {code}: tried {failures} times")
        return RetryDecision.retry(wait, f"exit code {code}: waiting {wait}")


def in_dags_test(context: Any) -> bool:
    """Whether the task runs in ``airflow dags test``, where nobody answers and nothing is waited for."""
    return bool(context) and getattr(context["dag_run"], "triggering_user_name", None) == "dag_test"
