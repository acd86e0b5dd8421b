"""The Airflow face of a ``ccare`` process: an operator whose refused gates wait for a person's word."""

import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskAwaitingInput

from ccare.errors import GateRefused, UsageError
from ccare.orchestration.exits import exit_rule
from ccare.orchestration.process import Child, Ended, ccare_command, process_environment
from ccare.orchestration.report import event_extra, links
from ccare.orchestration.retries import CloseFailed, in_dags_test
from ccare.orchestration.run_day import Asked, by_day
from ccare.orchestration.waiting import answer_within

Reads = Callable[[str | None, Mapping[str, Any] | None, datetime | None], Asked]
NO_REASON = "approved in Airflow without a reason"


class CcareOperator(ApprovalOperator):
    """Runs ``ccare COMMAND… DAYS --json`` for what its run asks and turns the exit code into task states.

    ``reads`` finds out what is asked, ``option`` how a command is told: ``day``, ``range``, ``month_after`` (the one
    that follows), ``as_of`` (its last day) or ``nothing``. ``waits_for_delivery`` marks the task that takes
    deliveries: it tries again after exit code 20, and conf's ``allow_missing`` reaches it.

    Where gates refuse (exit code 10) the task waits for a person without holding a slot: approved, it releases exactly
    those rules in that person's name and runs again; refused, it fails and readers keep what they had. Nothing is
    templated, nothing goes to XCom; the events of the outlets carry each day as partition, and rows, rejected rows and
    version of their table.
    """

    template_fields: Sequence[str] = ()

    def __init__(
        self,
        *,
        command: Sequence[str],
        reads: Reads = by_day,
        option: str = "day",
        waits_for_delivery: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            subject="Gates refuse the day",
            fail_on_reject=True,
            response_timeout=answer_within(),
            do_xcom_push=False,
            **kwargs,
        )
        # The form of the page, not the run's: Airflow hands a task its DAG's params under the same name.
        self.params = ParamsDict({"reason": Param("", type="string", description="Why; it is published.")})
        self.command = list(command)
        self.reads = reads
        self.option = option
        self.waits_for_delivery = waits_for_delivery
        self._child: Child | None = None

    def execute(self, context: Any) -> None:
        """Run the process to its end.

        AirflowFailException and CloseFailed tell why it did not get there; TaskAwaitingInput parks the task.
        """
        asked = self._asked(context)
        ended = self.run_ccare([*self.command, *self._words(asked)])
        rules = ended.result.get("rules") or ()
        if ended.exit_code == GateRefused.exit_code and rules and not in_dags_test(context):
            self._ask(context, ended)
        if ended.exit_code != 0:
            raise self._failure(ended)
        self._tell_assets(context, asked, ended.result)
        for line in (*ended.summary(), *links(asked.last, ended.result, os.environ)):
            self.log.info("%s", line)

    def execute_complete(
        self, context: Any, event: dict[str, Any], day: str = "", rules: Sequence[str] = ()
    ) -> None:
        """A person has answered: release the rules that they saw and run again, or fail."""
        try:
            answer = super().execute_complete(context, event)
        except HITLRejectException:
            user = (event.get("responded_by_user") or {}).get("name")
            raise AirflowFailException(
                f"{user or 'Somebody'} refused: nothing was published, readers keep what they had. "
                "Mend the delivery and clear this task."
            ) from None
        except HITLTimeoutError:
            raise AirflowFailException(
                "Nobody answered in time: nothing was published. Clear this task to ask again."
            ) from None
        who = (answer["responded_by_user"] or {}).get("name") or "unknown"
        reason = str((answer["params_input"] or {}).get("reason") or "").strip() or NO_REASON
        for rule in rules:
            ended = self.run_ccare(["release", "--day", day, "--rule", rule, "--by", who, "--reason", reason])
            if ended.exit_code != 0:
                raise self._failure(ended)
        self.execute(context)

    def run_ccare(self, words: Sequence[str]) -> Ended:
        """Run ``ccare WORDS… --json`` to its end; AirflowFailException where it cannot start."""
        try:
            arguments = [*ccare_command(os.environ), *words, "--json"]
            environment = process_environment(os.environ)
        except UsageError as error:
            raise AirflowFailException(str(error)) from None
        self.log.info("running %s", shlex.join(arguments))
        self._child = Child(lambda line: self.log.info("%s", line))
        began = time.monotonic()
        try:
            ended = self._child.run(arguments, environment)
        except OSError as error:
            raise AirflowFailException(
                f"{arguments[0]} cannot be started ({error.strerror}). Set CCARE_COMMAND to a ccare that can."
            ) from None
        self.log.info("ccare ended after %.1f s, exit code %d", time.monotonic() - began, ended.exit_code)
        return ended

    def on_kill(self) -> None:
        """Stop the process: the task was cleared, marked or timed out."""
        if self._child is not None:
            self._child.stop()

    def _asked(self, context: Any) -> Asked:
        run = context["dag_run"]
        try:
            return self.reads(run.partition_key, run.conf, run.logical_date)
        except UsageError as error:
            raise AirflowFailException(str(error)) from None

    def _words(self, asked: Asked) -> list[str]:
        words = {
            "day": ["--day", str(asked.last)],
            "range": ["--from", str(asked.first), "--to", str(asked.last)],
            "month_after": ["--month", f"{asked.last + timedelta(days=1):%Y-%m}"],
            "as_of": ["--as-of", str(asked.last)],
            "nothing": [],
        }[self.option]
        if asked.reason:
            words += ["--reason", asked.reason]
        if self.waits_for_delivery:
            for stream in asked.allow_missing:
                words += ["--allow-missing", stream]
        return words

    def _ask(self, context: Any, ended: Ended) -> None:
        day, rules = ended.result["day"], list(ended.result["rules"])
        self.subject = f"Gates refuse {day}: {', '.join(rules)}"
        self.body = (
            f"{ended.result['error']}\n\nApproving lets exactly these rules go for {day}, in your name. "
            "Rejecting leaves what is published as it is: mend the delivery, then clear the task."
        )
        self.log.warning("%s", ended.sentence())
        try:
            super().execute(context)
        except TaskAwaitingInput as parked:
            # What is released later is what was shown, whatever blocks the day by then.
            shown = {"day": day, "rules": rules}
            raise TaskAwaitingInput(
                method_name=parked.method_name, kwargs=shown, timeout=parked.timeout
            ) from None

    def _failure(self, ended: Ended) -> AirflowException:
        rule = exit_rule(ended.exit_code, waits_for_delivery=self.waits_for_delivery)
        if rule.first_wait is None:
            return AirflowFailException(ended.sentence())
        return CloseFailed(ended.sentence(), ended.exit_code)

    def _tell_assets(self, context: Any, asked: Asked, result: Mapping[str, Any]) -> None:
        for outlet in self.outlets:
            event = context["outlet_events"][outlet]
            # Equal to the run's own partition where it has one; a run by conf gets the same events by this.
            event.add_partitions([str(day) for day in asked.days] if len(asked.days) > 1 else str(asked.last))
            event.extra.update(event_extra(outlet.name, asked.last, result))
