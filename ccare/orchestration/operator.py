"""The Airflow face of a ``ccare`` process: an operator, and retries by exit code."""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from airflow.sdk import BaseOperator, RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from ccare.errors import UsageError
from ccare.orchestration.exits import FAILED, RETRIES, exit_rule
from ccare.orchestration.process import Child, Ended, ccare_command, process_environment
from ccare.orchestration.run_day import allowed_missing, business_day


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
        if context and getattr(context["dag_run"], "triggering_user_name", None) == "dag_test":
            return RetryDecision.fail("airflow dags test does not wait for another try")
        code = exception.exit_code if isinstance(exception, CloseFailed) else FAILED
        # Clearing a task raises max_tries by the tries used so far: failures count from the last clearing.
        failures = try_number - (max_tries - RETRIES)
        wait = exit_rule(code).wait(max(failures, 1))
        if wait is None:
            return RetryDecision.fail(f"exit code {code}: tried {failures} times")
        return RetryDecision.retry(wait, f"exit code {code}: waiting {wait}")


class CcareOperator(BaseOperator):
    """Runs ``ccare COMMAND… --day DAY --json`` for the run's day and turns its exit code into task states.

    ``waits_for_delivery`` marks the task that takes deliveries: it tries again after exit code 20, and conf's
    ``allow_missing`` reaches it. Nothing is templated, nothing goes to XCom; the events of the outlets carry
    the day as partition, and rows and version of their table.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, *, command: Sequence[str], waits_for_delivery: bool = False, **kwargs: Any) -> None:
        super().__init__(do_xcom_push=False, **kwargs)
        self.command = list(command)
        self.waits_for_delivery = waits_for_delivery
        self._child: Child | None = None

    def execute(self, context: Any) -> None:
        """Run the process to its end; AirflowFailException and CloseFailed tell why it did not get there."""
        run = context["dag_run"]
        try:
            day = business_day(run.partition_key, run.conf, run.logical_date)
            arguments = self._arguments(day, run.conf)
            environment = process_environment(os.environ)
        except UsageError as error:
            raise AirflowFailException(str(error)) from None
        self.log.info("running %s", shlex.join(arguments))
        self._child = Child(lambda line: self.log.info("%s", line))
        try:
            ended = self._child.run(arguments, environment)
        except OSError as error:
            raise AirflowFailException(
                f"{arguments[0]} cannot be started ({error.strerror}). Set CCARE_COMMAND to a ccare that can."
            ) from None
        if ended.exit_code != 0:
            raise self._failure(ended)
        self._tell_assets(context, day, ended.result.get("written") or ())
        for line in ended.summary():
            self.log.info("%s", line)

    def on_kill(self) -> None:
        """Stop the process: the task was cleared, marked or timed out."""
        if self._child is not None:
            self._child.stop()

    def _arguments(self, day: date, conf: Mapping[str, Any] | None) -> list[str]:
        arguments = [*ccare_command(os.environ), *self.command, "--day", day.isoformat()]
        streams = allowed_missing(conf)
        if self.waits_for_delivery:
            for stream in streams:
                arguments += ["--allow-missing", stream]
        return [*arguments, "--json"]

    def _failure(self, ended: Ended) -> AirflowException:
        rule = exit_rule(ended.exit_code, waits_for_delivery=self.waits_for_delivery)
        if rule.first_wait is None:
            return AirflowFailException(ended.sentence())
        return CloseFailed(ended.sentence(), ended.exit_code)

    def _tell_assets(self, context: Any, day: date, written: Iterable[Mapping[str, Any]]) -> None:
        rows: dict[str, int] = {}
        versions: dict[str, int] = {}
        for line in written:
            rows[line["table"]] = rows.get(line["table"], 0) + line["rows"]
            versions[line["table"]] = line["version"]
        for outlet in self.outlets:
            event = context["outlet_events"][outlet]
            # Equal to the run's own partition where it has one; a run by conf gets the same events by this.
            event.add_partitions(day.isoformat())
            event.extra.update({"day": day.isoformat(), "rows": rows.get(outlet.name, 0)})
            if outlet.name in versions:
                event.extra["version"] = versions[outlet.name]
