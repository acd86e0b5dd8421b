"""``ccare rejected`` and ``ccare replay-rejected``."""

import sys
from collections import Counter
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from ccare.commands.printing import Json, latest, print_json, show
from ccare.errors import UsageError
from ccare.runtime.settings import Settings

Day = Annotated[
    datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="Day whose close took the rows.")
]
SHOWN = 50


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(name="rejected")(rejected)
    app.command(name="replay-rejected")(replay)


def rejected(
    reason: Annotated[str | None, typer.Option("--reason", help="Only rows with this reason.")] = None,
    file: Annotated[str | None, typer.Option("--file", help="Only this file: path, name or sha256.")] = None,
    day: Day = None,
    limit: Annotated[int, typer.Option("--limit", help="Rows to show; all with --json.")] = SHOWN,
    as_json: Json = False,
) -> None:
    """Refused rows with every reason; personal fields are masked."""
    from ccare.runtime.rejected import list_rejected

    settings = Settings.load()
    found = list_rejected(
        settings, latest(settings), reason=reason, file=file, day=day.date() if day else None
    )
    if as_json:
        print_json(found)
        return
    counts = Counter((row["stream"], name) for row in found for name in row["reasons"])
    show(("stream", "reason", "rows"), [(*key, n) for key, n in sorted(counts.items())])
    if found:
        names = list(found[0])
        cells: list[list[Any]] = [[_cell(row[name]) for name in names] for row in found[:limit]]
        show(names, cells)
    if len(found) > limit:
        print(f"{len(found) - limit} more: --limit, --reason or --json", file=sys.stderr)


def _cell(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value


def replay(day: Day = None, as_json: Json = False) -> None:
    """Deliver the lines refused on a day again, for the next close to judge."""
    from ccare.runtime.rejected import replay_rejected

    if day is None:
        raise UsageError("No day was given.", remedy="Add --day YYYY-MM-DD.")
    settings = Settings.load()
    result = replay_rejected(settings, latest(settings), day.date())
    if as_json:
        print_json(asdict(result))
        return
    for path, rows in result.delivered.items():
        print(f"{path}: {rows} refused lines delivered again")
    for path, rows in result.gone.items():
        print(f"{path}: {rows} refused rows, and the file is gone or is no file of lines")
    for path, rows in result.cut.items():
        print(f"{path}: {rows} refused lines are too long or cut, and would only be refused again")
    if not result.delivered and not result.gone and not result.cut:
        print(f"nothing was refused on {day.date()}")
    elif result.delivered:
        print("The next close judges them.")
