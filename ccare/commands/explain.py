"""``ccare explain`` and ``ccare diff``: a score told to its merchant, and what late rows did to it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from ccare.commands.printing import Json, print_json, show
from ccare.runtime.settings import Settings

_DAYS = ["%Y-%m-%d"]
Merchant = Annotated[str, typer.Argument(metavar="MERCHANT", help="The merchant_id.")]
OfDay = Annotated[datetime, typer.Option("--day", formats=_DAYS, help="As-of day of the score.")]


class Language(StrEnum):
    """Languages of a merchant's words."""

    EN = "en"
    ZH = "zh"
    BOTH = "both"


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(name="explain")(explain)
    app.command(name="diff")(diff)


def explain(
    merchant: Merchant,
    day: OfDay,
    language: Annotated[Language, typer.Option("--language", help="Of the words.")] = Language.BOTH,
    as_json: Json = False,
) -> None:
    """Derive a published score again from core rows, line by line, and say what moved it; exit 30 where it differs."""
    from ccare.scoring.explain import explain as work
    from ccare.scoring.told import as_json as told
    from ccare.scoring.told import driver_lines, words

    settings = Settings.load()
    found = work(settings, merchant, day.date())
    if as_json:
        print_json(told(found))
        return
    said = words(found)
    for line in said.head:
        say(line, language)
    show(*driver_lines(found))
    for line in (*said.change, *said.actions, said.checked):
        say(line, language)


def say(line: tuple[str, str], language: Language) -> None:
    """A line in the language asked for, or in both."""
    en, zh = line
    if language is not Language.ZH:
        print(en)
    if language is not Language.EN and zh != en:
        print(zh)


def diff(
    merchant: Merchant,
    day: OfDay,
    runs: Annotated[tuple[str, str], typer.Option("--runs", metavar="A B", help="Two runs: run_id or seq.")],
    as_json: Json = False,
) -> None:
    """What a day's score was by what two runs knew, and the late rows that moved it."""
    from ccare.scoring.diff import diff as work

    found = work(Settings.load(), merchant, day.date(), *runs)
    if as_json:
        print_json(found)
        return
    for line in found.lines():
        print(line)
