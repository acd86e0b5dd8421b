"""ccare sql, ccare catalogue, ccare desk: what the growth team asks of the published lake."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ccare.commands.printing import Json, latest, print_json, show
from ccare.errors import UsageError
from ccare.runtime.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(sql)
    app.command()(catalogue)
    app.command()(desk)


def sql(
    name: Annotated[str | None, typer.Argument(help="A named query.")] = None,
    query: Annotated[str | None, typer.Option("-c", help="A query.")] = None,
    file: Annotated[Path | None, typer.Option("-f", help="A file with a query.")] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", help="name=value, bound to the query.")
    ] = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print as CSV.")] = False,
    plot: Annotated[bool, typer.Option("--plot", help="Draw it: an SVG file under <exports>/plots.")] = False,
) -> None:
    """Ask the published catalogue in DuckDB: a named query, -c QUERY or -f FILE."""
    from ccare.growth.plots import plot_answer
    from ccare.growth.queries import read_query, run_query
    from ccare.growth.questions import headed, question

    if as_json + as_csv > 1:
        raise UsageError("--json and --csv exclude each other.", remedy="Give one of them.")
    settings = Settings.load()
    row = latest(settings)
    columns, rows = run_query(
        settings, name=name, query=query, file=file, params=_params(param or []), row=row
    )
    if plot:
        asked = question(name) if name else headed(query or read_query(file or Path()))
        path = plot_answer(settings, asked, columns, rows)
        print_json({"plot": path}) if as_json else print(path)
    elif as_json:
        print_json([dict(zip(columns, values, strict=True)) for values in rows])
    elif as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(columns)
        writer.writerows(rows)
    else:
        show(columns, rows)


def catalogue(as_json: Json = False) -> None:
    """Write the DuckDB catalogue of the published snapshot."""
    from ccare.growth.catalogue import write_catalogue

    settings = Settings.load()
    path = write_catalogue(settings, latest(settings))
    print_json({"catalogue": path}) if as_json else print(path)


def desk(
    serve: Annotated[bool, typer.Option("--serve", help="Serve it on this machine until Ctrl-C.")] = False,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to serve on; 0 takes a free one.")
    ] = 8765,
    as_json: Json = False,
) -> None:
    """Write the growth desk: one page with users, scores, programmes, slots and data, by industry and provider."""
    from ccare.growth import desk as page

    settings = Settings.load()
    path = page.write_desk(settings, latest(settings))
    if not serve:
        print_json({"desk": path}) if as_json else print(path)
        return
    try:
        server = page.serve(path, port)
    except OSError as error:
        raise UsageError(
            f"Port {port} cannot be served on ({error.strerror}).", remedy="Give another one: --port 0."
        ) from None
    url = f"http://{page.LOOPBACK}:{server.server_port}/"
    print_json({"desk": path, "url": url}) if as_json else print(
        f"{path}\n{url} (Ctrl-C ends it)", flush=True
    )
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def _params(pairs: Sequence[str]) -> dict[str, str]:
    result = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise UsageError(f"--param {pair!r} is not name=value.", remedy="Write --param day=2017-12-31.")
        result[name] = value
    return result
