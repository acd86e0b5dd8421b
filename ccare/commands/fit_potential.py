"""``ccare fit-potential``: models of what each merchant's users will do, published as of a closed day."""

from datetime import datetime
from typing import Annotated

import typer

from ccare.commands.printing import Json, print_json, said_to
from ccare.runtime.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="fit-potential")(fit_potential)


def fit_potential(
    as_of: Annotated[
        datetime,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="Closed day that the models look back from."),
    ],
    as_json: Json = False,
) -> None:
    """Fit BG/NBD and Gamma-Gamma for every merchant and publish score_potentials; once a month is enough."""
    from ccare.runtime.potentials import fit_potentials

    result = fit_potentials(Settings.load(), as_of.date(), said_to(as_json))
    if as_json:
        print_json(result)
    elif result.seq is None:
        print(f"models as of {result.as_of} stand as published: nothing to do")
    else:
        statuses = ", ".join(f"{n} {name}" for name, n in sorted(result.statuses.items()))
        print(f"run {result.seq}: {result.merchants} merchants as of {result.as_of} ({statuses})")
