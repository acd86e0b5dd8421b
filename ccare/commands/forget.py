"""``ccare forget``: a user's link is taken out of the lake and kept out."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ccare.errors import InputMissing, UsageError
from ccare.runtime.settings import Settings

_REASON_CHARACTERS = 200


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="forget")(forget)


def forget(
    user_id: Annotated[
        str | None,
        typer.Argument(help="The raw user id; - reads it from standard input.", show_default=False),
    ] = None,
    from_file: Annotated[
        Path | None, typer.Option("--from-file", help="A file whose first line is the user id.")
    ] = None,
    merchant: Annotated[str | None, typer.Option("--merchant", help="At this merchant only.")] = None,
    by: Annotated[str, typer.Option("--by", help="Who carries the request out.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why: a case number, not a person.")] = "",
    purge: Annotated[
        bool, typer.Option("--purge", help="Without a user: only remove files past their retention.")
    ] = False,
    purge_now: Annotated[
        bool, typer.Option("--purge-now", help="Remove superseded files at once; older versions end.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the receipt as JSON.")] = False,
) -> None:
    """Forget a user: amounts stay, the link goes, no booked point falls, old files do not bring it back."""
    from ccare.runtime import forget as work

    named = _user(user_id, from_file)
    if named is None and not (purge or purge_now):
        raise UsageError(
            "No user was given.",
            remedy="Give the id on standard input: ccare forget - --by NAME --reason TEXT.",
        )
    settings = Settings.load()

    def said(line: str) -> None:
        print(line, file=sys.stderr if as_json else sys.stdout, flush=True)

    if named is None:
        receipt = work.purge_only(settings, now=purge_now)
    else:
        if not by.strip() or not reason.strip():
            raise UsageError(
                "Who asks, and why, is part of the receipt.", remedy="Add --by NAME --reason TEXT."
            )
        request = work.Request(named, merchant, by.strip(), _kept(reason, named))
        receipt = work.forget(settings, request, said, purge_now)
    if as_json:
        print(json.dumps(asdict(receipt), ensure_ascii=False))
        return
    if named is not None:
        rows = ", ".join(f"{name} {count}" for name, count in receipt.rows.items()) or "no row of theirs"
        print(f"subject {receipt.subject_digest}: {'nothing left to do' if receipt.already else rows}")
    print(f"purged: {sum(receipt.purged.values())} superseded files")


def _user(given: str | None, file: Path | None) -> str | None:
    """The raw id, from wherever it comes; no message repeats it."""
    if given is not None and file is not None:
        raise UsageError("A user and --from-file exclude each other.", remedy="Give one of them.")
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise InputMissing(
                f"{file} cannot be read ({error.strerror}).", remedy="Give a readable file."
            ) from None
    elif given == "-":
        text = sys.stdin.read()
    elif given is None:
        return None
    else:
        return given
    lines = [line for line in text.splitlines() if line]
    if len(lines) != 1:
        raise UsageError(
            f"{len(lines)} user ids were given; one is forgotten at a time.", remedy="Give one line."
        )
    return lines[0]


def _kept(reason: str, user_id: str) -> str:
    """The reason as it is stored: it must not say what is being forgotten."""
    import re

    told = re.sub(r"\S+@\S+|[0-9][0-9-]{9,}[0-9Xx]", "***", reason.replace(user_id, "***"))
    return told.strip()[:_REASON_CHARACTERS]
