"""Days close in order: a run whose predecessor is open waits for it, or closes it first."""

import os
from datetime import date, timedelta
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from ccare.errors import UsageError
from ccare.orchestration.operator import CcareOperator
from ccare.orchestration.retries import in_dags_test
from ccare.orchestration.run_day import Asked, parsed
from ccare.orchestration.waiting import LONGEST, DayIsDue, is_due, is_published

WAIT, CLOSE = "wait", "close"


def order_setting() -> str:
    """CCARE_DAY_BEFORE: ``wait`` (the default) or ``close``; UsageError for anything else."""
    value = os.environ.get("CCARE_DAY_BEFORE") or WAIT
    if value not in (WAIT, CLOSE):
        raise UsageError(f"CCARE_DAY_BEFORE is {value!r}.", remedy=f"Set it to {WAIT} or {CLOSE}.")
    return value


class DayBeforeOperator(CcareOperator):
    """Passes at once where the days before are closed. Else, by CCARE_DAY_BEFORE, it waits deferred or closes them.

    ``whole`` waits for the last day of what is asked too. Waiting holds no worker and no slot of the pool;
    ``airflow dags test`` fails instead.
    """

    def __init__(self, *, whole: bool = False, **kwargs: Any) -> None:
        super().__init__(command=["run", "--if-open"], waits_for_delivery=True, **kwargs)
        self.whole = whole
        self.waits = order_setting()

    def execute(self, context: Any) -> None:
        """Nothing, a wait, or ``ccare run`` of the day before, which closes every day between."""
        day = self._due(self._asked(context))
        lake, first = os.environ.get("CCARE_LAKE", ""), _first_day()
        if is_due(lake, day, first):
            self.log.info("every day before %s is closed", day)
            return
        if self.waits == CLOSE and is_published(lake):
            super().execute(context)
            return
        if in_dags_test(context):
            raise AirflowFailException(f"A day before {day} is open. Close it first: ccare run --day D.")
        self.log.info("%s waits: a day before it is open", day)
        trigger = DayIsDue(lake, str(day), str(first) if first else None)
        self.defer(trigger=trigger, method_name="due", timeout=LONGEST)

    def due(self, context: Any, event: dict[str, Any]) -> None:
        """The day before is closed."""
        self.log.info("every day before %s is closed", event["day"])

    def _words(self, asked: Asked) -> list[str]:
        before = self._due(asked) - timedelta(days=1)
        return super()._words(Asked(before, before, asked.allow_missing))

    def _due(self, asked: Asked) -> date:
        """The first day that need not be closed yet."""
        return asked.last + timedelta(days=1) if self.whole else asked.first


def _first_day() -> date | None:
    """CCARE_SCHEDULE_FROM: the day that an empty lake begins with, where it is set."""
    first = os.environ.get("CCARE_SCHEDULE_FROM")
    return parsed(first) if first else None
