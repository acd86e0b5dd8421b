"""``ccare backtest``: how well the forecasts would have done, on the published payments."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ccare.commands.printing import Json, latest, print_json, require_folder, write_csv
from ccare.errors import InputMissing, UsageError
from ccare.runtime.settings import Settings

if TYPE_CHECKING:
    from ccare.potential.backtest import Backtest

COLUMNS = ("merchant_id", "users", "actual", "forecast")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="backtest")(backtest)


def backtest(
    fit_to: Annotated[
        datetime, typer.Option("--fit-to", formats=["%Y-%m-%d"], help="Last day that models see.")
    ],
    horizon: Annotated[int, typer.Option("--horizon", help="Days forecast after it.")],
    out: Annotated[Path | None, typer.Option("--out", help="CSV: one row for each merchant judged.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Calibration plot as SVG.")] = None,
    as_json: Json = False,
) -> None:
    """Fit to a day, forecast paid days after it, and compare with those that came and with naive forecasts."""
    from ccare.growth.snapshot import connect
    from ccare.potential.backtest import backtest as judge

    settings = Settings.load()
    if horizon < 1:
        raise UsageError(f"A horizon of {horizon} days is none.", remedy="Give --horizon 1 or more.")
    row, day = latest(settings), fit_to.date()
    last = day + timedelta(days=horizon)
    if last > row.business_date:
        raise InputMissing(
            f"{last} is not published; the last day is {row.business_date}.",
            remedy="Choose an earlier --fit-to or a shorter --horizon.",
        )
    for path in (out, plot):
        require_folder(path)
    with connect(settings.lake, row) as con:
        result = judge(con, day, horizon)
    if out is not None:
        write_csv(out, COLUMNS, ((m.merchant_id, m.users, m.actual, m.forecast) for m in result.merchants))
    if plot is not None:
        from ccare.potential.plots import write_plot

        write_plot(result, plot)
    if as_json:
        print_json(result.told())
    else:
        _print(result)


def _print(result: "Backtest") -> None:
    told = result.told()
    print(
        f"{told['merchants']} merchants, {told['users']} users by {result.fit_to}; {told['actual']} paid days in the "
        f"{result.horizon} days after it, {result.errors().bias:+.1%} forecast beyond them"
    )
    print("forecast\tWAPE\tbias\tmedian APE")
    names = {
        "forecast": "model",
        "uncalibrated": "model, uncalibrated",
        "last_period": f"last {result.horizon} days again",
        "returning": f"of them, users known {result.horizon} days ago",
    }
    for field, name in names.items():
        e = result.errors(field)
        print(f"{name}\t{e.wape:.1%}\t{e.bias:+.1%}\t{e.mape_median:.1%}")
