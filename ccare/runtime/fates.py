"""What became of the lines of a pass: counted by file, fate and business date, and told."""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date

import duckdb
import pyarrow as pa

from ccare.errors import IntegrityBroken
from ccare.events.fate import ACCEPTED, SHARED
from ccare.events.read import NAMES_APART
from ccare.runtime.close import Close
from ccare.runtime.intake import Delivery
from ccare.runtime.stream_gate import UNKNOWN_CODE
from ccare.tables.streams import Stream

_LATE_SHOWN = 10
_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z_.]{0,39}")
Fates = dict[str, dict[tuple[str, date | None], int]]
"""file digest -> (fate, business date) -> lines"""


@dataclass
class Taken:
    """What a stream's pass left: the fates of its lines, and what the gates ask of them.

    ``unknown_fields`` are those that it does not declare; ``shared`` counts accepted rows that share an id or a trade,
    ``unknown_codes`` those that name a slot by a code that the policy does not know.
    """

    stream: Stream
    fates: Fates
    unknown_fields: str = ""
    shared: int = 0
    unknown_codes: int = 0

    def total(self, fate: str) -> int:
        """Lines of this fate."""
        return sum(n for counts in self.fates.values() for (told, _), n in counts.items() if told == fate)

    def by_fate(self, sha256: str) -> Counter[str]:
        """Lines of one file by fate."""
        counts: Counter[str] = Counter()
        for (fate, _), n in self.fates.get(sha256, {}).items():
            counts[fate] += n
        return counts


_COUNTED = """
select file_sha256, fate, day, count(*), max(unknown_fields), count_if(shared and fate = 'accepted'),
       count_if(unknown_code and fate = 'accepted')
from held group by all
"""


def counted(stream: Stream, held: pa.Table) -> Taken:
    """Count judged rows that the driver holds; ``held`` has UNKNOWN_CODE and, of events, SHARED and business_date."""
    columns = {name: held[name] for name in ("file_sha256", "fate", "unknown_fields")}
    columns["unknown_code"] = held[UNKNOWN_CODE]
    columns["day"] = held["business_date"] if stream.is_event else pa.nulls(held.num_rows, pa.date32())
    columns["shared"] = held[SHARED] if stream.is_event else pa.repeat(False, held.num_rows)
    with duckdb.connect() as con:
        con.register("held", pa.table(columns))
        found = con.execute(_COUNTED).fetchall()
    taken = Taken(stream, {}, max((row[4] for row in found if row[4]), default=""))
    for sha256, fate, day, n, _, sharing, unknown in found:
        taken.fates.setdefault(sha256, {})[fate, day] = n
        taken.shared += sharing
        taken.unknown_codes += unknown
    return taken


def add(fates: Fates, sha256: str, fate: str, day: date | None, lines: int) -> None:
    """Count so many lines more of a file, fate and business date into ``fates``."""
    counts = fates.setdefault(sha256, {})
    counts[fate, day] = counts.get((fate, day), 0) + lines


def check_lines(files: list[Delivery], taken: Taken) -> None:
    """Spark's rows must equal the lines counted beforehand, file by file."""
    for d in files:
        seen = taken.by_fate(d.sha256).total()
        if seen != d.lines:
            raise IntegrityBroken(
                f"{d.path} has {d.lines} lines and {seen} were read: accepted + duplicate + rejected must equal them.",
                remedy="The file changed while it was read; deliver it again under a new name.",
            )


def file_lines(found: list[Delivery]) -> list[str]:
    """A line for each file that was not simply taken."""
    return [f"  {d.path}: {d.status}, {d.note}" for d in found if d.note]


def unknown_lines(passes: list[Taken]) -> list[str]:
    """What was left out because no stream declares it. A name that does not look like one may be data."""
    told = []
    for taken in passes:
        told_names = filter(None, taken.unknown_fields.split(NAMES_APART))
        names = {n if _FIELD_NAME.fullmatch(n) else "(other)" for n in told_names}
        if names:
            told.append(
                f"  warning: {taken.stream.name} has fields that are left out: {', '.join(sorted(names))}"
            )
    return told


def late_lines(passes: list[Taken], close: Close) -> list[str]:
    """Rows of days that were closed already, by stream and business date."""
    if close.day == close.first_day:
        return []
    told = []
    for taken in passes:
        days: Counter[date] = Counter()
        for counts in taken.fates.values():
            for (fate, day), n in counts.items():
                if fate == ACCEPTED and day is not None and day < close.day:
                    days[day] += n
        if days:
            shown = ", ".join(f"{day} {n:,}" for day, n in sorted(days.items())[-_LATE_SHOWN:])
            more = f" and {len(days) - _LATE_SHOWN} days before" if len(days) > _LATE_SHOWN else ""
            told.append(f"  late: {taken.stream.name} {sum(days.values()):,} rows: {shown}{more}")
    return told
