"""``ccare maintain`` and ``ccare migrate``: a lake's upkeep, and its way to this version of the product."""

from typing import Annotated

import typer

from ccare.commands.printing import Json, print_json, said_to, show
from ccare.runtime.settings import Settings

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(maintain)
    app.command()(migrate)


def maintain(
    keep_days: Annotated[
        int, typer.Option("--keep-days", help="Days that superseded files stay; 35 at least.")
    ] = 35,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Put small files together; remove superseded files, old commits and raw deliveries past their retention."""
    from ccare.runtime.maintain import maintain as work

    result = work(Settings.load(), said_to(as_json), dry_run=dry_run, keep_days=keep_days)
    if as_json:
        print_json(result)


def migrate(dry_run: DryRun = False, as_json: Json = False) -> None:
    """Say which version of the product a lake is of, and bring an older one up to this."""
    from ccare.runtime.migrate import migrate as work

    result = work(Settings.load(), said_to(as_json), dry_run=dry_run)
    if as_json:
        print_json(result)
        return
    print(f"lake format {result.lake_format}, last written by ccare {result.written_by}")
    show(["step", "found", "done"], [[s.name, s.found, s.done] for s in result.steps])
