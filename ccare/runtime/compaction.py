"""Small files of a partition put together where that pays; rows stay what they are."""

from collections import Counter
from pathlib import Path

import pyarrow as pa

from ccare import tables
from ccare.runtime import deltalog
from ccare.runtime.rowstore import signed, writer

SMALL_BYTES = 32 << 20
"""Opening a file costs a reader about as much as reading this much of it would."""
PAYS_FROM = 8
"""A partition of fewer small files is left alone: each close would make it worth a rewrite again."""


def small_files(lake: Path, table: str, version: int) -> dict[str, int]:
    """Partition value ("" of an unpartitioned table) -> its small files, where there are PAYS_FROM of them."""
    actions = pa.table(deltalog.open_table(lake, table, version).get_add_actions(flatten=True))
    by = [name for name in actions.column_names if name.startswith("partition.")]
    found: Counter[str] = Counter()
    for row in actions.select(["size_bytes", *by]).to_pylist():
        found[str(row[by[0]]) if by else ""] += row["size_bytes"] < SMALL_BYTES
    return {value: count for value, count in sorted(found.items()) if count >= PAYS_FROM}


def compact(lake: Path, table: str, run_id: str) -> int:
    """Rewrite the newest version's crowded partitions in one commit that changes no row; returns its version."""
    newest = deltalog.latest_version(lake, table)
    assert newest is not None, f"{table} is published"
    crowded = small_files(lake, table, newest)
    opened = deltalog.open_table(lake, table)
    by = opened.metadata().partition_columns
    opened.optimize.compact(
        partition_filters=[(by[0], "in", sorted(crowded))] if by else None,
        target_size=4 * SMALL_BYTES,
        writer_properties=writer(tables.table(table)),
        commit_properties=signed(run_id),
    )
    version = deltalog.latest_version(lake, table)
    assert version is not None
    return version
