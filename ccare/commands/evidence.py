"""``ccare evidence``: what speaks against a merchant's points, and how to object."""

from datetime import datetime
from typing import Annotated

import typer

from ccare.commands.explain import Language, Merchant, say
from ccare.commands.printing import Json, latest, print_json
from ccare.runtime.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(name="evidence")(evidence)


def evidence(
    merchant: Merchant,
    day: Annotated[
        datetime | None,
        typer.Option("--day", formats=["%Y-%m-%d"], help="Effective date; the last 31 days without it."),
    ] = None,
    language: Annotated[Language, typer.Option("--language", help="Of the words.")] = Language.BOTH,
    as_json: Json = False,
) -> None:
    """The abuse rules that speak against a merchant, with counts and amounts, what is withheld, and how to object."""
    from ccare.abuse.told import evidence_told

    settings = Settings.load()
    found = evidence_told(settings, latest(settings), merchant, day.date() if day else None)
    if as_json:
        print_json(found)
        return
    for line in found.lines():
        say(line, language)
