"""``ccare state``: the step of a day, and with --rebuild all of state again from core rows."""

from datetime import date, datetime
from typing import Annotated

import typer

from ccare.commands.printing import Json, print_json, said_to
from ccare.errors import UsageError
from ccare.runtime.settings import Settings

_DAYS = ["%Y-%m-%d"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="state", help="Fold the day's new rows into state; --rebuild derives state again.")(
        state
    )


def state(
    day: Annotated[datetime | None, typer.Option("--day", formats=_DAYS, help="Business day.")] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Derive state again from core tables.")] = False,
    from_day: Annotated[
        datetime | None,
        typer.Option("--from", formats=_DAYS, help="With --rebuild: days before this one stay as they are."),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="With --rebuild: why, for the record.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The step of ``day``, or a rebuild: one of the two is meant."""
    if not rebuild:
        if from_day is not None or reason is not None:
            raise UsageError("--from and --reason belong to --rebuild.", remedy="Add --rebuild.")
        if day is None:
            raise UsageError("No day was given.", remedy="Add --day YYYY-MM-DD.")
        _step(day.date(), as_json)
        return
    if day is not None:
        raise UsageError(
            "--day and --rebuild exclude each other.", remedy="Say since when with --from, or leave it out."
        )
    from ccare.runtime.rebuild import DEFAULT_REASON
    from ccare.runtime.rebuild import rebuild as work

    told = (reason or "").strip() or DEFAULT_REASON
    said = said_to(as_json)
    result = work(Settings.load(), from_day.date() if from_day else None, told, said)
    if as_json:
        print_json(result)
    else:
        for line in result.lines():
            print(line)


def _step(day: date, as_json: bool) -> None:
    from ccare.runtime.close_days import close_days

    result = close_days(Settings.load(), day, day, said=said_to(as_json), from_step="state", to_step="state")
    if as_json:
        print_json(result)
