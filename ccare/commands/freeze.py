"""``ccare freeze-benchmarks --month YYYY-MM``."""

from datetime import date
from typing import Annotated

import typer

from ccare.commands.printing import Json, print_json, said_to
from ccare.errors import UsageError
from ccare.runtime.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(name="freeze-benchmarks")(freeze_benchmarks)


def freeze_benchmarks(
    month: Annotated[str, typer.Option("--month", help="The month that they serve, YYYY-MM.")],
    as_json: Json = False,
) -> None:
    """Freeze a month's benchmarks before its first close does; a month that has some keeps them."""
    from ccare.runtime.freeze import freeze_month

    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise UsageError(f"{month!r} is no month.", remedy="Write --month YYYY-MM.") from None
    result = freeze_month(Settings.load(), first, said_to(as_json))
    if as_json:
        print_json(result)
    elif result.seq is None:
        print(f"nothing to do: {month} has its benchmarks, and frozen ones never change")
    else:
        print(f"{month}: {result.groups} peer groups frozen as of {result.frozen_on}, run {result.seq}")
