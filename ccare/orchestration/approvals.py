"""What is asked of the ledger and nobody has approved yet: fundings and corrections, each before a person's eyes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from ccare.orchestration.operator import CcareOperator
from ccare.orchestration.run_day import by_clock

ANSWER = timedelta(hours=20)
"""Then the reference is asked about again by the next day's run."""


class OpenAsksOperator(CcareOperator):
    """Returns the references that wait for an approval: names only, no amounts and no people."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(command=["ledger", "asked"], reads=by_clock, option="nothing", **kwargs)
        self.do_xcom_push = True

    def execute(self, context: Any) -> list[str]:  # type: ignore[override]
        """One reference for each ask without an approval."""
        waiting = [ask["approval"] for ask in _asks(self)]
        self.log.info("%d references wait for an approval", len(waiting))
        return waiting


class ApproveAskOperator(CcareOperator):
    """Shows one reference and waits; approved, ``ccare approve`` writes it in the name of who answered.

    The ledger refuses whoever asked for it. Rejected, nothing is written and the ask stays open.
    """

    def __init__(self, *, reference: str, **kwargs: Any) -> None:
        super().__init__(command=["approve"], reads=by_clock, option="nothing", **kwargs)
        self.reference = reference
        self.response_timeout = ANSWER

    def execute(self, context: Any) -> None:
        """Park the task with the facts on its page."""
        found = [ask for ask in _asks(self) if ask["approval"] == self.reference]
        if not found:
            self.log.info("%s is approved already", self.reference)
            return
        self.subject = f"{self.reference}: approve what {found[0]['asked_by']} asked for"
        self.body = (
            f"{found[0]['what']}\n\nThe next close books it once somebody else than who asked approves."
        )
        ApprovalOperator.execute(self, context)

    def execute_complete(
        self, context: Any, event: dict[str, Any], day: str = "", rules: Sequence[str] = ()
    ) -> None:
        """Write the approval, or nothing."""
        try:
            answer = ApprovalOperator.execute_complete(self, context, event)
        except HITLRejectException:
            self.log.info("rejected: nothing was written, and the ask stays open")
            return
        except HITLTimeoutError:
            raise AirflowSkipException("nobody answered; the next run asks again") from None
        who = (answer["responded_by_user"] or {}).get("name") or ""
        ended = self.run_ccare(["approve", self.reference, "--by", who])
        if ended.exit_code != 0:
            raise AirflowFailException(ended.sentence())


def _asks(operator: CcareOperator) -> list[dict[str, Any]]:
    """What was asked and nobody has approved."""
    ended = operator.run_ccare(["ledger", "asked"])
    if ended.exit_code != 0:
        raise AirflowFailException(ended.sentence())
    asked: list[dict[str, Any]] = ended.result.get("rows") or []
    return [ask for ask in asked if not ask["approved_by"]]
