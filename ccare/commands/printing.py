"""What commands share: how results are printed, and the published run that they read."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table as RichTable

from ccare.errors import InputMissing, UsageError
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


def published_for(settings: Settings, now: Published, day: date) -> Published:
    """The lake as it stood when ``day`` was the last closed one; ``now``, what readers see, where it still is.

    A day that was told again after later ones closed is not in it: no one version ends with that day then.
    InputMissing where the day is not closed, or files of that version were purged.
    """
    from ccare.runtime import deltalog, manifest

    rows = manifest.published(settings.lake)
    closes = [row for row in rows if row.kind == "close"]
    first, last = closes[0].business_date, closes[-1].business_date
    if day not in {row.business_date for row in closes}:
        raise InputMissing(
            f"{day} is not published; days from {first} to {last} are.",
            remedy="Give --day one of them, or leave it out for the last.",
        )
    following = next((row.seq for row in closes if row.business_date > day), None)
    if following is None:
        return now
    then = [row for row in rows if row.seq < following][-1]
    deltalog.require_files(settings.lake, then.table_versions, f"{day} cannot be exported again")
    return then


def require_folder(path: Path | None) -> None:
    """UsageError where a file that is asked for has no folder to stand in: told before any work is done."""
    if path is not None and not path.resolve().parent.is_dir():
        raise UsageError(f"{path.parent} is no folder.", remedy="Make it first, or name another file.")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Beside, then renamed: a reader sees a whole file or none."""
    from ccare.exports.files import write_aside

    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_aside(path, text.getvalue().encode())


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
