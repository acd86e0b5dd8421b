"""``ccare simulate``: landing files of any size from a seed."""

import secrets
import time
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from ccare.commands.printing import Json, print_json, said_to
from ccare.errors import UsageError
from ccare.runtime.settings import MIN_KEY_BYTES, Settings, key_file, write_key

FIRST_DAY = datetime(2026, 1, 1)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="simulate", help="Write simulated landing files of every stream, from a seed.")(simulate)


def simulate(
    merchants: Annotated[int, typer.Option(help="Merchants.")],
    users: Annotated[int, typer.Option(help="Users; each meets one merchant or more.")],
    days: Annotated[int, typer.Option(help="Business days.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")],
    out: Annotated[Path, typer.Option(help="The landing folder to write.")],
    first_day: Annotated[
        datetime, typer.Option("--first-day", formats=["%Y-%m-%d"], help="First business day.")
    ] = FIRST_DAY,
    part: Annotated[str, typer.Option(help="i/n: only the i-th of n stretches of days.")] = "1/1",
    as_json: Json = False,
) -> None:
    """Files, and beside them what ingest must make of each; the lake's pseudonym key, where there is none yet."""
    from ccare.simulate.scale import World, simulate_landing

    settings = Settings.load()
    world = World(merchants, users, days, seed, first_day.date(), settings.timezone)
    started = time.monotonic()
    result = simulate_landing(out.resolve(), world, part=_part(part), said=said_to(as_json))
    seconds = time.monotonic() - started
    made = _make_key(settings)
    if as_json:
        print_json(result)
        return
    last = world.date_of(days - 1)
    told: dict[str, int] = {}
    for counts in result.delivered(date.max.isoformat()).values():
        for fate, lines in counts.items():
            told[fate] = told.get(fate, 0) + lines
    refused = result.lines - told.get("accepted", 0) - told.get("duplicate", 0)
    print(
        f"{'wrote' if result.written else 'found'} {result.lines:,} lines in {len(result.files):,} files "
        f"({result.bytes:,} bytes), all simulated: {told.get('accepted', 0):,} to be accepted, "
        f"{told.get('duplicate', 0):,} duplicates, {refused:,} to be refused; {result.late:,} come late"
    )
    if result.written:
        print(f"{result.lines / seconds * 60:,.0f} lines a minute, in {seconds:.1f} s")
    if made:
        print(f"made a pseudonym key for the lake {settings.lake}")
    print(f"try: CCARE_LANDING={out.resolve()} ccare run --from {world.first_day} --to {last}")


def _part(text: str) -> tuple[int, int]:
    at, _, of = text.partition("/")
    if not (at.isdigit() and of.isdigit()):
        raise UsageError(f"--part {text} is not i/n.", remedy="Write --part 2/4.")
    return int(at), int(of)


def _make_key(settings: Settings) -> bool:
    """A key of the lake's own where neither it nor the environment has one."""
    if settings.pseudonym_key or key_file(settings.lake).exists():
        return False
    write_key(settings.lake, secrets.token_hex(MIN_KEY_BYTES))
    return True
