"""``ccare status``: day by day what was delivered, taken, scored, booked, published and exported."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ccare.commands.printing import Json, print_json, show
from ccare.errors import UsageError
from ccare.runtime.settings import Settings

COUNTS = ("delivered", "ingested", "duplicate", "rejected", "late", "scored", "posted")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    day: Annotated[
        datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="Business day; else every day.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the same as a page here.")] = None,
    as_json: Json = False,
) -> None:
    """What became of each day: delivered, ingested, rejected, scored, posted, published, exported, late, blocked."""
    from ccare.runtime.status import lake_status, stage

    result = lake_status(Settings.load(), day.date() if day else None)
    for told in result["days"]:
        told["stage"] = stage(told)
    if html is not None:
        _write_page(html, result)
    if as_json:
        print_json(result)
        return
    show(
        ["day", *COUNTS, "simulated", "revision", "stage"],
        [
            [_shown(told.get(name)) for name in ("day", *COUNTS, "simulated", "revision", "stage")]
            for told in result["days"]
        ],
    )
    if html is not None:
        print(html)


def _shown(value: object) -> object:
    return f"{value:,}" if isinstance(value, int) else value


def _write_page(path: Path, result: dict[str, object]) -> None:
    from ccare.exports.files import write_aside
    from ccare.exports.pages import render

    made = datetime.now(UTC).isoformat(timespec="minutes")
    page = render("status.html.j2", s=result, counts=COUNTS, made=made)
    try:
        write_aside(path, page.encode())
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}).",
            remedy="Give --html a file in a folder that you may write to.",
        ) from None
