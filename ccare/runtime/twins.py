"""Event ids that a large delivery seems to hold twice, guessed from its text before Spark reads it.

A guess and no more: the rows that it names are written apart, so that who of them loses is taken out of one small
file. Whom it misses or names in vain is judged as before, by what disputes.py finds in the rows themselves.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from ccare.events.read import LINE_MAX_BYTES
from ccare.runtime.disputes import CORES, bounded
from ccare.runtime.intake import Delivery

TWINS_MAX = 100_000
"""More ids than this are a file delivered once more: whoever loses then fills files of its own anyway."""
# What stands between the next two quotes: a pattern takes twice as long. Texts are grouped by number, of which a group
# needs no more memory than a number; two texts that share one are guessed to be one.
_TWICE = """
select min(event_id) from (
    select split_part(substr(line, position('"event_id"' in line) + 10, 100), '"', 2) as event_id
    from read_csv($files, columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = '', header = false,
      auto_detect = false, max_line_size = $longest, ignore_errors = true)
    where position('"event_id"' in line) > 0
) where event_id <> '' group by hash(event_id) having count(*) > 1 limit $most
"""


def twins(files: Sequence[Delivery], landing: Path, spill: Path) -> list[str]:
    """Ids that more than one line of ``files`` seems to have, at most TWINS_MAX; none where they are more.

    None either where text is not to be read so: CSV, an encoding that is not UTF-8, a name that DuckDB takes for a
    pattern. ``spill`` is a folder for what memory does not hold.
    """
    paths = [str(d.file(landing)) for d in files if not d.header]
    if not paths:
        return []
    told = {"files": paths, "longest": LINE_MAX_BYTES, "most": TWINS_MAX + 1}
    try:
        with bounded(spill, CORES) as con:
            found = con.execute(_TWICE, told).fetchall()
    except duckdb.Error:
        return []
    return [row[0] for row in found] if len(found) <= TWINS_MAX else []
