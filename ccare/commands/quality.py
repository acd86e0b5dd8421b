"""ccare release, ccare data-docs: letting a blocked day go on, and looking at what its gates found."""

import json
from datetime import datetime
from typing import Annotated

import typer

from ccare.runtime.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(release)
    app.command(name="data-docs")(data_docs)


def release(
    day: Annotated[datetime, typer.Option("--day", formats=["%Y-%m-%d"], help="The blocked day.")],
    rule: Annotated[str, typer.Option("--rule", help="The rule that blocks it: TABLE.RULE, or RULE.")],
    by: Annotated[str, typer.Option("--by", help="Who lets it go; published.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; published.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Let one rule of one blocked day go: it only warns when the day is run again. Who and why are published."""
    from ccare.runtime.releases import release as write_release

    path = write_release(Settings.load(), day.date(), rule, by, reason)
    if as_json:
        print(json.dumps({"release": str(path), "day": str(day.date()), "rule": path.stem}))
    else:
        print(f"{path.stem} of {day.date()} is let go by {by}: {path}")
        print(f"now run the day again: ccare run --day {day.date()}")


def data_docs(
    day: Annotated[
        datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="Only this day; else all kept.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write Great Expectations' Data Docs of what the gates found: a static site that needs no network."""
    from ccare.exports.data_docs import write_data_docs

    index = write_data_docs(Settings.load().exports, day.date() if day else None)
    print(json.dumps({"data_docs": str(index)}) if as_json else index)
