"""ccare repair: what of the published lake is lost, and what can be derived again."""

from typing import Annotated

import typer

from ccare.commands.printing import Json, print_json, said_to
from ccare.errors import IntegrityBroken
from ccare.runtime.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(repair)


def repair(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is lost.")] = False,
    as_json: Json = False,
) -> None:
    """Name what is lost of the published lake; derive the ledger's caches and state again from what is whole."""
    from ccare.runtime.repair import repair as work

    settings = Settings.load()
    result = work(settings, dry_run=dry_run)
    if result.emptied:
        from ccare.runtime.rebuild import rebuild

        found = rebuild(settings, None, f"lost: {', '.join(result.emptied)}", said_to(as_json))
        result.seq = found.seq or result.seq
        result.rows |= {name: found.differences[name].rows for name in result.emptied}
    if as_json:
        print_json(result)
    else:
        for loss in result.losses:
            made = result.rows.get(loss.table)
            print(f"{loss.table}: {loss.what}")
            print(f"  {f'made again, {made} rows' if made is not None else loss.remedy}")
        for note in result.notes:
            print(note)
        if not result.losses:
            print("every published table is whole")
        if result.seq is not None:
            print(f"published as run {result.seq}")
    if result.left and not as_json:
        raise IntegrityBroken(
            f"{len(result.left)} table(s) are lost still: {', '.join(loss.table for loss in result.left)}.",
            remedy="docs/how-to/recover.md goes through each case.",
        )
    if result.left:
        raise typer.Exit(IntegrityBroken.exit_code)
