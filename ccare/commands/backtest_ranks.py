"""``ccare backtest-ranks``: whether scores of past days rank merchants by the growth that followed."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ccare.commands.printing import Json, print_json, require_folder, show, write_csv
from ccare.runtime.settings import Settings

if TYPE_CHECKING:
    from ccare.scoring.ranks import Ranks

_DAYS = ["%Y-%m-%d"]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(name="backtest-ranks")(backtest_ranks)


def backtest_ranks(
    from_day: Annotated[datetime, typer.Option("--from", formats=_DAYS, help="First as-of day.")],
    to_day: Annotated[
        datetime, typer.Option("--to", formats=_DAYS, help="Last; 28 days more must be closed.")
    ],
    step: Annotated[int, typer.Option("--step", help="Days from one as-of day to the next.")] = 28,
    train_to: Annotated[
        datetime | None,
        typer.Option(
            "--train-to", formats=_DAYS, help="Choose weights of dimensions on days up to this one."
        ),
    ] = None,
    policy: Annotated[Path | None, typer.Option("--policy", help="A scoring.toml to try.")] = None,
    real_only: Annotated[bool, typer.Option("--real-only", help="Leave simulated rows out.")] = False,
    least_orders: Annotated[
        int, typer.Option("--least-orders", help="Paid trades in 28 days that a merchant needs to be judged.")
    ] = 1,
    out: Annotated[Path | None, typer.Option("--out", help="CSV: one row for each day and merchant.")] = None,
    as_json: Json = False,
) -> None:
    """Rank correlation of total_score with the net GMV growth of the next 28 days, beside that of the last growth."""
    from ccare.scoring.ranks import Ask, ranks
    from ccare.scoring.ranks_told import COLUMNS, each_row, lines, tables, told

    require_folder(out)
    ask = Ask(
        from_day.date(), to_day.date(), step, train_to and train_to.date(), policy, real_only, least_orders
    )
    found: Ranks = ranks(Settings.load(), ask)
    if out is not None:
        write_csv(out, COLUMNS, each_row(found))
    if as_json:
        print_json(told(found))
        return
    for line in lines(found):
        print(line)
    for columns, rows in tables(found):
        print()
        show(columns, rows)
