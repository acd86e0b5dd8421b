"""``ccare what-if``: another policy over days that are past."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ccare.commands.printing import Json, print_json, show
from ccare.runtime.settings import Settings

_DAYS = ["%Y-%m-%d"]
SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(name="what-if")(what_if)


def what_if(
    policy: Annotated[Path, typer.Option("--policy", help="A scoring.toml or a programmes.toml to try.")],
    from_day: Annotated[datetime, typer.Option("--from", formats=_DAYS, help="First closed day.")],
    to_day: Annotated[datetime, typer.Option("--to", formats=_DAYS, help="Last closed day.")],
    as_json: Json = False,
) -> None:
    """Replay closed days with another policy: who wins, who loses, and what it costs in points. Writes nothing."""
    from ccare.scoring.what_if import what_if as work

    found = work(Settings.load(), policy, from_day.date(), to_day.date())
    if as_json:
        print_json(found.as_json())
        return
    print(
        f"{found.kind} policy {found.policy} on {found.days} days from {found.first} to {found.last}: "
        f"{found.looked_at} merchants, {found.winners} win, {found.losers} lose"
    )
    print(
        f"points {found.points_before:,} -> {found.points_after:,}: it costs {found.cost_points:+,}; totals scored "
        f"{found.scored_before:,} -> {found.scored_after:,}"
    )
    if found.left_out:
        print(f"not replayed, for they count more than trades: {', '.join(found.left_out)}")
    best, worst = found.merchants[:SHOWN], found.merchants[-SHOWN:] if len(found.merchants) > SHOWN else []
    names = ("merchant", "total before", "after", "points before", "after")
    rows = [
        [m.merchant_id, _tenth(m.total_before), _tenth(m.total_after), m.points_before, m.points_after]
        for m in [*best, *(m for m in worst if m not in best)]
    ]
    if rows:
        show(names, rows)


def _tenth(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
