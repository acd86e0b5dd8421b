"""Who is told when a task fails or a day is late: by mail where CCARE_ALERT_TO says to whom, in the log always."""

import logging
import os
from collections.abc import Mapping
from html import escape
from typing import Any, cast

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from ccare.orchestration.waiting import late_after

log = logging.getLogger(__name__)
_FAILED = """
<p>Task <b>{{ ti.task_id }}</b> of <b>{{ dag.dag_id }}</b> failed, run {{ run_id }}.</p>
<p>The last lines of its log say what happened and what to do; the DAG's page has the runbook.</p>
"""


def addresses(environ: Mapping[str, str] = os.environ) -> list[str]:
    """CCARE_ALERT_TO, separated by commas."""
    return [part.strip() for part in environ.get("CCARE_ALERT_TO", "").split(",") if part.strip()]


def on_failure() -> list[Any]:
    """Callbacks of a failed task: a mail by the SMTP provider, through Airflow's connection ``smtp_default``."""
    if not addresses():
        return []
    # The provider is only read where mail is wanted: the DAG processor parses this file again and again.
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    subject = "ccare: {{ ti.task_id }} of {{ dag.dag_id }} failed"
    return [SmtpNotifier(to=addresses(), subject=subject, html_content=_FAILED)]


def deadline(name: str) -> DeadlineAlert | None:
    """Tells that a run takes CCARE_DEADLINE_HOURS longer than the last ten took; None where that is not set.

    The first run has no deadline. ``airflow dags test`` of a DAG with one fails in Airflow 3.3.2: so nobody has one
    unasked.
    """
    if not os.environ.get("CCARE_DEADLINE_HOURS"):
        return None
    return DeadlineAlert(
        # Not DAGRUN_QUEUED_AT: in Airflow 3.3.2 clearing a task of a run with such a deadline is a server error.
        reference=DeadlineReference.AVERAGE_RUNTIME(max_runs=10, min_runs=1),
        interval=late_after(),
        callback=AsyncCallback(run_is_late, kwargs={"name": name}),
        name=f"{name} is late",
    )


async def run_is_late(name: str, context: Mapping[str, Any] | None = None) -> None:
    """Say that a run is late, and mail it where somebody wants mail. Runs in the triggerer."""
    run = dict((context or {}).get("dag_run") or {})
    which = str(run.get("partition_key") or run.get("logical_date") or run.get("run_id") or "a run")
    said = f"{name} of {which} is late: it takes {late_after()} longer than it usually does."
    log.warning("%s See `ccare status`, and the task that is not green.", said)
    if not addresses():
        return
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    body = f"<p>{escape(said)}</p><p>See <code>ccare status</code>, and the task that is not green.</p>"
    mail = SmtpNotifier(to=addresses(), subject=f"ccare: {name} of {which} is late", html_content=body)
    await mail.async_notify(cast(Any, dict(context or {})))
