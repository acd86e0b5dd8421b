"""What commands share: how results are printed, and the published run that they read."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table as RichTable

from ccare.errors import InputMissing
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

console = Console(highlight=False, soft_wrap=True)
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def print_json(value: Any) -> None:
    """One JSON value on standard output."""

    def plain(item: Any) -> Any:
        if is_dataclass(item) and not isinstance(item, type):
            return asdict(item)
        return sorted(item) if isinstance(item, set) else str(item)

    print(json.dumps(value, default=plain, ensure_ascii=False))


def said_to(as_json: bool) -> Callable[[str], None]:
    """Where summary lines go: standard output, or standard error when that carries JSON."""
    return (lambda line: print(line, file=sys.stderr)) if as_json else (lambda line: print(line, flush=True))


def latest(settings: Settings) -> Published:
    """The run that readers see, its tables checked; InputMissing where nothing is published."""
    from ccare.runtime import manifest

    row = manifest.latest(settings.lake)
    if row is None:
        raise InputMissing(
            f"Nothing is published in {settings.lake}.",
            remedy="Run `ccare demo`, or `ccare run --day D` first.",
        )
    manifest.check_tables(settings.lake, row)
    return row


def published_for(settings: Settings, day: date) -> Published:
    """The run that told ``day`` last: for the last closed day what readers see, else the day's own, if it is kept.

    InputMissing where the day is not closed, or files of its version were purged.
    """
    from ccare.runtime import deltalog, manifest

    row = latest(settings)
    told = [r for r in manifest.published(settings.lake) if r.kind in ("close", "republish")]
    closed = [r.business_date for r in told]
    if day not in closed:
        raise InputMissing(
            f"{day} is not published; days from {min(closed)} to {max(closed)} are.",
            remedy="Give --day one of them, or leave it out for the last.",
        )
    if day == max(closed):
        return row
    own = [r for r in told if r.business_date == day][-1]
    deltalog.require_files(settings.lake, own.table_versions, f"{day} cannot be exported again")
    return own


def show(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on a terminal, tab-separated lines otherwise."""
    if not console.is_terminal:
        for row in [columns, *rows]:
            print("\t".join("" if v is None else str(v) for v in row))
        return
    shown = RichTable(*map(str, columns), box=None, pad_edge=False)
    for row in rows:
        shown.add_row(*("" if v is None else str(v) for v in row))
    console.print(shown)
