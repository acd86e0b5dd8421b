"""Rows of a large pass that share an event id or a trade, found in its staged files; files written again without some.

Asked of DuckDB, in bounded memory: it reads three columns where a join in Spark moves every row.
"""

import os
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import duckdb

from ccare.growth.snapshot import quoted, view_sql
from ccare.tables import table
from ccare.tables.streams import PAYMENTS, Stream

MEMORY_MB = 384
"""Of all connections of a pass at a time. What does not fit goes to disk."""
CORES = os.cpu_count() or 2
# By hashes: two keys that share one are looked at in vain, and nothing else.
_IDS = ("ids", "hash(event_id)", "true")
_TRADES = ("trades", "hash(merchant_id, trade_no)", "event_type = 'paid'")
_SHARED = """
create temp table <name> as
select key from (select <key> as key from staged where <kind>) group by key having count(*) > 1
union
select key from (select <key> as key from staged where <kind>)
semi join (select <key> as key from known where <kind> and taken_on >= $taken and business_date >= $dated)
using (key)
"""
_HELD = "select distinct filename from staged where <disputed> order by all"
_DISPUTED = """
copy (
    select * replace (parse_filename(filename) as filename)
    from read_parquet($held, filename = true, hive_partitioning = false)
    where <disputed>
) to <out> (format parquet, compression zstd)
"""
_KEPT = """
copy (
    from read_parquet($file, hive_partitioning = false)
    anti join (from read_parquet($judged) where fate <> 'accepted') using (file_sha256, position)
) to <out> (format parquet, compression zstd, compression_level 1)
"""
_VERDICTS = """
select file_sha256, fate, business_date, count(*), list(distinct filename) from read_parquet($judged) group by all
"""
_TOGETHER = """
copy (from read_parquet($files, hive_partitioning = false)) to <out>
(format parquet, compression zstd, compression_level 1)
"""


def write_disputed(
    files: Sequence[Path],
    stream: Stream,
    lake: Path,
    version: int | None,
    since: tuple[date, date],
    out: Path,
) -> int:
    """Write the rows of ``files`` that share an id or a trade, among themselves or with rows taken before, to ``out``.

    ``version``: of the core table, as published; ``since``: from which taken_on and business_date on it is looked
    through. Rows get ``filename``, the name of the file that holds them. Returns their number; for none no file is
    written.
    """
    keys = [_IDS, _TRADES] if stream.name == PAYMENTS.name else [_IDS]
    disputed = " or ".join(f"({kind} and {key} in (from {name}))" for name, key, kind in keys)
    listed = ", ".join(quoted(str(path)) for path in files)
    with bounded(out.parent, CORES) as con:
        con.execute(
            f"create view staged as from read_parquet([{listed}], filename = true, hive_partitioning = false)"
        )
        con.execute(f"create view known as {view_sql(lake, table(stream.table), version)}")
        for name, key, kind in keys:
            query = _SHARED.replace("<name>", name).replace("<key>", key).replace("<kind>", kind)
            con.execute(query, {"taken": since[0], "dated": since[1]})
        held = [row[0] for row in con.execute(_HELD.replace("<disputed>", disputed)).fetchall()]
        if not held:
            return 0
        query = _DISPUTED.replace("<disputed>", disputed).replace("<out>", quoted(str(out)))
        (rows,) = con.execute(query, {"held": held}).fetchone() or (0,)
    return int(rows)


def verdicts(judged: Sequence[Path]) -> list[tuple[str, str, date | None, int, list[str]]]:
    """Digest of the delivery, fate and business date -> rows of ``judged``, and the staged files that hold them."""
    with bounded(judged[0].parent) as con:
        return con.execute(_VERDICTS, {"judged": [str(path) for path in judged]}).fetchall()


def write_without(files: Sequence[Path], judged: Sequence[Path], folder: Path) -> None:
    """Write each of ``files`` again into ``folder``, without the rows that ``judged`` says are not accepted.

    A row is known by file_sha256 and position. A file of which nothing is left is not written.
    """
    told = [str(path) for path in judged]

    def write(file: Path) -> None:
        out = folder / file.name
        with bounded(folder) as con:
            query = _KEPT.replace("<out>", quoted(str(out)))
            (rows,) = con.execute(query, {"file": str(file), "judged": told}).fetchone() or (0,)
        if not rows:
            out.unlink()

    # A staged file is mostly one row group, which one thread reads.
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(write, files))


def write_together(files: Sequence[Path], out: Path) -> None:
    """Write the rows of ``files`` into one."""
    out.parent.mkdir(exist_ok=True)
    with bounded(out.parent) as con:
        con.execute(_TOGETHER.replace("<out>", quoted(str(out))), {"files": [str(path) for path in files]})


def bounded(folder: Path, threads: int = 1) -> duckdb.DuckDBPyConnection:
    """A connection of so many threads, with their share of MEMORY_MB; what does not fit is spilled into ``folder``."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.execute(f"set threads = {threads}")
    con.execute(f"set memory_limit = '{MEMORY_MB * threads // CORES}MB'")
    # Of its own: two connections that shared one would write to files of the same names.
    con.execute(f"set temp_directory = {quoted(str(folder / f'_spill-{uuid.uuid4().hex}'))}")
    return con
