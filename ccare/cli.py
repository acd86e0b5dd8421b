"""The command line: one Typer app, thin. Every command has --json; errors leave by their exit code."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from ccare import __version__
from ccare.commands.printing import Json, latest, print_json, published_for, said_to, show
from ccare.errors import CcareError, GateRefused, IntegrityBroken, UsageError
from ccare.runtime.settings import Settings

COMMANDS = (
    "backtest",
    "backtest_ranks",
    "evidence",
    "explain",
    "fit_potential",
    "forget",
    "freeze",
    "growth",
    "ledger",
    "maintain",
    "quality",
    "reconcile",
    "rejected",
    "repair",
    "restate",
    "simulate",
    "state",
    "status",
    "what_if",
)
"""Modules of ccare.commands, each of which registers its own."""

app = typer.Typer(
    name="ccare",
    help="C-CARE merchant analytics: deliveries in, merchant scores and an exact point ledger out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _name in COMMANDS:
    import_module(f"ccare.commands.{_name}").register(app)

Day = Annotated[datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="Business day.")]
IfOpen = Annotated[bool, typer.Option("--if-open", help="Leave days that are closed as they are.")]
AllowMissing = Annotated[list[str] | None, typer.Option("--allow-missing", help="Go on without this stream.")]


def main() -> None:
    """Run the app; a typed error is one sentence on standard error and its own exit code."""
    try:
        app()
    except GateRefused as error:
        blocked = {"day": error.day, "rules": error.rules}
        _fail(error.message, error.remedy, error.exit_code, blocked)
    except CcareError as error:
        _fail(error.message, error.remedy, error.exit_code)
    except KeyboardInterrupt:
        _fail("Stopped.", "Nothing half-done is visible; the same command goes on where it stopped.", 1)


def _fail(message: str, remedy: str, code: int, more: Mapping[str, Any] | None = None) -> None:
    if "--json" in sys.argv:
        told = {"error": message, "remedy": remedy, "exit_code": code, **(more or {})}
        print(json.dumps(told, ensure_ascii=False))
    else:
        print(f"ccare: {message}" + (f"\n       {remedy}" if remedy else ""), file=sys.stderr)
    sys.exit(code)


def _day(value: datetime | None) -> date:
    if value is None:
        raise UsageError("No day was given.", remedy="Add --day YYYY-MM-DD.")
    return value.date()


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    """Show the version and nothing else where it is asked for."""
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def demo(
    real_only: Annotated[bool, typer.Option("--real-only", help="Leave simulated rows out.")] = False,
    folder: Annotated[Path, typer.Option("--folder", help="Where the demo lives.")] = Path("demo"),
    as_json: Json = False,
) -> None:
    """A year of real purchases to scores, points, exports and a catalogue; goes on where it was stopped."""
    from ccare.demo import run_demo

    result = run_demo(folder.resolve(), real_only=real_only, said=said_to(as_json))
    if as_json:
        print_json(result)
    if not result.verified:
        raise typer.Exit(IntegrityBroken.exit_code)
    if result.not_seen:
        raise typer.Exit(1)


@app.command()
def run(
    day: Day = None,
    from_day: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"])] = None,
    to_day: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"])] = None,
    from_step: Annotated[str, typer.Option(help="First step to run.")] = "ingest",
    to_step: Annotated[str, typer.Option(help="Last step to run.")] = "export",
    allow_missing: AllowMissing = None,
    if_open: IfOpen = False,
    as_json: Json = False,
) -> None:
    """Close a day, or every day of a range, in one session; days between are closed too."""
    from ccare.runtime.close_days import close_days

    if day is not None and (from_day or to_day):
        raise UsageError("--day and --from/--to exclude each other.", remedy="Give one of them.")
    first, last = (day, day) if day is not None else (from_day, to_day)
    days = (_day(first), _day(last))
    result = close_days(
        Settings.load(),
        *days,
        said=said_to(as_json),
        from_step=from_step,
        to_step=to_step,
        allow_missing=tuple(allow_missing or ()),
        if_open=if_open,
    )
    if as_json:
        print_json(result)


def _step_command(step: str, text: str) -> None:
    @app.command(name=step, help=text)
    def command(
        day: Day = None, allow_missing: AllowMissing = None, if_open: IfOpen = False, as_json: Json = False
    ) -> None:
        from ccare.runtime.close_days import close_days

        result = close_days(
            Settings.load(),
            _day(day),
            _day(day),
            said=said_to(as_json),
            from_step=step,
            to_step=step,
            allow_missing=tuple(allow_missing or ()),
            if_open=if_open,
        )
        if as_json:
            print_json(result)


for _name, _text in {
    "ingest": "Take the deliveries of a day.",
    "metrics": "Compute every metric as of the day.",
    "score": "Score every merchant.",
    "post": "Close the ledger's day.",
    "publish": "Append the manifest row that makes the day visible.",
}.items():
    _step_command(_name, _text)


@app.command()
def export(
    merchant: Annotated[
        list[str] | None,
        typer.Option("--merchant", help="Write this merchant's folder: card, workbook, CSV."),
    ] = None,
    top: Annotated[
        int, typer.Option("--top", min=0, help="The same for the N merchants of the best total.")
    ] = 0,
    all_merchants: Annotated[
        bool, typer.Option("--all-merchants", help="CSV files in every merchant's folder.")
    ] = False,
    day: Day = None,
    as_json: Json = False,
) -> None:
    """Write scores for all merchants and the catalogue, or the folders of the merchants that are asked for."""
    from ccare.exports.merchants import export_merchants
    from ccare.runtime.close_days import export_all

    settings = Settings.load()
    now = latest(settings)
    row = now if day is None else published_for(settings, now, _day(day))
    if not (merchant or top or all_merchants):
        written = export_all(settings, now, scores_of=row)
    else:
        made = export_merchants(settings, row, named=merchant or (), top=top, everyone=all_merchants)
        written = [str(folder) for folder in made.folders]
        written += [str(settings.exports / "merchants")] if all_merchants else []
    if as_json:
        print_json(written)
    else:
        for path in written:
            print(path)


@app.command()
def verify(
    report: Annotated[
        Path | None, typer.Option("--report", help="Write a machine-readable report here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check every table, the manifest and the ledger's laws from genesis; the first broken one is named."""
    from ccare.runtime.verify import verify_lake

    said = said_to(as_json)
    result = verify_lake(Settings.load(), said=said, progress=said)
    if report:
        report.write_text(json.dumps([asdict(r) for r in result.checks], indent=1, ensure_ascii=False))
    if as_json:
        print_json({"ok": result.ok, "checks": result.checks})
    if not result.ok:
        first = next(check for check in result.checks if not check.ok)
        _fail(f"{first.name} is broken: {first.detail}", "See docs/how-to/recover.md.", 30)


@app.command()
def digest(day: Day = None, as_json: Json = False) -> None:
    """SHA-256 over all published rows but volatile columns: what "the same lake" means."""
    from ccare.runtime.digest import lake_digest

    result = lake_digest(Settings.load(), day.date() if day else None)
    if as_json:
        print_json(result)
    else:
        print(result["digest"])


@app.command()
def doctor(as_json: Json = False) -> None:
    """What this machine and lake have, and for each problem the command that mends it."""
    from ccare.setup.doctor import diagnose

    findings = diagnose()
    if as_json:
        print_json(findings)
    else:
        show(
            ["", "what", "found", "to mend it"],
            [["ok" if f.ok else "NO", f.name, f.value, f.remedy or ""] for f in findings],
        )
    if not all(f.ok for f in findings):
        sys.exit(1)


if __name__ == "__main__":
    main()
