"""``ccare restate``: closed days told again, and which of them are worth it."""

from datetime import datetime
from typing import Annotated

import typer

from ccare.commands.printing import Json, print_json, said_to, show
from ccare.errors import UsageError
from ccare.runtime.settings import Settings

_DAYS = ["%Y-%m-%d"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(restate)


def restate(
    from_day: Annotated[
        datetime | None, typer.Option("--from", formats=_DAYS, help="First closed day.")
    ] = None,
    to_day: Annotated[datetime | None, typer.Option("--to", formats=_DAYS, help="Last closed day.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; published in run_restatements.")] = "",
    propose: Annotated[
        bool, typer.Option("--propose", help="Only list closed days worth it: late rows, another policy.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Publish metrics and scores of closed days anew, as new revisions; nothing is posted."""
    from ccare.runtime import restate as work

    settings = Settings.load()
    if propose:
        found = work.proposals(settings)
        if as_json:
            print_json(found)
        else:
            show(["day", "late rows", "changed"], [[p.day, p.late_rows, p.changed] for p in found])
        return
    if from_day is None or to_day is None:
        raise UsageError("A range of days is missing.", remedy="Add --from YYYY-MM-DD --to YYYY-MM-DD.")
    result = work.restate(settings, from_day.date(), to_day.date(), reason, said_to(as_json))
    if as_json:
        print_json(result)
