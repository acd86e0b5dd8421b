"""From a world to landing files: week by week, one file a stream and day, one more for what comes late."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import md5
from pathlib import Path
from typing import Any

import duckdb

from ccare.errors import UsageError
from ccare.simulate.scale.commerce import create_commerce, create_sales
from ccare.simulate.scale.entities import ENTITIES
from ccare.simulate.scale.lines import LAGS, STREAMS, copy_lines, create_lines, fates
from ccare.simulate.scale.visits import create_habits, create_visits
from ccare.simulate.scale.world import INDUSTRIES, World, open_world, providers
from ccare.sources.landing_writer import LandingWriter
from ccare.tables.streams import BILL_STREAMS
from ccare.tables.streams import STREAMS as ALL_STREAMS

SOURCE = "simulate"
REQUIRED = ("payments", "mini_program", "life_account")
WEEK = 7


@dataclass
class Simulated:
    """What was written, and what ingest must make of it.

    ``files``: path under the landing -> fate -> lines, where fate is accepted, duplicate, or the reason for which a
    line is refused. ``late``: lines that come in a late file. ``written`` is False where a complete landing was found.
    """

    landing: str
    parameters: dict[str, Any]
    part: str
    files: dict[str, dict[str, int]] = field(default_factory=dict)
    late: int = 0
    bytes: int = 0
    written: bool = True

    @property
    def lines(self) -> int:
        """Lines in all files."""
        return sum(sum(fates.values()) for fates in self.files.values())

    def delivered(self, until: str) -> dict[str, dict[str, int]]:
        """Stream -> fate -> lines of what is delivered up to the date ``until``."""
        told: dict[str, dict[str, int]] = {}
        for path, counts in self.files.items():
            stream, delivered = path.split("/")[:2]
            if delivered <= until:
                for fate, count in counts.items():
                    of_stream = told.setdefault(stream, {})
                    of_stream[fate] = of_stream.get(fate, 0) + count
        return told


def simulate_landing(
    landing: Path,
    world: World,
    *,
    part: tuple[int, int] = (1, 1),
    threads: int | None = None,
    said: Callable[[str], None] = lambda line: None,
) -> Simulated:
    """Write ``<landing>/<stream>/<delivery date>/…jsonl``; a complete landing is left as it is.

    ``part`` (i, n) writes the i-th of n stretches of days, each by any process on any machine: together they are the
    files of (1, 1). ``threads`` and parts change no byte. Raises UsageError where the landing holds other parameters.
    """
    at, of = part
    if not 1 <= at <= of <= world.days:
        raise UsageError(f"Part {at} of {of} is none of {world.days} days.", remedy="Give --part 1/1.")
    _require_own(landing, world)
    source = SOURCE if of == 1 else f"{SOURCE}-{at}-of-{of}"
    writer = LandingWriter(landing, source, world.parameters | {"part": f"{at}/{of}"})
    result = Simulated(str(landing), world.parameters, f"{at}/{of}")
    found = writer.finished()
    if found is not None:
        result.files, result.late, result.bytes = found["fates"], found["late"], found["bytes"]
        result.written = False
        return result
    writer.begin()
    with duckdb.connect(":memory:") as con:
        con.execute("SET enable_progress_bar = false")
        con.execute("SET preserve_insertion_order = false")
        con.execute("SET temp_directory = $1", [str(writer.scratch)])
        if threads:
            con.execute(f"SET threads = {int(threads)}")
        _write(con, writer, world, (at, of), result, said)
    sizes = writer.publish()
    result.bytes = sum(sizes.values())
    writer.finish(sizes, {"fates": result.files, "late": result.late, "bytes": result.bytes})
    return result


def _require_own(landing: Path, world: World) -> None:
    """UsageError where the folder holds deliveries that no simulation wrote, or a part of another simulation."""
    markers = sorted(landing.glob(f"_{SOURCE}*.json"))
    streams = [name for name in (*ALL_STREAMS, *(s.name for s in BILL_STREAMS)) if (landing / name).is_dir()]
    if streams and not markers:
        raise UsageError(
            f"{landing} holds deliveries that were not simulated ({', '.join(streams)}).",
            remedy="Choose another --out: simulated rows are kept apart from real ones.",
        )
    for marker in markers:
        try:
            told = json.loads(marker.read_text(encoding="utf-8"))["parameters"]
        except (ValueError, KeyError, TypeError):
            continue  # the writer says what to do about its own marker
        other = [name for name, value in world.parameters.items() if told.get(name) != value]
        if other:
            raise UsageError(
                f"{landing} already holds a simulation with other parameters ({', '.join(sorted(other))}).",
                remedy="Choose another --out, or remove this one together with its lake.",
            )


def _write(
    con: duckdb.DuckDBPyConnection,
    writer: LandingWriter,
    world: World,
    part: tuple[int, int],
    result: Simulated,
    said: Callable[[str], None],
) -> None:
    open_world(con, world)
    create_habits(con, world.first_day.weekday())
    create_commerce(con)
    at, of = part
    first, last = world.days * (at - 1) // of, world.days * at // of
    if at == 1:
        _write_entities(con, writer, world, result)
    for start, end in _weeks(world, first, last):
        con.execute(f"SET VARIABLE day_from = {int(start)}")
        con.execute(f"SET VARIABLE day_to = {int(end)}")
        create_sales(con)
        create_visits(con)
        for stream in STREAMS:
            _write_stream(con, writer, world, stream, range(start, end), result)
        said(f"simulated {world.date_of(start)} to {world.date_of(end - 1)}: {result.lines:,} lines so far")


def _weeks(world: World, first: int, last: int) -> Iterator[tuple[int, int]]:
    """The days from ``first`` up to ``last`` by calendar weeks."""
    start = first
    while start < last:
        end = min(last, start + WEEK - (start + world.first_day.weekday()) % WEEK)
        yield start, end
        start = end


def _write_stream(
    con: duckdb.DuckDBPyConnection,
    writer: LandingWriter,
    world: World,
    stream: str,
    days: range,
    result: Simulated,
) -> None:
    lags = {day: _lag(world, stream, day) for day in days}
    shares = (world.late_share, world.duplicate_share, world.bad_share)
    create_lines(con, stream, shares, lags)
    told = fates(con)
    for day in days:
        date = world.date_of(day)
        for late in (0, 1):
            delivered = date + timedelta(days=1 + (lags[day] if late else 0))
            name = f"{stream}-{date.isoformat()}{'-late' if late else ''}.jsonl"
            counts = told.get((day, late))
            if counts:
                copy_lines(con, day, late, str(writer.path(stream, delivered, name)))
                result.files[f"{stream}/{delivered.isoformat()}/{name}"] = counts
                result.late += sum(counts.values()) if late else 0
            elif not late and stream in REQUIRED:
                writer.folder(stream, delivered)
    con.execute("DROP TABLE lines")


def _lag(world: World, stream: str, day: int) -> int:
    digest = md5(f"{world.seed}|lag|{stream}|{day}".encode(), usedforsecurity=False).digest()
    return LAGS[digest[0] % len(LAGS)]


def _write_entities(
    con: duckdb.DuckDBPyConnection, writer: LandingWriter, world: World, result: Simulated
) -> None:
    """Entities are few: known ones come on the first day, later ones on the day that they begin."""
    values = {"days": world.days, "providers": providers(world), "industries": list(INDUSTRIES)}
    for stream, query in ENTITIES.items():
        wanted = {name: value for name, value in values.items() if f"${name}" in query}
        con.execute(f"CREATE OR REPLACE TEMP TABLE entity_lines AS {query}", wanted)
        days = con.execute(
            "SELECT greatest(day, 0) AS d, count(*) FROM entity_lines GROUP BY d ORDER BY d"
        ).fetchall()
        for day, count in days:
            if day >= world.days:
                continue
            date = world.date_of(day)
            delivered = date + timedelta(days=1)
            name = f"{stream}-{date.isoformat()}.jsonl"
            con.execute(
                "COPY (SELECT line FROM entity_lines WHERE greatest(day, 0) = $1 ORDER BY n, day) "
                "TO $2 (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')",
                [day, str(writer.path(stream, delivered, name))],
            )
            result.files[f"{stream}/{delivered.isoformat()}/{name}"] = {"accepted": count}
    con.execute("DROP TABLE entity_lines")
