"""ccare redeem, ccare approve, ccare ledger …: what is asked of the ledger, and what it says."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ccare.commands.printing import Json, latest, print_json, require_folder, show, write_csv
from ccare.runtime.settings import Settings

_DAYS = ["%Y-%m-%d"]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and write nothing.")]
By = Annotated[
    str | None, typer.Option("--by", help="Who asks; the user of this machine where it is left out.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(redeem)
    app.command()(approve)
    books = typer.Typer(help="The point ledger: ask, approve, read.", no_args_is_help=True)
    for command in (fund, adjust, asked, balances, statement, hours):
        books.command()(command)
    app.add_typer(books, name="ledger")


def redeem(
    merchant: Annotated[str, typer.Argument(help="Merchant.")],
    slot: Annotated[str, typer.Argument(help="Public traffic slot.")],
    points: Annotated[int, typer.Argument(help="Points offered.")],
    request_id: Annotated[
        str | None, typer.Option("--request-id", help="Its number; the same number is served once.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option("--provider", help="Service provider that spends its own points for it.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Ask to turn points into impressions; the next close serves or refuses it (ledger_requests)."""
    from ccare.runtime.asks import ask_redemption

    plan = ask_redemption(Settings.load(), merchant, slot, points, request_id, provider, dry_run=dry_run)
    _tell(plan, as_json, request_id=plan.rows[0]["request_id"])


def approve(
    reference: Annotated[str, typer.Argument(help="Reference of a funding or of adjustments.")],
    by: Annotated[str, typer.Option("--by", help="Who approves: nobody who asked.")],
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Approve what was asked under a reference, as it stands now; the next close books it."""
    from ccare.runtime.asks import approve as write_approval

    plan, what = write_approval(Settings.load(), reference, by, dry_run=dry_run)
    if not as_json:
        for row in (*what.fundings, *what.adjustments):
            print("  ".join(f"{name} {value}" for name, value in row.items() if value))
    _tell(plan, as_json, digest=what.digest)


def fund(
    pool: Annotated[str, typer.Argument(help="Pool of conf/programmes.toml.")],
    asset: Annotated[str, typer.Argument(help="POINT, IMPRESSION or FEN.")],
    amount: Annotated[int, typer.Argument(help="Units.")],
    approval: Annotated[str, typer.Option("--approval", help="Reference under which it is asked.")],
    by: By = None,
    day: Annotated[
        datetime | None, typer.Option("--day", formats=_DAYS, help="First day that may book it.")
    ] = None,
    note: Annotated[str, typer.Option("--note", help="Why.")] = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Ask to put an amount into a pool; it is booked once somebody else approves the reference."""
    from ccare.runtime.asks import ask_funding

    starts = day.date() if day else None
    plan = ask_funding(
        Settings.load(), pool, asset, amount, approval, by=by, day=starts, note=note, dry_run=dry_run
    )
    _tell(plan, as_json, approval=approval)


def adjust(
    file: Annotated[Path, typer.Argument(help="CSV or JSON lines: transfer_id, amount, note.")],
    approval: Annotated[str, typer.Option("--approval", help="Reference under which it is asked.")],
    by: By = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Ask to offset transfers; it is booked once somebody else approves the reference."""
    from ccare.runtime.asks import ask_adjustments

    plan = ask_adjustments(Settings.load(), file, approval, by=by, dry_run=dry_run)
    _tell(plan, as_json, approval=approval)


def asked(as_json: Json = False) -> None:
    """What was asked under each reference, who approved it, and what closes made of it."""
    from ccare.runtime import manifest
    from ccare.runtime.books import asked_for

    settings = Settings.load()
    _print(asked_for(settings, manifest.latest(settings.lake)), as_json)


def balances(
    as_of: Annotated[datetime, typer.Option("--as-of", formats=_DAYS, help="What counts up to this day.")],
    known_on: Annotated[
        datetime | None, typer.Option("--known-on", formats=_DAYS, help="As it was booked by then.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Balance of every account as of a day, by all that is booked now or was by another day."""
    from ccare.runtime.books import balances_as_of

    settings = Settings.load()
    known = known_on.date() if known_on else None
    _print(balances_as_of(settings, latest(settings), as_of.date(), known), as_json)


def statement(
    party: Annotated[str, typer.Argument(help="Merchant; with --provider a service provider.")],
    provider: Annotated[bool, typer.Option("--provider", help="PARTY is a service provider.")] = False,
    from_day: Annotated[datetime | None, typer.Option("--from", formats=_DAYS)] = None,
    to_day: Annotated[datetime | None, typer.Option("--to", formats=_DAYS)] = None,
    as_json: Json = False,
) -> None:
    """A merchant's or provider's points, impressions and fen line by line; opening, lines and closing add up."""
    from ccare.runtime.books import statement as read

    settings = Settings.load()
    first, last = (day.date() if day else None for day in (from_day, to_day))
    found = read(settings, latest(settings), f"{'provider' if provider else 'merchant'}:{party}", first, last)
    if as_json:
        print_json(found)
        return
    for name, value in found.opening.items():
        print(f"opening {name}: {value}")
    names = ["booked_date", "value_date", "code", "reason", "part", "asset", "amount", "balance"]
    show(names, [[line[name] for name in names] for line in found.lines])
    for name, value in found.closing.items():
        print(f"closing {name}: {value}")


def hours(
    grant: Annotated[
        str | None, typer.Argument(help="One grant; every open one where it is left out.")
    ] = None,
    day: Annotated[
        datetime | None, typer.Option("--day", formats=_DAYS, help="Hours of one business day only.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write them to this CSV file.")] = None,
    as_json: Json = False,
) -> None:
    """Hours of open grants with their arms: which to serve, which to withhold; what was told against the draw."""
    from ccare.runtime.grant_hours import HOUR_COLUMNS, grant_hours, lines

    require_folder(out)
    settings = Settings.load()
    found = grant_hours(settings, latest(settings), grant, day.date() if day else None)
    if out is not None:
        write_csv(out, HOUR_COLUMNS, [list(each.values()) for each in found])
    if as_json or out is None:
        _print(found, as_json)
    for line in lines(found):
        print(line, file=sys.stderr)


def _tell(plan: Any, as_json: bool, **more: str) -> None:
    if as_json:
        print_json({**more, "file": plan.path, "delivery_date": plan.delivery_date, "rows": list(plan.rows)})
        return
    for name, value in more.items():
        print(f"{name.replace('_', ' ')}: {value}")
    where = plan.path or f"nothing written; it would be delivered to {plan.stream}/{plan.delivery_date}"
    print(f"{len(plan.rows)} row(s) for {plan.stream}: {where}")


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
    elif rows:
        show(list(rows[0]), [list(row.values()) for row in rows])
